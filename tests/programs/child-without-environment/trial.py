"""Fit once and print the error."""

import sys

import numpy as np

rate = float(sys.argv[1])
rng = np.random.default_rng(int(sys.argv[2]) if len(sys.argv) > 2 else None)
w = rng.normal(size=3)
for _ in range(100):
    x = rng.normal(size=3)
    w -= rate * (w @ x - x.sum()) * x
print(rate, w)
