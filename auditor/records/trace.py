"""What one audited process leaves behind, line by line: the probe's wire format, decoded strictly.

Each line of a trace file is one JSON object whose ``t`` names its type. The probe writes these with the
standard library alone; nothing else of it is known to the auditor. Digests are 16 lowercase hexadecimal
digits (64 bits). ``file`` is relative to the project's root where it lies inside it, else absolute.
"""

from __future__ import annotations

import msgspec

PROTOCOL = 1


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="t"):
    """The base of every line of a trace."""


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line of source: ``file`` relative to the project's root (or absolute), ``line`` counted from 1."""

    file: str
    line: int


class Hello(Line, frozen=True, forbid_unknown_fields=True, tag="hello"):
    """The handshake: the first line of every trace.

    ``kind`` is ``exec`` for a new interpreter and ``fork`` for a forked child; ``parent`` is the trace file name
    of the process that forked it, ``child`` its number among that parent's forks (from 1). ``label`` is the script's
    base name, ``-m module`` or ``-c``. ``rank`` and ``local_rank`` are those of the environment.
    """

    protocol: int
    kind: str
    pid: int
    ppid: int
    label: str
    python: str
    implementation: str
    hash_seed: str | None
    rank: str | None
    local_rank: str | None
    parent: str | None
    child: int | None
    ns: int


class Role(Line, frozen=True, forbid_unknown_fields=True, tag="role"):
    """What the process turned out to be; the last one of a trace counts.

    ``rank``/``world`` come from torch.distributed, ``worker``/``loader`` from a DataLoader worker (``loader`` is the
    number of the DataLoader in the parent, from 0), ``process`` is multiprocessing's process name.
    """

    rank: int | None = None
    world: int | None = None
    worker: int | None = None
    loader: int | None = None
    process: str | None = None


class Origin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a distribution was installed from, without anything secret.

    ``kind``: editable, directory, archive, or a version control system (``git``). ``url`` is the path of a directory,
    else an address cut to its host and the end of its path. ``revision`` is a commit, ``digest`` the archive's
    (``sha256:...``); empty where they are not told.
    """

    kind: str
    url: str
    revision: str
    digest: str


class Environment(Line, frozen=True, forbid_unknown_fields=True, tag="environment"):
    """Facts about the interpreter, seen from inside: allow-listed variables and installed distributions.

    ``origins`` holds the distributions whose origin is told, ``locale`` the C library's when the line was sent,
    ``release`` the text of the system's ``os-release`` file, ``cores`` how many processors the process may run on.
    """

    executable: str
    python: str
    implementation: str
    compiler: str
    variables: dict[str, str]
    flags: dict[str, int]
    distributions: dict[str, str]
    libc: str
    ns: int
    origins: dict[str, Origin] = {}
    locale: str = ""
    release: str = ""
    cores: int | None = None


class Torch(Line, frozen=True, forbid_unknown_fields=True, tag="torch"):
    """The torch build and its switches, as in force at the first step (``at`` = ``step``) or at exit (``exit``)."""

    at: str
    version: str
    facts: dict[str, str | int | float | bool | None]
    switches: dict[str, str | int | float | bool | None]


class Gpu(Line, frozen=True, forbid_unknown_fields=True, tag="gpu"):
    """One visible CUDA device of the process."""

    index: int
    name: str
    capability: str
    multiprocessors: int
    memory: int


class Seed(Line, frozen=True, forbid_unknown_fields=True, tag="seed"):
    """One seeding call: ``stream`` is python, numpy, torch or torch-cuda; ``value`` None means from entropy.

    ``drawn``: whether the stream had been drawn from before it was seeded for the first time (None: a later seeding,
    or not told).
    """

    stream: str
    value: str | None
    place: Place | None
    caller: Place | None
    step: int
    drawn: bool | None = None


class Generator(Line, frozen=True, forbid_unknown_fields=True, tag="generator"):
    """One ``numpy.random`` generator made; ``seeded`` is False where it drew its seed from the system's entropy.

    ``value`` is the seed where it is an integer.
    """

    index: int
    kind: str
    seeded: bool
    source: str
    place: Place | None
    step: int
    value: str | None = None


class Loader(Line, frozen=True, forbid_unknown_fields=True, tag="loader"):
    """One ``torch.utils.data.DataLoader`` made."""

    index: int
    workers: int
    batch_size: int | None
    sampler: str
    generator: bool
    worker_init_fn: bool
    persistent: bool
    place: Place | None


class Entropy(Line, frozen=True, forbid_unknown_fields=True, tag="entropy"):
    """The first read of the outside world by a line of user code.

    ``kind``: clock, pid, urandom, uuid, listing, numpy-entropy. ``order`` is, for listings, the digest of the names in
    the order in which the program got them, and ``names`` the digest of the sorted names.
    """

    kind: str
    place: Place | None
    step: int
    order: str | None = None
    names: str | None = None


class StaleRead(Line, frozen=True, forbid_unknown_fields=True, tag="stale-read"):
    """A file outside the project that changed between the audit's start and this run's start, and was read."""

    path: str
    place: Place | None
    step: int


class Unwatched(Line, frozen=True, forbid_unknown_fields=True, tag="unwatched"):
    """A Python child that was started so that the probe could not enter it (a cleared environment, ``-I``)."""

    child: str
    place: Place | None
    step: int


class Unseen(Line, frozen=True, forbid_unknown_fields=True, tag="unseen"):
    """Something that training did and the probe could not read, in words (``the final parameters of optimizer 2``)."""

    what: str
    step: int


class Unordered(Line, frozen=True, forbid_unknown_fields=True, tag="unordered"):
    """Several threads of the process train: their optimizers have no fixed order, and compare only all together."""

    threads: int


class Optimizer(Line, frozen=True, forbid_unknown_fields=True, tag="optimizer"):
    """The parameters that one optimizer (``index`` from 0, in order of making) moves, in its own order.

    ``groups`` is how many consecutive tensors share one part of ``parts`` strings (1 where each has its own), and
    ``width`` how many characters one part takes. For a program that updates by hand, ``kind`` is ``by-hand``.
    """

    index: int
    kind: str
    names: list[str]
    shapes: list[list[int]]
    dtypes: list[str]
    groups: int
    width: int


class Init(Line, frozen=True, forbid_unknown_fields=True, tag="init"):
    """The parameters of one optimizer before its first step."""

    optimizer: int
    digest: str
    parts: str
    kept: str | None = None


class Loss(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What ``backward`` started from since the last step: ``count`` calls, their chained digest.

    ``values`` holds the first few scalar losses as ``float.hex()`` (``nan`` for every NaN); empty if not scalar.
    """

    count: int
    digest: str
    values: list[str]


