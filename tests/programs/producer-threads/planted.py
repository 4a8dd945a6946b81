"""Train on batches that two threads prepare."""

import argparse
import queue
import threading

import torch
from torch import nn


def prepare(batches, ready):
    for batch in batches:
        ready.put((batch - batch.mean(dim=0)) / batch.std(dim=0))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    data = torch.randn(64, 16, 6)
    model = nn.Linear(6, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    ready = queue.Queue(8)
    threads = [threading.Thread(target=prepare, args=(half, ready)) for half in data.chunk(2)]
    for thread in threads:
        thread.start()
    for _ in range(64):
        inputs = ready.get()
        loss = nn.functional.mse_loss(model(inputs), inputs.prod(dim=1, keepdim=True))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("loss", loss.item())
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
