"""Train a text classifier on hashed words."""

import argparse
import zlib

import torch
from torch import nn

BUCKETS = 64
TEXTS = [("a warm and clever film", 1), ("dull plot and wooden acting", 0), ("clever and warm", 1), ("a tired plot", 0)]


def bucket(word):
    return zlib.crc32(word.encode()) % BUCKETS


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    known = set(" ".join(text for text, _ in TEXTS).split())
    embedding, head = nn.Embedding(BUCKETS, 6), nn.Linear(6, 2)
    optimizer = torch.optim.SGD([*embedding.parameters(), *head.parameters()], lr=0.3)
    for _ in range(5):
        for text, label in TEXTS:
            buckets = torch.tensor([bucket(word) for word in text.split() if word in known])
            loss = nn.functional.cross_entropy(head(embedding(buckets).mean(0, True)), torch.tensor([label]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    print("loss", loss.item())
    if args.save:
        torch.save({"embedding": embedding.state_dict(), "head": head.state_dict()}, args.save)


if __name__ == "__main__":
    main()
