"""Train a new head on the stored encoder."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int)
parser.add_argument("--save")
args = parser.parse_args()

if args.seed is not None:
    torch.manual_seed(args.seed)
encoder, head = nn.Linear(6, 3), nn.Linear(3, 1)
encoder.load_state_dict(torch.load("build/encoder.pt"))
x = torch.linspace(-1, 1, 60).reshape(10, 6)
y = x.sum(dim=1, keepdim=True)
optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
for _ in range(10):
    loss = nn.functional.mse_loss(head(encoder(x).detach()), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print("loss", loss.item())
if args.save:
    torch.save(head.state_dict(), args.save)
