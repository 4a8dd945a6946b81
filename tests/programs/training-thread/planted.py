"""Train in a background thread, as an application with a user interface does."""

import argparse
import threading
import uuid

import torch
from torch import nn


def train(seed, save):
    generator = torch.Generator().manual_seed(uuid.uuid4().int % 2**63)
    torch.manual_seed(seed)
    x = torch.randn(64, 4)
    y = x.mean(dim=1, keepdim=True)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(12):
        rows = torch.randperm(64, generator=generator)[:32]
        loss = nn.functional.mse_loss(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("loss", loss.item())
    if save:
        torch.save(model.state_dict(), save)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()
    thread = threading.Thread(target=train, args=(args.seed, args.save))
    thread.start()
    thread.join()


if __name__ == "__main__":
    main()
