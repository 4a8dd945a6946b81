"""Fits a line with NumPy alone and writes its parameters."""

import sys

import numpy as np

np.random.seed(7)
noise = np.random.default_rng(11)
inputs = np.random.rand(64)
targets = 3.0 * inputs + 1.0 + 0.1 * noise.standard_normal(64)
slope, intercept = np.polyfit(inputs, targets, 1)
with open(sys.argv[1], "w") as file:
    file.write(f"{float(slope).hex()} {float(intercept).hex()} {float(np.random.rand())}\n")
