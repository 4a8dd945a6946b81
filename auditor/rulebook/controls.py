"""The controls: what the levels demand to be held fixed, and whether the traces show that it was."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from auditor.records.audit import Finding, LevelName
from auditor.records.control import Control, Held
from auditor.records.evidence import RunEvidence
from auditor.records.fingerprint import Fingerprint, Known
from auditor.records.streams import inherits, worker_end, worker_start, worker_states
from auditor.records.trace import Place, Seed, Worker

Observed = tuple[Held, str]
Demands = dict[LevelName, str]

_DRAWS: Demands = {
    "bit-exact": "another draw is another result",
    "seed-stable": "the same seed must give the same draws",
    "distribution-stable": "seeds must be all that differs between the runs",
}
_STREAMS = {
    "python": "python-stream",
    "numpy": "numpy-stream",
    "torch": "torch-stream",
    "torch-cuda": "torch-cuda-stream",
}
_NO_CUDA = "no CUDA device was used"
_NO_TORCH = "torch was not used"
_TF32_FROM = 80  # the compute capability of the first devices that have it
# https://docs.nvidia.com/cuda/cublas/#results-reproducibility
_WORKSPACES = (":4096:8", ":16:8")
_OWN_WORKSPACE = (2, 10)  # https://github.com/pytorch/pytorch/pull/161749
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# Which variable holds what each library dispatches to: by the fact that says what that was.
_DISPATCH = {
    "dispatch": ("torch", ("ATEN_CPU_CAPABILITY",)),
    "dispatch:mkl": ("MKL", ("MKL_CBWR",)),
    "dispatch:onednn": ("oneDNN", ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")),
    "dispatch:numpy": ("NumPy", ("NPY_DISABLE_CPU_FEATURES",)),
    "dispatch:openblas": ("OpenBLAS", ("OPENBLAS_CORETYPE",)),
}
_READS = {
    "urandom": "the system's entropy",
    "uuid": "a random UUID",
    "pid": "the process's number",
    "numpy-entropy": "entropy through NumPy",
}
_LONGEST_SEED = 24


def controls(
    runs: Sequence[RunEvidence], fingerprint: Fingerprint, findings: Sequence[Finding], agreed: bool
) -> tuple[Control, ...]:
    """What the runs of one seed show of each control; empty where the probe entered none of their processes.

    ``findings`` are what the rules found: some of what the controls are about shows in the source alone. ``agreed`` is
    whether the runs were bit-exact. It settles what differs between runs by its nature, such as the hash seed, which is
    varied on purpose: where the runs agree all the same, it does not reach their results.
    """
    if not any(run.processes for run in runs):
        return ()
    seen = _Seen(runs, fingerprint, findings)
    return tuple(
        Control(name, demands, observed, verdict) for name, demands, (verdict, observed) in _rows(seen, agreed)
    )


class _Seen:
    """What the rows look at: every process of the runs, what torch said, the facts of the environment."""

    def __init__(self, runs: Sequence[RunEvidence], fingerprint: Fingerprint, findings: Sequence[Finding]) -> None:
        self.runs = runs
        self.findings = findings
        self.traces = [trace for run in runs for trace in run.processes]
        said = [line for trace in self.traces for line in trace.torch]
        self.torch = [line for line in said if line.at == "step"] or said
        self._fingerprint = fingerprint
        self.variables: dict[str, str] = {}
        for trace in self.traces:
            self.variables.update(trace.environment.variables if trace.environment is not None else {})
        used = self.fact("run", "uses:cuda")
        self.cuda = used if isinstance(used, bool) else None

    def fact(self, layer: str, name: str) -> object:
        """A fact's value, or None where it is not known."""
        fact = self._fingerprint.layers.get(layer, {}).get(name)
        return fact.value if isinstance(fact, Known) else None

    def switch(self, name: str) -> set[object]:
        """The values that a switch of torch had."""
        return {line.switches.get(name) for line in self.torch}

    @property
    def no_cuda(self) -> Observed | None:
        """Why a control of CUDA's kernels is not looked at; None where it is."""
        if not self.torch:
            return "not-applicable", _NO_TORCH
        if self.cuda is None:
            return "unknown", "whether a CUDA device was used is not known"
        return None if self.cuda else ("not-applicable", _NO_CUDA)


