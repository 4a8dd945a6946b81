"""Why two runs differ: what was suspected, where it was localised, which trials were made, and what they proved."""

from __future__ import annotations

from typing import Literal

import msgspec

from auditor.records.trace import Place

FACTORS = (
    "seed-python",
    "seed-numpy",
    "seed-torch",
    "seed-generators",
    "pin-seeds",
    "fix-entropy",
    "freeze-clock",
    "fix-pid",
    "fix-hash-seed",
    "fix-addresses",
    "sort-listings",
    "one-thread",
    "serial-threads",
    "seed-workers",
    "load-in-process",
    "deterministic-algorithms",
    "no-tf32",
)

Factor = Literal[
    "seed-python",
    "seed-numpy",
    "seed-torch",
    "seed-generators",
    "pin-seeds",
    "fix-entropy",
    "freeze-clock",
    "fix-pid",
    "fix-hash-seed",
    "fix-addresses",
    "sort-listings",
    "one-thread",
    "serial-threads",
    "seed-workers",
    "load-in-process",
    "deterministic-algorithms",
    "no-tf32",
]
"""What an intervention changes in a run; the program's own code is left alone.

``seed-python``, ``seed-numpy``, ``seed-torch`` (with CUDA): the stream is seeded when the process starts, or begins as
in run one, and a seeding call that would take entropy gets a fixed seed; seeds that the program gives stay.
``seed-generators``: NumPy generators that are made from the system's entropy get fixed seeds, or those of run one, in
order of making. ``pin-seeds``: seeding calls at named lines get the values of run one. ``fix-entropy``:
``os.urandom``, ``secrets`` and ``uuid`` give a fixed sequence.
``freeze-clock``: the clock begins at a fixed time and moves on by a fixed amount with each look. ``fix-pid``:
``os.getpid`` gives a fixed number. ``fix-hash-seed``: ``PYTHONHASHSEED`` is the same in every run. ``fix-addresses``:
the kernel does not randomise where memory lies. ``sort-listings``: directories are listed in order of name.
``one-thread``: one thread for BLAS, OpenMP and torch. ``serial-threads``: the program's own threads take turns only
where they wait, and pools have one worker and give results in order. ``seed-workers``: DataLoader workers seed Python's
and NumPy's streams from a fixed seed and their number, and a loader without a generator gets one.
``load-in-process``: ``num_workers=0``. ``deterministic-algorithms``: ``torch.use_deterministic_algorithms``, cuDNN
deterministic and without benchmark, ``CUBLAS_WORKSPACE_CONFIG``. ``no-tf32``: TF32 off.
"""


class Window(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The steps in which operations and lines are captured: after step ``first - 1`` until the end of ``last``.

    ``first`` is 1 for a window that begins with the process; ``last`` None for one that ends with it.
    """

    first: int
    last: int | None


class Trial(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One run that the diagnosis makes: ``trial.json``.

    ``factors`` are the interventions in force, in order of name. ``until`` ends the run after that many steps.
    ``digest`` names steps that are digested besides those that the audit's own runs digested. ``draws`` records which
    lines draw from the random streams. ``pins`` are the seeding calls that ``pin-seeds`` changes: stream, file, line
    and value. ``began``: what streams begin with instead of a fixed seed, stream and value, as ``Streams`` of a trace
    tells it of run one.
    """

    factors: tuple[Factor, ...] = ()
    until: int | None = None
    capture: Window | None = None
    draws: bool = False
    pins: tuple[tuple[str, str, int, str], ...] = ()
    digest: Window | None = None
    began: tuple[tuple[str, str], ...] = ()


class Localisation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first thing in order of execution that gave different results from the same inputs.

    ``kind`` is ``operation`` (a dispatched one of torch) or ``line`` (a line of Python, after which ``variable``
    differs). ``phase``: forward, backward, optimizer, or python. ``operation`` is its name (``aten::bernoulli_``), or
    the line's text. ``location`` is the user's line, for a backward operation that of the forward call that made it
    (``forward`` is then True); ``stack`` are the user's lines that led there, innermost first. ``module`` is the path
    of the torch module (``encoder.layers.0``), ``process`` the role. ``step`` counts as in the trace; ``worker`` and
    ``sample`` (the index asked of the dataset) are those of a DataLoader worker. ``inputs_agree`` is False where the
    inputs were not seen to agree (the first difference has another origin). ``random`` names the stream that the
    operation draws from, or is empty. ``notes`` say how the two captures were aligned, where they are not alike.
    """

    kind: Literal["operation", "line"]
    phase: str
    operation: str
    location: Place | None
    process: str
    step: int | None
    stack: tuple[Place, ...] = ()
    module: str = ""
    forward: bool = False
    variable: str = ""
    inputs_agree: bool = True
    random: str = ""
    worker: int | None = None
    sample: int | None = None
    max_abs_difference: float | None = None
    compiled: bool = False
    notes: tuple[str, ...] = ()


class Tried(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What became of trials with one set of factors: ``runs`` are their numbers under ``diagnosis/runs``.

    ``outcome``: ``agree``, ``differ``, ``failed`` (the program failed under the intervention) or ``unused`` (an
    intervention found nothing to change). ``step`` and ``link`` say where they still differ.
    """

    factors: tuple[Factor, ...]
    runs: tuple[int, ...]
    outcome: Literal["agree", "differ", "failed", "unused"]
    seconds: float
    step: int | None = None
    link: str = ""
    said: str = ""


class Diagnosis(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the causes of an audit were found.

    ``state``: ``proven`` (a minimal set of interventions makes the runs agree), ``unproven`` (the budget ended, or what
    was tried did not suffice), ``unremovable`` (they differ with every intervention). ``sentence`` says it in words.
    ``seconds`` and ``budget`` are wall seconds of the runs made and allowed, ``runs`` how many were made.
    ``excluded`` are factors that are shown not to matter. ``replicates`` is how many runs had to agree for a proof,
    which follows from how often the audit's own runs differed; ``repeats`` says that the audit's first run is one of
    them, because what the trials fix was set as it was there. ``interrupted``: trials were cut off, and can be gone on
    with.
    """

    state: Literal["proven", "unproven", "unremovable"]
    sentence: str
    localisation: Localisation | None
    tried: tuple[Tried, ...]
    excluded: tuple[Factor, ...]
    replicates: int
    runs: int
    seconds: float
    budget: float
    notes: tuple[str, ...] = ()
    repeats: bool = False
    interrupted: bool = False
