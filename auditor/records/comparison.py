"""What comparing two runs found: values, differences, the first divergence, and what could not be compared."""

from __future__ import annotations

import msgspec

from auditor.records.trace import Place


class Divergence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first place where two runs differ.

    ``link``: init, batch, loss, gradients, parameters, steps (their number), final, streams, metric, checkpoint.
    ``step`` is None for what has no step; ``last_identical_step`` is the last digested step before it that agreed (0:
    none). ``quantity`` names what differs first (``encoder.weight``, ``loss``, ``results.json:test.rmse``).
    ``max_abs_difference`` is None where the values were not kept or are not numbers (``reason`` says why).
    ``operation`` and ``location`` are filled by diagnosis.
    """

    step: int | None
    link: str
    process: str
    quantity: str
    max_abs_difference: float | None
    last_identical_step: int | None = None
    reason: str = ""
    runs: tuple[int, int] = (1, 2)
    operation: str | None = None
    location: Place | None = None


class Metric(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One number (or series) that every run reported.

    ``values[i]`` is the i-th run's series (one value for a scalar; NaN and infinities as ``nan``/``inf``/``-inf``
    strings). ``declared`` by the user or ``found`` in a result file. ``volatile`` says why it decides nothing, or is
    empty; ``problem`` why it could not be compared, or is empty. ``max_abs_difference`` is over all runs, None if not
    computable.
    """

    name: str
    source: str
    declared: bool
    values: tuple[tuple[float | str, ...], ...]
    identical: bool
    max_abs_difference: float | None
    tolerance: float
    volatile: str = ""
    problem: str = ""


class ArtefactDifference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file's comparison.

    ``kind``: tensors, numbers, opaque, log. ``outcome``: identical, differs, volatile (differs, decides nothing),
    undecided (differs and could not be read), missing (in one run only). ``detail`` says what and why.
    ``tensors`` counts the tensors or numbers compared.
    """

    path: str
    kind: str
    outcome: str
    detail: str
    tensors: int = 0
    max_abs_difference: float | None = None


class Compared(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much was compared equal or not: what a verdict may rest on.

    ``steps`` were digested in both runs and compared, of the ``steps_taken`` that the runs took.
    """

    steps: int = 0
    steps_taken: int = 0
    parameter_digests: int = 0
    gradient_digests: int = 0
    losses: int = 0
    batches: int = 0
    checkpoint_tensors: int = 0
    metrics: int = 0
    drawn_streams: int = 0


class Comparison(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The outcome of comparing all replicates with the first run.

    ``divergences`` holds the first divergence of each run that differs, the earliest first. ``gaps`` are evidence
    that is missing, truncated or unaligned (each rules out a pass); ``notes`` are worth saying but decide nothing.
    ``unsound`` repeats those gaps that speak against the runs themselves or their metrics (a stale read, a metric that
    was not found): they rule out ``seed-stable`` too.
    """

    compared: Compared
    divergences: tuple[Divergence, ...]
    metrics: tuple[Metric, ...]
    artefacts: tuple[ArtefactDifference, ...]
    gaps: tuple[str, ...]
    notes: tuple[str, ...]
    handshake: bool
    identical_until: int | None
    unsound: tuple[str, ...] = ()