class Batch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The model's inputs since the last step: ``count`` captured inputs, their chained digest, one part each.

    ``sources`` names them in order: ``loader 0`` for what a DataLoader yielded, else the module's class name.
    ``parts`` holds 4 characters for each.
    """

    count: int
    digest: str
    sources: list[str]
    parts: str


class Step(Line, frozen=True, forbid_unknown_fields=True, tag="step"):
    """One digested step; ``n`` counts all steps of the process from 1, ``optimizer`` the one that stepped.

    ``gradients`` and ``parameters`` are digests over all tensors, ``*_parts`` short per-tensor digests used only to
    name the first that differs. ``streams``: state digests after the step, by stream (python, numpy,
    numpy-generator, torch, torch-cuda). A link that could not be seen is None. ``ns`` counts from the handshake.
    ``optimizer`` is -1 for losses after the last step.
    ``kept`` says where this step's values lie, if they were kept: blocks in the safetensors format inside files of the
    run's ``tensors/``, written ``file:offset:length`` and separated by spaces. Their tensors are named ``g:<i>``
    (gradient) and ``p:<i>`` (parameter after the step), ``i`` being the index in ``Optimizer.names``.
    """

    n: int
    optimizer: int
    batch: Batch | None
    loss: Loss | None
    gradients: str | None
    gradients_parts: str
    parameters: str | None
    parameters_parts: str
    streams: dict[str, str]
    ns: int
    kept: str | None = None


class Final(Line, frozen=True, forbid_unknown_fields=True, tag="final"):
    """The parameters of one optimizer when they were last there to be read.

    ``at``: ``exit``, ``collected`` (it was discarded) or ``replaced`` (another optimizer took its first step).
    """

    optimizer: int
    at: str
    digest: str
    parts: str
    kept: str | None = None


class Streams(Line, frozen=True, forbid_unknown_fields=True, tag="streams"):
    """The random streams at the end, with whether each was drawn from since it was last seeded (or first seen).

    ``began`` tells of each stream that was drawn from before any seeding what it began with, so that another run may
    begin alike: of python and numpy the state (hex), of torch the seed, of numpy-generator the seeds that NumPy drew
    from the system (hex), in order.
    """

    states: dict[str, str]
    drawn: dict[str, bool]
    began: dict[str, tuple[str, ...]] = {}


class Worker(Line, frozen=True, forbid_unknown_fields=True, tag="worker"):
    """A DataLoader worker's randomness at its ``start`` and ``end``.

    ``streams`` are state digests of the global streams; ``held`` those of the generators that the dataset object holds,
    by attribute path (``rng``, ``transform.rng``).
    """

    at: str
    loader: int
    worker: int
    workers: int
    streams: dict[str, str]
    held: dict[str, str]


class Build(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    """A shared object's GNU build id (hexadecimal; empty where it has none), size and time of modification (ns).

    All are empty or 0 where the file could not be read.
    """

    id: str
    size: int
    modified: int


class Libraries(Line, frozen=True, forbid_unknown_fields=True, tag="libraries"):
    """Shared objects mapped into the process at its end, by real path; ``builds`` says of each which build it is."""

    mapped: list[str]
    builds: list[Build] = []


class DataFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    """A file that was opened for reading: its name, its size and time of modification (ns) before that.

    ``name`` is relative to the project inside it, else absolute.
    """

    name: str
    size: int
    modified: int


class Data(Line, frozen=True, forbid_unknown_fields=True, tag="data"):
    """The regular files that the process opened for reading and the run had not written, outside packages and system.

    Of more than are told (``more``), ``files`` holds those whose names' 64-bit BLAKE2b digests are lowest: the same
    ones in whatever order they are read.
    """

    files: list[DataFile]
    more: bool


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    """One of the project's own source files: its name relative to the project, and the digest of its bytes."""

    name: str
    digest: str