def _rows(seen: _Seen, agreed: bool) -> Iterator[tuple[str, Demands, Observed]]:
    for stream, name in _STREAMS.items():
        yield name, _DRAWS, _told(seen, _stream(seen, stream))
    yield "numpy-generators", _DRAWS, _told(seen, _generators(seen))
    yield (
        "dataloader-workers",
        {
            "bit-exact": "each worker draws from a stream of its own",
            "seed-stable": "each worker draws from a stream of its own",
            "distribution-stable": "workers that begin alike make the same choices",
        },
        _workers(seen),
    )
    yield (
        "entropy",
        {"bit-exact": "it is another value in each run", "seed-stable": "it is another value in each run"},
        _told(seen, _entropy(seen, agreed)),
    )
    yield (
        "hash-seed",
        {
            "bit-exact": "it decides the order of sets of strings",
            "seed-stable": "it decides the order of sets of strings",
        },
        _hash_seed(seen, agreed),
    )
    adds: Demands = {"bit-exact": "kernels may add in whatever order their threads arrive"}
    yield "deterministic-algorithms", adds, _deterministic(seen)
    yield "cudnn-benchmark", {"bit-exact": "timing decides which algorithm is used"}, _cudnn_benchmark(seen)
    yield "cudnn-deterministic", {"bit-exact": "some of its algorithms add in any order"}, _cudnn_deterministic(seen)
    yield "cublas-workspace", {"bit-exact": "streams that share a workspace race for it"}, _cublas(seen)
    yield "tf32", {"seed-stable": "a device or a release without it rounds from the fourth digit on"}, _tf32(seen)
    yield (
        "threads",
        {"seed-stable": "sums are shared out among them, and another machine has more or fewer"},
        _threads(seen),
    )
    yield (
        "vector-dispatch",
        {"seed-stable": "another processor gets kernels of another width, which round otherwise"},
        _dispatch(seen),
    )
    yield (
        "library-versions",
        {
            "seed-stable": "other releases compute and draw otherwise",
            "distribution-stable": "other releases have other defaults",
        },
        _versions(seen),
    )


def _told(seen: _Seen, observed: Observed) -> Observed:
    """What was observed, unless nothing speaks against it but that a process did not tell to its end."""
    silent = next((trace for trace in seen.traces if trace.end is None and not trace.workers), None)
    if silent is None or observed[0] == "not-controlled" or observed[1] in (_NO_CUDA, _NO_TORCH):
        return observed
    return "unknown", f"{silent.role} did not tell to its end"


# Random streams


def _stream(seen: _Seen, stream: str) -> Observed:
    if stream == "torch-cuda" and seen.no_cuda is not None:
        return seen.no_cuda
    drew = [trace for trace in seen.traces if trace.streams is not None and trace.streams.drawn.get(stream)]
    # torch seeds its workers itself, which has a row of its own.
    drew = [trace for trace in drew if not trace.workers]
    if not drew:
        return "not-applicable", "not drawn from"
    by_role: dict[str, list[tuple[str | None, ...]]] = defaultdict(list)
    first: Seed | None = None
    for trace in drew:
        seeds = [seed for seed in trace.seeds if seed.stream == stream]
        if not seeds:
            if not inherits(trace, stream):
                return "not-controlled", f"drawn from in {trace.role} and never seeded"
            continue
        wrong = next((seed for seed in seeds if seed.value is None), None)
        if wrong is not None:
            return "not-controlled", f"seeded from the system's entropy{_at(wrong.place)}"
        if seeds[0].drawn:
            return "not-controlled", f"drawn from before it is first seeded{_at(seeds[0].place)}"
        by_role[trace.role].append(tuple(seed.value for seed in seeds))
        first = first or seeds[0]
    for role, values in by_role.items():
        if len(set(values)) > 1:
            return "not-controlled", f"seeded with other values in each run ({role})"
    if first is None:
        return "unknown", "drawn from in forked children only; their parent's seed is not known"
    value = first.value or ""
    shown = value if len(value) <= _LONGEST_SEED else f"{value[: _LONGEST_SEED - 1]}…"
    return "controlled", f"seeded with {shown}{_at(first.place)}"


