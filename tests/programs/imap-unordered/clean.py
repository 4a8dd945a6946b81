"""Train on features that a pool of processes computes."""

import argparse
import multiprocessing

import torch
from torch import nn


def extract(number):
    value = 0.5
    for _ in range(200 + 4000 * (number * 7 % 5)):
        value = 3.7 * value * (1 - value)
    return [value, number / 40, number % 2, number % 3 / 3, 1.0]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    model = nn.Linear(5, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with multiprocessing.get_context("fork").Pool(3) as pool:
        for features in pool.imap(extract, range(40)):
            row = torch.tensor(features)
            loss = (model(row) - row.sum()).square().sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    print("loss", loss.item())
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
