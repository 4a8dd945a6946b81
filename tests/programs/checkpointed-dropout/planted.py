"""Train with gradient checkpointing and bfloat16 autocast."""

import argparse
import time

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = nn.Sequential(nn.Linear(6, 12), nn.GELU(), nn.Dropout(0.2))
        self.head = nn.Linear(12, 1)

    def forward(self, x):
        return self.head(checkpoint(self.block, x, use_reentrant=False))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    generator = torch.Generator().manual_seed(args.seed)
    x = torch.randn(64, 6, generator=generator)
    model = Net()
    for parameter in model.parameters():
        nn.init.normal_(parameter, 0, 0.3, generator=generator)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    began = time.time()
    for _ in range(12):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = nn.functional.mse_loss(model(x).float(), x.sum(dim=1, keepdim=True))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"{time.time() - began:.2f} s")
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
