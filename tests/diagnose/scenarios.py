"""Programs with one cause each, every one in a forked child of its own; a comment names the line to be found."""

import os
import random
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, Dataset

torch.set_num_threads(1)


def build():
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1))
    return model, torch.optim.SGD(model.parameters(), lr=0.1), torch.linspace(-1, 1, 32).reshape(4, 8)


def train(model, optimizer, batch):
    loss = model(batch).pow(2).mean()  # forward
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


def clean():
    model, optimizer, batch = build()
    started = time.time()
    for _ in range(2):
        train(model, optimizer, batch)
    return time.time() - started


class Dropping(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.ModuleList([nn.Linear(8, 8), nn.Linear(8, 8)])

    def forward(self, x):
        x = self.encoder[0](x)
        x = nn.functional.dropout(x, 0.5)  # dropout
        return self.encoder[1](x)


def dropout():
    started = time.time()
    torch.manual_seed(1)
    model = Dropping()
    batch = torch.ones(4, 8)
    torch.seed()
    model(batch).sum().backward()
    return time.time() - started


class Noisy(Dataset):
    def __len__(self):
        return 6

    def __getitem__(self, index):
        x = np.full(8, index, "float32")
        if index == 3:
            x = x + np.random.default_rng().random(8).astype("float32")  # worker
        return torch.from_numpy(x)


def worker():
    model, optimizer, _ = build()
    for batch in DataLoader(Noisy(), batch_size=2, num_workers=2):
        train(model, optimizer, batch)


def clock():
    model, optimizer, batch = build()
    for _ in range(2):
        rate = 0.1 + time.time() % 1 * 1e-3  # clock
        for group in optimizer.param_groups:
            group["lr"] = rate
        train(model, optimizer, batch)


def hash_order():
    total = torch.zeros(1)
    for word in {f"word{n}" for n in range(20)}:  # hash_order
        total = total * 1.1 + len(word) + int(word[4:])
    return total


class Item:
    def __init__(self, value):
        self.value = value


def address_order():
    keep = [bytearray(os.urandom(1)[0] * 64 + 64) for _ in range(40)]
    items = [Item(n) for n in range(40)]
    total = torch.zeros(1)
    for item in sorted(items, key=lambda one: id(one) * 2654435761 % 2**32):  # address_order
        total = total * 0.9 + item.value
    return total, keep


def sorted_alike_at_first():
    total = torch.zeros(1)
    for item in sorted(range(4), key=lambda one: one * (3 - 2 * RUN) if one else -9):  # sorted_alike_at_first
        total = total * 0.9 + item
    return total


class Shaking(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, gradient):
        noise = torch.frombuffer(bytearray(os.urandom(4)), dtype=torch.uint8).sum() * 1e-4  # shaking
        return gradient * 2 + noise


def shaking():
    model, optimizer, batch = build()
    loss = Shaking.apply(model(batch)).pow(2).mean()
    loss.backward()
    optimizer.step()


class Unsteady(torch.optim.SGD):
    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                p.add_(torch.randn_like(p) * 1e-3)  # unsteady
        return super().step(closure)


def unsteady():
    model, _, batch = build()
    torch.seed()
    train(model, Unsteady(model.parameters(), lr=0.1), batch)


def autocast():
    model, _, batch = build()
    torch.seed()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = model(batch)
        out = out + torch.rand(4, 1)  # autocast
    out.sum().backward()


def recomputed():
    model, optimizer, batch = build()
    drop = nn.Dropout(0.5)
    seen = []

    def block(x):
        x = model[0](x)
        seen.append(1)
        if len(seen) == 2:
            x = x + torch.frombuffer(bytearray(os.urandom(8)), dtype=torch.int64)[0] * 1e-21  # recomputed
        return model[1](x)

    out = checkpoint(block, batch, use_reentrant=False)
    model[2](drop(out)).sum().backward()
    optimizer.step()


def evaluation():
    model, optimizer, batch = build()
    train(model, optimizer, batch)
    with torch.no_grad():
        noise = np.random.default_rng().normal(size=(4, 8)).astype("float32")  # evaluation
        return float(model(batch + torch.from_numpy(noise)).sum())


def branch():
    model, optimizer, batch = build()
    train(model, optimizer, batch)
    threshold = 0.5
    if random.SystemRandom().random() + (RUN - 1.5) * 2 > threshold:  # branch
        batch = batch * 2
        batch = batch + 1
    for _ in range(3):
        train(model, optimizer, batch)


def race():
    model, optimizer, batch = build()
    noise = batch.clone()

    def disturb():
        value = int.from_bytes(os.urandom(6), "little") / 2**48  # race
        noise.add_(value)

    thread = threading.Thread(target=disturb)
    thread.start()
    thread.join()
    train(model, optimizer, noise)


def ranks():
    port = os.path.join(os.environ["SCENARIO_DIRECTORY"], "rendezvous")
    children = []
    for rank in range(2):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                import torch.distributed as dist

                dist.init_process_group("gloo", init_method=f"file://{port}", rank=rank, world_size=2)
                model, _, batch = build()
                parallel = nn.parallel.DistributedDataParallel(model)
                optimizer = torch.optim.SGD(parallel.parameters(), lr=0.1)
                if rank == 1:
                    batch = batch + int.from_bytes(os.urandom(6), "little") * 1e-15  # ranks
                train(parallel, optimizer, batch)
                dist.destroy_process_group()
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    assert all(os.waitpid(child, 0)[1] == 0 for child in children)


def in_place():
    x = torch.zeros(4, 8)
    view = x[1:3]
    torch.seed()
    view.bernoulli_(0.5)  # in_place
    nn.init.normal_(torch.empty(3))
    return x.sum()


def unwritten():
    kept = torch.empty(64, 64)
    array = np.empty(1000)
    array[:] = 1.0
    kept.zero_()
    return kept + float(array.sum())


def pool():
    lock = threading.Lock()
    done = []

    def work(n):
        x = torch.full((4,), float(n)) * 2
        if n == 5:
            x = x + torch.frombuffer(bytearray(os.urandom(8)), dtype=torch.int64)[0]  # pool
        with lock:
            done.append(n)
        return x

    with ThreadPoolExecutor(3) as executor:
        results = list(executor.map(work, range(8)))
    return torch.stack(results).sum()


SCENARIOS = (
    *(clean, dropout, worker, clock, hash_order, address_order, shaking, unsteady, autocast, recomputed),
    *(evaluation, branch, race, ranks, in_place, unwritten, pool, sorted_alike_at_first),
)

if __name__ == "__main__":
    RUN = int(sys.argv[1])
    train(*build())  # what is loaded late is loaded once for all
    for scenario in SCENARIOS:
        if len(sys.argv) > 2 and scenario.__name__ not in sys.argv[2:]:
            continue
        child = os.fork()
        if child == 0:
            code = 1
            try:
                scenario()
                code = 0
            finally:
                os._exit(code)
        if os.waitpid(child, 0)[1] != 0:
            sys.exit(f"{scenario.__name__} failed")
