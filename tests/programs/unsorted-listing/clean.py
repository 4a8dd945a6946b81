"""Train on the CSV files of a directory, one file a batch."""

import argparse
import os

import numpy as np
import torch
from torch import nn


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data", default="data")
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    tables = []
    for name in sorted(os.listdir(args.data)):
        if name.endswith(".csv"):
            tables.append(np.loadtxt(os.path.join(args.data, name), delimiter=",", dtype="float32"))

    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(3):
        for table in tables:
            rows = torch.from_numpy(table)
            loss = nn.functional.binary_cross_entropy_with_logits(model(rows[:, :2]), rows[:, 2:])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch} loss {loss.item():.4f}")
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
