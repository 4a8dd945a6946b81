"""What identical replicates prove about how often a command may still diverge."""

from __future__ import annotations


def excludes_rate_above(replicates: int, confidence: float = 0.95) -> float:
    """Return the divergence rate (0 to 1) that ``replicates`` identical runs exclude with ``confidence``.

    A command whose runs differ from the first one with probability p leaves k − 1 comparisons all identical with
    probability (1 − p)^(k−1); the rates for which that is below 1 − confidence are excluded: everything above
    1 − (1 − confidence)^(1/(k−1)). With fewer than two runs nothing is excluded: 1.0.

    Raises ValueError for a confidence outside (0, 1).
    """
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
    if replicates < 2:
        return 1.0
    return float(1.0 - (1.0 - confidence) ** (1.0 / (replicates - 1)))
