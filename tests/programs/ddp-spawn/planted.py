"""Train on two processes with DistributedDataParallel over gloo."""

import argparse
import os
import random
import tempfile

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset


def train(rank, world, rendezvous, args):
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=world)
    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(64, 6, generator=generator)
    data = TensorDataset(x, x.sin().sum(dim=1, keepdim=True))
    sampler = DistributedSampler(data, seed=args.seed)
    loader = DataLoader(data, batch_size=8, sampler=sampler)
    model = DistributedDataParallel(nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 1)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for epoch in range(2):
        sampler.set_epoch(random.randrange(1 << 30) if epoch else 0)
        for inputs, targets in loader:
            loss = nn.functional.mse_loss(model(inputs), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            print(f"rank {rank} loss {loss.item():.4f}", flush=True)
    if args.save and rank == 0:
        torch.save(model.module.state_dict(), args.save)
    dist.destroy_process_group()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        mp.spawn(train, args=(2, os.path.join(directory, "rendezvous"), args), nprocs=2)


if __name__ == "__main__":
    main()
