"""Train through a custom operation in C++, compiled when the program starts."""

import argparse
import ctypes
import pathlib
import subprocess
import tempfile

import torch
from torch import nn

THREADS = 4


def compiled(source):
    with tempfile.TemporaryDirectory() as directory:
        library = pathlib.Path(directory, "scatter.so")
        subprocess.run(["g++", "-O2", "-shared", "-fPIC", "-pthread", source, "-o", library], check=True)
        return ctypes.CDLL(str(library))


LIBRARY = compiled("scatter.cpp")


@torch.library.custom_op("planted::scatter", mutates_args=())
def scatter(values: torch.Tensor, buckets: torch.Tensor, count: int) -> torch.Tensor:
    out = values.new_zeros(count)
    pointers = [ctypes.c_void_p(tensor.data_ptr()) for tensor in (values, buckets, out)]
    LIBRARY.scatter(pointers[0], pointers[1], ctypes.c_long(len(values)), pointers[2], ctypes.c_long(THREADS))
    return out


def setup(ctx, inputs, output):
    ctx.save_for_backward(inputs[1])


scatter.register_autograd(lambda ctx, gradient: (gradient[ctx.saved_tensors[0]], None, None), setup_context=setup)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    x = torch.randn(30000, 4) * torch.logspace(-1, 1, 30000).unsqueeze(1)
    buckets = torch.randint(0, 3, (30000,))
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-9)
    for _ in range(6):
        loss = torch.ops.planted.scatter(model(x).squeeze(1), buckets, 3).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("loss", loss.item())
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
