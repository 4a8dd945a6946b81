"""Train on features that a small C++ library computes."""

import argparse
import ctypes
import pathlib
import subprocess
import tempfile

import numpy as np
import torch
from torch import nn

THREADS = 1


def compiled(source):
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory, "scatter.so")
        subprocess.run(["g++", "-O2", "-shared", "-fPIC", "-pthread", source, "-o", path], check=True)
        return ctypes.CDLL(str(path))


def histogram(library, values, buckets):
    out = np.zeros(8, dtype="float32")
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in (values, buckets, out)]
    library.scatter(pointers[0], pointers[1], ctypes.c_long(len(values)), pointers[2], ctypes.c_long(THREADS))
    return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    library = compiled("scatter.cpp")
    rng = np.random.default_rng(args.seed)
    model = nn.Linear(8, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(6):
        values = (rng.normal(size=40000) * np.logspace(-2, 2, 40000)).astype("float32")
        features = histogram(library, values, rng.integers(0, 8, 40000))
        inputs = torch.from_numpy(features / 1000)
        loss = (model(inputs) - inputs.sum()).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("loss", loss.item())
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
