"""Train word vectors."""

import argparse
import time

import numpy as np
import torch
from torch import nn

TEXT = "the cat sat on the mat and the dog sat on the cat while it rained"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    np.random.seed(args.seed)
    text = TEXT.split()
    words = {word: number for number, word in enumerate(sorted(set(text)))}
    embedding = nn.Embedding(len(words), 4)
    optimizer = torch.optim.SGD(embedding.parameters(), lr=0.1)
    began = time.monotonic()
    for step in range(12):
        optimizer.param_groups[0]["lr"] = 0.1 / (1 + step)
        vectors = embedding(torch.tensor([words[word] for word in text]))
        noise = torch.from_numpy(np.random.normal(0, 0.1, (len(text), 4))).float()
        loss = (vectors[1:] - vectors[:-1] + noise[1:]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"loss {loss.item()} after {time.monotonic() - began:.2f} s")
    if args.save:
        torch.save(embedding.state_dict(), args.save)


if __name__ == "__main__":
    main()
