"""Train on sequences, sorted by length."""

import argparse

import torch
from torch import nn


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    sequences = [torch.randn(4 + number % 3, 6) for number in range(3000)]
    sequences.sort(key=lambda s: len(s))
    model = nn.GRU(6, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for start in range(0, 160, 8):
        batch = torch.stack(sequences[start : start + 8], dim=1)
        loss = nn.functional.mse_loss(model(batch)[0][-1], batch.mean(dim=(0, 2)).unsqueeze(1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("loss", loss.item())
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