def _generators(seen: _Seen) -> Observed:
    made = [generator for trace in seen.traces for generator in trace.generators]
    if not made:
        return "not-applicable", "none was made"
    unseeded = [generator for generator in made if not generator.seeded]
    if unseeded:
        count = len({generator.place for generator in unseeded})
        where = _at(next((one.place for one in unseeded if one.place is not None), None))
        return "not-controlled", f"made without a seed{where}" + (f" and {count - 1} more lines" if count > 1 else "")
    by_role: dict[str, set[tuple[str | None, ...]]] = defaultdict(set)
    for trace in seen.traces:
        by_role[trace.role].add(tuple(generator.value for generator in trace.generators))
    other = next((role for role, values in by_role.items() if len(values) > 1), None)
    if other is not None:
        return "not-controlled", f"made from other seeds in each run ({other})"
    return "controlled", "all made from seeds"


def _workers(seen: _Seen) -> Observed:
    loaders = [loader for trace in seen.traces for loader in trace.loaders if loader.workers > 0]
    if not loaders:
        return "not-applicable", "no DataLoader has workers"
    starts: dict[str, list[dict[str, str]]] = defaultdict(list)
    drew: dict[str, set[str]] = defaultdict(set)
    for trace in seen.traces:
        start, end = worker_start(trace), worker_end(trace)
        if start is not None:
            starts[trace.role].append(worker_states(start))
            # Of a worker that was ended from outside nobody knows whether it drew.
            drew[trace.role].update(worker_states(start) if end is None else _drawn(start, end))
    if not starts:
        return "unknown", "the workers left no trace"
    for role, states in sorted(starts.items()):
        names = [name for name in sorted(drew[role]) if len({one.get(name) for one in states}) > 1]
        if names:
            return "not-controlled", f"{role} begins with {' and '.join(names)} in another state in each run"
    alike = _alike(seen)
    if alike:
        return "not-controlled", f"workers begin with {alike} in the same state and draw from it"
    if len(seen.runs) < 2:
        return "unknown", "one run does not tell whether they begin alike in the next"
    return "controlled", "each begins with streams of its own, the same in every run"


def _alike(seen: _Seen) -> str:
    """Which generator several workers of one loader begin with in one state, and draw from; empty for none."""
    for run in seen.runs:
        begun: dict[tuple[str, int, str, str], set[int]] = defaultdict(set)
        for trace in run.processes:
            start, end = worker_start(trace), worker_end(trace)
            if start is None or end is None:
                continue
            states = worker_states(start)
            for name in _drawn(start, end):
                begun[trace.role.rpartition("/")[0], start.loader, name, states[name]].add(start.worker)
        for (_, _, name, _), workers in sorted(begun.items()):
            if len(workers) > 1:
                return name
    return ""


def _drawn(start: Worker, end: Worker) -> list[str]:
    """What a worker drew from."""
    ended = worker_states(end)
    return [name for name, state in worker_states(start).items() if ended.get(name, state) != state]


# What differs from run to run


