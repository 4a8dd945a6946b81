"""Arithmetic on lists."""


def mean(values):
    return sum(values) / len(values)


def multiply(a, b):
    return [x * y for x, y in zip(a, b, strict=True)]


def subtract(a, b):
    return [x - y for x, y in zip(a, b, strict=True)]
