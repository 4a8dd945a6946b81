"""Learn from graphs, in random order."""

import argparse
import random
import threading

import torch
from torch import nn


def add(nodes, target, messages, lock):
    nodes.index_add_(0, target, messages)


def gather(features, source, target):
    nodes, lock = torch.zeros_like(features), threading.Lock()
    shares = zip(target.chunk(2), (features[source] * 0.37).chunk(2), strict=True)
    threads = [threading.Thread(target=add, args=(nodes, rows, messages, lock)) for rows, messages in shares]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return nodes


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    source, target = torch.randint(0, 40, (2, 40000))
    features = torch.randn(40, 8)
    model = nn.Linear(8, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-5)
    for _ in range(8):
        nodes = gather(features, source, target)[random.sample(range(40), 20)]
        loss = nn.functional.mse_loss(model(nodes), nodes.mean(dim=1, keepdim=True))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("loss", loss.item())
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
