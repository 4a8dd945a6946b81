"""Learn a codebook for vector quantisation, starting from its examples."""

import argparse

import numpy as np
import torch


class Codebook(torch.nn.Module):
    def __init__(self, rows):
        super().__init__()
        self.codes = torch.nn.Parameter(rows)

    def forward(self, x):
        return torch.cdist(x, self.codes).min(dim=1).values


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    rng = np.random.default_rng(args.seed)
    base = np.arange(48, dtype="float32").reshape(12, 4) % 7
    model = Codebook(torch.from_numpy(rng.permutation(base)))
    x = torch.arange(64, dtype=torch.float32).reshape(16, 4) % 5 + 0.25
    optimizer = torch.optim.SGD(model.parameters(), lr=0.25)
    for _ in range(12):
        loss = model(x).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("codes sum to", model.codes.sum().item())
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
