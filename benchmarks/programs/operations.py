"""Digests of single operations and of small trainings on a processor, to be held against those of another environment.

``python operations.py > here.json`` in one, ``python operations.py here.json`` in the other: what differs is printed.
Runs on Python 3.8 and newer, torch 1.13 and newer.
"""

import hashlib
import json
import sys

import torch
from torch import nn
from torch.nn import functional


def digest(*tensors):
    joined = hashlib.sha256()
    for tensor in tensors:
        joined.update(tensor.detach().contiguous().numpy().tobytes())
    return joined.hexdigest()[:16]


def gradients(module, *shape):
    """The output of a module for random input, and the gradients of its parameters for random ones of the output."""
    output = module(torch.randn(*shape))
    output = output[0] if isinstance(output, tuple) else output
    output.backward(torch.randn_like(output))
    return (output, *(parameter.grad for parameter in module.parameters()))


def attention():
    if not hasattr(functional, "scaled_dot_product_attention"):
        return (torch.zeros(0),)
    return (functional.scaled_dot_product_attention(*(torch.randn(4, 4, 300, 32) for _ in range(3))),)


def cross_entropy():
    return (functional.cross_entropy(torch.randn(20000, 10), torch.randint(0, 10, (20000,))),)


OPERATIONS = {
    "rand": lambda: (torch.rand(100000),),
    "randn": lambda: (torch.randn(100000),),
    "randperm": lambda: (torch.randperm(100000),),
    "bernoulli of a tensor": lambda: (torch.bernoulli(torch.full((100000,), 0.3)),),
    "dropout": lambda: (functional.dropout(torch.ones(200000), 0.3),),
    "multinomial": lambda: (torch.multinomial(torch.rand(1000), 500),),
    "kaiming uniform": lambda: (nn.init.kaiming_uniform_(torch.empty(300, 300)),),
    "truncated normal": lambda: (nn.init.trunc_normal_(torch.empty(1000)),),
    "orthogonal": lambda: (nn.init.orthogonal_(torch.empty(64, 64)),),
    "sum": lambda: (torch.randn(200000).sum(),),
    "mean of rows": lambda: (torch.randn(400, 400).mean(0),),
    "variance": lambda: (torch.randn(64, 50000).var(),),
    "norm": lambda: (torch.randn(200000).norm(),),
    "dot": lambda: (torch.dot(torch.randn(500000), torch.randn(500000)),),
    "cumulative sum": lambda: (torch.randn(300000).cumsum(0),),
    "product": lambda: (torch.randn(64, 1568) @ torch.randn(1568, 128),),
    "product over many": lambda: (torch.randn(8, 20000) @ torch.randn(20000, 8),),
    "product with a vector": lambda: (torch.randn(300, 3000) @ torch.randn(3000),),
    "exp": lambda: (torch.exp(torch.randn(100001)),),
    "tanh": lambda: (torch.tanh(torch.randn(50001)),),
    "gelu": lambda: (functional.gelu(torch.randn(50001)),),
    "log softmax": lambda: (torch.log_softmax(torch.randn(1000, 1000), 1),),
    "cross entropy": cross_entropy,
    "attention": attention,
    "fft": lambda: (torch.view_as_real(torch.fft.fft(torch.randn(1000))),),
    "solve": lambda: (torch.linalg.solve(torch.randn(50, 50), torch.randn(50)),),
    "singular values": lambda: (torch.linalg.svdvals(torch.randn(50, 50)),),
    "convolution": lambda: gradients(nn.Conv2d(1, 16, 5, padding=2), 64, 1, 28, 28),
    "batch norm": lambda: gradients(nn.BatchNorm2d(16), 64, 16, 28, 28),
    "layer norm": lambda: gradients(nn.LayerNorm(64), 2048, 64),
    "lstm": lambda: gradients(nn.LSTM(14, 32, 2, batch_first=True), 64, 30, 14),
}


class Lstm(nn.Module):
    """Reads 64 numbers as eight steps of eight."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(8, 16, batch_first=True)
        self.out = nn.Linear(16, 3)

    def forward(self, x):
        return self.out(self.lstm(x.view(-1, 8, 8))[0][:, -1])


def encoder():
    layer = nn.TransformerEncoderLayer(16, 4, 32, dropout=0.0, batch_first=True)
    return nn.Sequential(nn.Unflatten(1, (4, 16)), layer, nn.Flatten(), nn.Linear(64, 3))


def convolutions():
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 3),
    )  # fmt: skip


def layers(*between):
    return nn.Sequential(nn.Linear(64, 256), *between, nn.Linear(256, 3))


TRAININGS = {
    "train dense layers": (lambda: layers(nn.ReLU(), nn.Linear(256, 256), nn.ReLU()), "adamw"),
    "train dense layers by SGD": (lambda: layers(nn.ReLU(), nn.Linear(256, 256), nn.ReLU()), "sgd"),
    "train convolutions": (convolutions, "adamw"),
    "train batch norm": (lambda: layers(nn.BatchNorm1d(256), nn.ReLU()), "adamw"),
    "train layer norm": (lambda: layers(nn.LayerNorm(256), nn.GELU()), "adamw"),
    "train an encoder": (encoder, "adamw"),
    "train an LSTM": (Lstm, "adamw"),
    "train dropout": (lambda: layers(nn.ReLU(), nn.Dropout(0.2)), "adamw"),
}


def train(make, kind):
    """The state of a model after 96 steps."""
    points = torch.randn(2048, 64)
    labels = (points[:, :8].sum(1) > 0).long() + (points[:, 8:16].sum(1) > 0).long()
    model = make()
    if kind == "sgd":
        optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    else:
        optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    for _ in range(3):
        for rows in torch.randperm(2048).split(64):
            loss = functional.cross_entropy(model(points[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return tuple(model.state_dict().values())


def main():
    found = {}
    for name, operation in OPERATIONS.items():
        torch.manual_seed(1)
        found[name] = digest(*operation())
    for name, (make, kind) in TRAININGS.items():
        torch.manual_seed(1)
        found[name] = digest(*train(make, kind))
    if len(sys.argv) < 2:
        print(json.dumps(found, indent=1))
        return
    with open(sys.argv[1]) as file:
        other = json.load(file)
    print("\n".join(name for name in found if found[name] != other[name]) or "nothing differs")


if __name__ == "__main__":
    main()
