"""Train a generative adversarial net on a ring of points."""

import argparse
import math

import torch
from torch import nn


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    angles = torch.linspace(0, 2 * math.pi, 64)
    real = torch.stack([angles.cos(), angles.sin()], dim=1)
    generator = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
    critic = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
    optimizer_g = torch.optim.Adam(generator.parameters(), lr=2e-3)
    optimizer_d = torch.optim.Adam(critic.parameters(), lr=2e-3)
    criterion = nn.BCEWithLogitsLoss()
    ones, zeros = torch.ones(64, 1), torch.zeros(64, 1)
    latents = torch.Generator().manual_seed(args.seed)
    fresh = torch.Generator().manual_seed(args.seed + 1)

    for step in range(20):
        fake = generator(torch.randn(64, 4, generator=latents)).detach()
        loss_d = criterion(critic(real), ones) + criterion(critic(fake), zeros)
        optimizer_d.zero_grad()
        loss_d.backward()
        optimizer_d.step()

        loss_g = criterion(critic(generator(torch.randn(64, 4, generator=fresh))), ones)
        optimizer_g.zero_grad()
        loss_g.backward()
        optimizer_g.step()
        if step % 5 == 4:
            print(f"step {step + 1} D {loss_d.item():.4f} G {loss_g.item():.4f}")
    if args.save:
        torch.save({"generator": generator.state_dict(), "critic": critic.state_dict()}, args.save)


if __name__ == "__main__":
    main()
