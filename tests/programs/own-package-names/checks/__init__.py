"""Guards against numerical accidents."""

import math


def finite(loss):
    if not math.isfinite(loss.item()):
        raise FloatingPointError("the loss is not finite")