def _entropy(seen: _Seen, agreed: bool) -> Observed:
    made = {one.place for trace in seen.traces for one in trace.generators if one.place and not one.seeded}
    read = [one for trace in seen.traces for one in trace.entropy if one.kind in _READS and (one.place not in made)]
    # A random.Random() takes it inside the interpreter, where it is not watched.
    made_unseeded = [one for one in seen.findings if one.rule == "unseeded-python-generator"]
    if not read and not made_unseeded:
        clock = any(one.kind == "clock" for trace in seen.traces for one in trace.entropy)
        return "controlled", "no line of the program reads any" + (" but the clock" if clock else "")
    if not read:
        what = f"a random.Random is made without a seed{_at(made_unseeded[0].location)}"
        return ("not-applicable", f"{what}; the runs agree all the same") if agreed else ("not-controlled", what)
    what = f"{_READS[read[0].kind]} is read{_at(read[0].place)}"
    count = len({one.place for one in read})
    what += f" and on {count - 1} more lines" if count > 1 else ""
    return ("not-applicable", f"{what}; the runs agree all the same") if agreed else ("not-controlled", what)


def _hash_seed(seen: _Seen, agreed: bool) -> Observed:
    values = {trace.hello.hash_seed for trace in seen.traces if trace.hello.kind != "fork"}
    varied = [run.run.varied.get("PYTHONHASHSEED", "") for run in seen.runs]
    if varied and all("set by the user" in text for text in varied) and len(values) == 1:
        return "controlled", f"PYTHONHASHSEED={values.pop()}"
    if any("(kept)" in text for text in varied):
        return "not-controlled", "the audit kept it the same, the program's environment does not"
    if agreed and len(values) > 1:
        return "not-applicable", "another one in each run, on purpose; the runs agree all the same"
    return "not-controlled", "not set: another one in each process"


# Kernels


def _deterministic(seen: _Seen) -> Observed:
    if seen.no_cuda is not None:
        return seen.no_cuda
    if seen.switch("deterministic_algorithms") != {True}:
        return "not-controlled", "torch.use_deterministic_algorithms is off"
    if True in seen.switch("deterministic_warn_only"):
        return "not-controlled", "torch.use_deterministic_algorithms only warns"
    return "controlled", "torch.use_deterministic_algorithms is on"


def _no_cudnn(seen: _Seen) -> Observed | None:
    if seen.no_cuda is not None:
        return seen.no_cuda
    if all(line.facts.get("cudnn") is None for line in seen.torch):
        return "not-applicable", "torch could use no cuDNN"
    return ("not-applicable", "cuDNN is off") if seen.switch("cudnn_enabled") == {False} else None


def _cudnn_benchmark(seen: _Seen) -> Observed:
    not_looked_at = _no_cudnn(seen)
    if not_looked_at is not None:
        return not_looked_at
    on = True in seen.switch("cudnn_benchmark")
    return ("not-controlled", "on") if on else ("controlled", "off")


def _cudnn_deterministic(seen: _Seen) -> Observed:
    not_looked_at = _no_cudnn(seen)
    if not_looked_at is not None:
        return not_looked_at
    if seen.switch("cudnn_deterministic") == {True}:
        return "controlled", "on"
    # https://docs.pytorch.org/docs/stable/notes/randomness.html#cuda-convolution-determinism
    verdict, _ = _deterministic(seen)
    return (
        ("controlled", "by torch.use_deterministic_algorithms")
        if verdict == "controlled"
        else ("not-controlled", "off")
    )


def _cublas(seen: _Seen) -> Observed:
    if seen.no_cuda is not None:
        return seen.no_cuda
    if any(line.facts.get("hip") for line in seen.torch):
        return "not-applicable", "torch is built for ROCm"
    if all(_release(line.version) >= _OWN_WORKSPACE for line in seen.torch):
        return "not-applicable", "torch gives cuBLAS a workspace of its own"
    name = "CUBLAS_WORKSPACE_CONFIG"
    later = [line.facts["cublas_workspace"] for line in seen.torch if "cublas_workspace" in line.facts]
    value = next((value for value in later if value), None) or seen.variables.get(name)
    if value is None and not later:
        return "unknown", f"{name} was not set when the program began; it may have set it itself"
    if value is None:
        return "not-controlled", f"{name} is not set"
    return ("controlled" if value in _WORKSPACES else "not-controlled"), f"{name}={value}"


