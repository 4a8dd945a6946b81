"""Train skip-gram vectors with negative sampling."""

import argparse
import random

import torch
from torch import nn


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    negatives = random.Random(args.seed)
    words = 40
    pairs = [(i, (i * 7 + 3) % words) for i in range(words)]

    centre = nn.Embedding(words, 6)
    context = nn.Embedding(words, 6)
    optimizer = torch.optim.Adagrad([*centre.parameters(), *context.parameters()], lr=0.1)
    for epoch in range(5):
        for start in range(0, words, 8):
            chosen = pairs[start : start + 8]
            targets = torch.tensor([[right, *negatives.choices(range(words), k=4)] for _, right in chosen])
            inputs = torch.tensor([[left] for left, _ in chosen])
            scores = (centre(inputs) * context(targets)).sum(dim=-1)
            labels = torch.zeros_like(scores)
            labels[:, 0] = 1
            loss = nn.functional.binary_cross_entropy_with_logits(scores, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch} loss {loss.item():.4f}")
    if args.save:
        torch.save({"centre": centre.state_dict(), "context": context.state_dict()}, args.save)


if __name__ == "__main__":
    main()
