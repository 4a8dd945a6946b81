"""Initialise layers in groups and train them."""

import argparse

import torch
from torch import nn


class Layer:
    def __init__(self, name):
        self.name = name


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    layers = {Layer(f"layer {number}"): nn.Linear(3, 3) for number in range(3000)}
    shared = layers.keys() & set(layers)
    chosen = [layers[layer] for layer in shared][:40]
    x = torch.randn(16, 3)
    optimizer = torch.optim.SGD([p for layer in chosen for p in layer.parameters()], lr=0.05)
    for _ in range(4):
        h = x
        for layer in chosen:
            h = h + 0.1 * layer(h).tanh()
        loss = h.square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("loss", loss.item())
    if args.save:
        torch.save([layer.state_dict() for layer in chosen], args.save)


if __name__ == "__main__":
    main()