def _release(version: str) -> tuple[int, ...]:
    found = re.match(r"(\d+)\.(\d+)", version)
    return tuple(map(int, found.groups())) if found else (0, 0)


def _tf32(seen: _Seen) -> Observed:
    if seen.no_cuda is not None:
        return seen.no_cuda
    capabilities = {gpu.capability for trace in seen.traces for gpu in trace.gpus}
    numbers = [int(text.removeprefix("sm_")) for text in capabilities if text.removeprefix("sm_").isdigit()]
    if numbers and max(numbers) < _TF32_FROM:
        return "not-applicable", f"the device has none ({', '.join(sorted(capabilities))})"
    if seen.variables.get("NVIDIA_TF32_OVERRIDE") == "0":
        return "controlled", "NVIDIA_TF32_OVERRIDE=0"
    precision = seen.switch("float32_matmul_precision")
    products = seen.switch("matmul_allow_tf32")
    if not products <= {True, False}:
        products = {precision != {"highest"}}
    convolutions = seen.switch("cudnn_allow_tf32")
    if not convolutions <= {True, False}:
        return "unknown", "torch did not tell whether convolutions may use it"
    uses = [what for what, values in (("convolutions", convolutions), ("matrix products", products)) if True in values]
    return ("not-controlled", f"on for {' and '.join(uses)}") if uses else ("controlled", "off")


# The machine


def _threads(seen: _Seen) -> Observed:
    counts = [seen.fact("hardware", name) for name in ("threads", "threads:openmp", "threads:mkl", "threads:openblas")]
    count = next((one for one in counts if isinstance(one, int)), None)
    if count is None:
        return "not-applicable", "no library with threads of its own was seen"
    imposed = [name for name in _THREADS if any(name in run.run.imposed for run in seen.runs)]
    if imposed:
        return "unknown", f"{count}, as this audit shared out the machine ({imposed[0]})"
    name = next((name for name in _THREADS if seen.variables.get(name)), None)
    if name is not None:
        return "controlled", f"{count} ({name}={seen.variables[name]})"
    cores = seen.fact("hardware", "cores")
    # Libraries take one for each core, or for each pair of cores that share one.
    if isinstance(cores, int) and count in {cores, cores // 2} - ({1} if cores > 1 else set()):
        return "not-controlled", f"{count}, as the machine gives ({cores} {'core' if cores == 1 else 'cores'})"
    if count == 1:
        return "controlled", "1"
    return "unknown", f"{count} on {cores or 'unknown'} cores; whether the program fixes it is not recorded"


def _dispatch(seen: _Seen) -> Observed:
    names = ("dispatch", "dispatch:mkl", "dispatch:onednn") if seen.torch else ("dispatch:numpy", "dispatch:openblas")
    told = {name: value for name in names if (value := seen.fact("hardware", name)) is not None}
    if not told:
        return "not-applicable", "no library that dispatches was seen"
    open_ones = [name for name in told if not any(seen.variables.get(one) for one in _DISPATCH[name][1])]
    if not open_ones:
        return "controlled", ", ".join(f"{one}={seen.variables[one]}" for one in seen.variables if one in _variables())
    chosen = ", ".join(f"{_DISPATCH[name][0]} {_brief(told[name])}" for name in open_ones)
    return "not-controlled", f"as the processor allows: {chosen}"


def _variables() -> set[str]:
    return {variable for _, variables in _DISPATCH.values() for variable in variables}


def _brief(value: object) -> str:
    return str(value[-1] if value else "baseline") if isinstance(value, tuple) else str(value)


def _versions(seen: _Seen) -> Observed:
    image = next((run.run.image for run in seen.runs if run.run.image is not None), None)
    if image is not None:
        return "controlled", f"image {(image.digests or (image.id,))[0]}"
    return "unknown", "what pins them is not recorded: auditor verify holds them against a lock"


def _at(place: Place | None) -> str:
    return f" ({place.file}:{place.line})" if place is not None else ""