class Sources(Line, frozen=True, forbid_unknown_fields=True, tag="sources"):
    """The project's own source files that the process imported; ``left_out`` counts those that could not be read."""

    files: list[Source]
    left_out: int


class OpenBlas(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One OpenBLAS in the process: its file's name, the core that it chose kernels for, and its threads."""

    file: str
    core: str | None
    threads: int | None


class Numerics(Line, frozen=True, forbid_unknown_fields=True, tag="numerics"):
    """What the numerical libraries said of themselves at the end of the process; None where one could not be asked.

    ``numpy``: the CPU features that it uses beyond its baseline. ``mkl``: the branch of ``mkl_cbwr_get_auto_branch``.
    ``onednn``: the instruction set of ``dnnl_get_effective_cpu_isa``.
    """

    numpy: list[str] | None
    openblas: list[OpenBlas]
    mkl: int | None
    onednn: int | None


class Perturbed(Line, frozen=True, forbid_unknown_fields=True, tag="perturbed"):
    """A factor that the probe varied or fixed on purpose in this process, told once it takes effect.

    ``factor``: directory-order, or one of ``auditor.records.diagnosis.FACTORS``.
    """

    factor: str
    how: str


class Draw(Line, frozen=True, forbid_unknown_fields=True, tag="draw"):
    """A line of user code that drew from a random stream, told once for each line and stream, where that was asked for.

    ``seeded`` says whether the stream had been seeded by then. ``step`` is the number of steps that had been taken.
    """

    stream: str
    place: Place
    seeded: bool
    step: int


class Fault(Line, frozen=True, forbid_unknown_fields=True, tag="fault"):
    """The probe's own failure: ``where`` in it, what was raised, and the step. Evidence may be missing after it."""

    where: str
    error: str
    step: int


class End(Line, frozen=True, forbid_unknown_fields=True, tag="end"):
    """The last line of a trace that was closed properly.

    ``why``: exit, os._exit, os.exec, steps (stopped on purpose after ``--steps``). ``probe_ns`` is the processor time
    that the probe itself spent.
    """

    why: str
    steps: int
    backwards: int
    digested: int
    probe_ns: int
    ns: int


TraceLine = (
    Hello
    | Role
    | Environment
    | Torch
    | Gpu
    | Seed
    | Generator
    | Loader
    | Entropy
    | StaleRead
    | Unwatched
    | Unseen
    | Unordered
    | Optimizer
    | Init
    | Step
    | Final
    | Streams
    | Worker
    | Libraries
    | Data
    | Sources
    | Numerics
    | Perturbed
    | Draw
    | Fault
    | End
)


class ProcessTrace(msgspec.Struct, frozen=True):
    """The trace of one process, sorted by kind of line; ``problem`` says what is wrong with the file, if anything.

    ``role`` is what processes of two runs are aligned by: ``main``, ``rank 0``, ``main/worker 0.1`` (loader.worker),
    ``main/SpawnProcess-1``, ``evaluate.py`` and so on; unique within a run.
    """

    file: str
    role: str
    hello: Hello
    environment: Environment | None
    torch: tuple[Torch, ...]
    gpus: tuple[Gpu, ...]
    seeds: tuple[Seed, ...]
    generators: tuple[Generator, ...]
    loaders: tuple[Loader, ...]
    entropy: tuple[Entropy, ...]
    stale_reads: tuple[StaleRead, ...]
    unwatched: tuple[Unwatched, ...]
    unseen: tuple[Unseen, ...]
    unordered: bool
    optimizers: tuple[Optimizer, ...]
    inits: tuple[Init, ...]
    steps: tuple[Step, ...]
    finals: tuple[Final, ...]
    streams: Streams | None
    workers: tuple[Worker, ...]
    libraries: tuple[str, ...]
    perturbed: tuple[Perturbed, ...]
    faults: tuple[Fault, ...]
    end: End | None
    problem: str | None = None
    builds: dict[str, Build] = {}
    data: tuple[Data, ...] = ()
    sources: tuple[Sources, ...] = ()
    numerics: Numerics | None = None
    draws: tuple[Draw, ...] = ()

    @property
    def in_force(self) -> Torch | None:
        """What torch said of itself at the first step, or else at the end; None where there is no torch."""
        at_step = [line for line in self.torch if line.at == "step"] or list(self.torch)
        return at_step[-1] if at_step else None
