"""A model's steps in one process: plain, captured, and under PyTorch's own DebugMode with hashes, in turn.

``python captured.py MODEL STEPS RESULT``; run with the probe let in, and a window that this program opens by itself.
"""

import json
import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(width), nn.BatchNorm2d(width)])

    def forward(self, x):
        inner = functional.relu(self.norms[0](self.first(x)))
        return functional.relu(x + self.norms[1](self.second(inner)))


def mlp():
    layers = [nn.Linear(512, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Dropout(0.1), nn.Linear(1024, 10)]
    return nn.Sequential(*layers), torch.randn(256, 512), torch.randint(0, 10, (256,))


def cnn():
    stem = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU())
    blocks = [Residual(32) for _ in range(4)]
    model = nn.Sequential(stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))
    return model, torch.randn(16, 3, 32, 32), torch.randint(0, 10, (16,))


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(1000, 128)
        layer = nn.TransformerEncoderLayer(128, 4, 512, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
        self.head = nn.Linear(128, 10)

    def forward(self, tokens):
        return self.head(self.encoder(self.embedding(tokens)).mean(1))


def transformer():
    return Transformer(), torch.randint(0, 1000, (16, 64)), torch.randint(0, 10, (16,))


MODELS = {"mlp": mlp, "cnn": cnn, "transformer": transformer}


def main(name, steps, result):
    torch.set_num_threads(1)
    torch.manual_seed(1)
    model, batch, target = MODELS[name]()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step():
        began = time.perf_counter()
        loss = functional.cross_entropy(model(batch), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return time.perf_counter() - began

    for _ in range(3):
        step()
    plain, captured, debugged = [], [], []
    records = 0
    for _ in range(steps):
        plain.append(step())
        captured.append(_captured(step))
        seconds, records = _debugged(step)
        debugged.append(seconds)
    with open(result, "w") as file:
        figures = {"plain": plain, "captured": captured, "debugged": debugged, "debugged_bytes": records}
        json.dump(figures, file)
    print(name, *(f"{statistics.median(times) * 1e3:.1f} ms" for times in (plain, captured, debugged)))


def _captured(step):
    """A step in a window of its own; opening and closing it are not the step's."""
    import _auditor_probe.bootstrap

    capture = _auditor_probe.bootstrap._session.capture
    capture._closed = False
    capture.open()
    try:
        return step()
    finally:
        capture.close()


def _debugged(step):
    """A step under DebugMode with hashes of all tensors, as (seconds, bytes of what it tells)."""
    from torch.utils._debug_mode import DebugMode

    with DebugMode(record_nn_module=True) as mode, DebugMode.log_tensor_hashes(hash_inputs=True):
        seconds = step()
    return seconds, len(mode.debug_string().encode())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
