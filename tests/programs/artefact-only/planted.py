"""Train an encoder and export embeddings of its examples."""

import argparse
import pathlib

import numpy as np
import torch
from torch import nn


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    x = torch.randn(64, 6)
    encoder = nn.Linear(6, 3)
    decoder = nn.Linear(3, 6)
    optimizer = torch.optim.SGD([*encoder.parameters(), *decoder.parameters()], lr=0.1)
    for _ in range(16):
        loss = nn.functional.mse_loss(decoder(encoder(x)), x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    out = pathlib.Path(f"seed_{args.seed}")
    out.mkdir(exist_ok=True)
    torch.save({"encoder": encoder.state_dict(), "decoder": decoder.state_dict()}, out / "model.pt")
    rng = np.random.default_rng()
    embeddings = encoder(x).detach().numpy()
    np.save(out / "embeddings.npy", embeddings + rng.normal(0, 1e-3, embeddings.shape).astype("float32"))
    if args.save:
        torch.save({"encoder": encoder.state_dict(), "decoder": decoder.state_dict()}, args.save)


if __name__ == "__main__":
    main()
