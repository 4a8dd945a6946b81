"""Seeds for the random streams of a program that computes with NumPy.

Call ``rng = seed_everything(seed)`` before anything is drawn, draw from ``rng``, and give each worker one of
``generators(seed, count)``. Out of reach from here: where the order of a set of strings matters, set PYTHONHASHSEED
before Python starts; and what takes a ``random_state`` (scikit-learn) has to be given one.
"""

from __future__ import annotations

import random

import numpy


def seed_everything(seed: int) -> numpy.random.Generator:
    """Seed Python's random module and NumPy's global stream, and return a Generator of that seed."""
    random.seed(seed)
    numpy.random.seed(seed % 2**32)  # the global stream only: a Generator has a seed of its own
    return numpy.random.default_rng(seed)


def generators(seed: int, count: int) -> list[numpy.random.Generator]:
    """As many Generators whose streams have nothing to do with one another: for workers, folds or processes."""
    return [numpy.random.default_rng(child) for child in numpy.random.SeedSequence(seed).spawn(count)]
