"""The evidence directory of one audit: its only reader and writer."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import json
import os
import re
import shutil
import stat
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, TypeVar, cast

import msgspec

from auditor.errors import AuditorError, EvidenceError, UsageError
from auditor.records import trace as lines
from auditor.records.audit import SCHEMA as AUDIT
from auditor.records.audit import Audit
from auditor.records.diagnosis import Trial
from auditor.records.evidence import RunEvidence
from auditor.records.fingerprint import SCHEMA as FINGERPRINT
from auditor.records.fingerprint import Fact, Fingerprint
from auditor.records.operations import Capture, parse_capture
from auditor.records.run import RunRecord
from auditor.records.sighted import Sighted
from auditor.records.study import References
from auditor.records.trace import PROTOCOL, Hello, ProcessTrace, Role, Step, TraceLine

SCHEMA = "auditor.evidence/1"
HOME = ".auditor"

_FINAL = (
    "evidence.json",
    "request.json",
    "audit.json",
    "fingerprint.json",
    "plan.json",
    "reference.json",
    "checks.json",
)
_LARGEST_JSON = 256 << 20
_LONGEST_LINE = 64 << 20
_LARGEST_CAPTURE = 128 << 20
_LARGEST_SOURCE = 1 << 20
_SAFE_TRACE_NAME = re.compile(r"[A-Za-z0-9._+-]+\.jsonl\Z")
_DIGITS = re.compile(r"[1-9][0-9]{0,5}\Z")
_NUMBER = re.compile(r"([0-9]{1,18})")

_T = TypeVar("_T")
_decoder: msgspec.json.Decoder[TraceLine] = msgspec.json.Decoder(TraceLine)


class _Head(msgspec.Struct):
    """What tells which document it is."""

    schema: str


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``evidence.json``: whose evidence the directory holds; ``created_ns`` is epoch time and volatile."""

    schema: str
    id: str
    project: str
    command: tuple[str, ...]
    created_ns: int


class RunPaths(msgspec.Struct, frozen=True):
    """Where one run's evidence goes."""

    number: int
    root: Path
    trace: Path
    tensors: Path
    artefacts: Path
    stdout: Path
    stderr: Path
    probe: Path


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``plan.json``: which steps the later runs must digest, by the label of a process's handshake."""

    labels: dict[str, tuple[int, ...]]


class Process(msgspec.Struct, frozen=True):
    """What gives a process its role: its trace file, its handshake, and what it turned out to be."""

    file: str
    hello: Hello
    role: Role | None = None


class Store:
    """One audit's evidence directory.

    Made by ``create`` or ``open``; nothing else constructs one. Every write is atomic; a finished run's files are
    read-only.
    """

    def __init__(self, path: Path, header: Header, runs: str = "runs") -> None:
        self.path = path
        self.header = header
        self._runs = runs

    @property
    def id(self) -> str:
        """The audit's id: UTC time of its start and a short digest of its command."""
        return self.header.id

    @classmethod
    def create(cls, out: str | Path | None, project: str | Path, command: Sequence[str]) -> Store:
        """Make an empty evidence directory: ``out`` itself, or ``<project>/.auditor/<audit-id>`` where it is None.

        Raises UsageError ``out-not-empty`` or ``not-text``, AuditorError ``unwritable-directory`` or ``disk-full``.
        """
        root = Path(os.path.realpath(project))
        for text in (str(root), *command):
            require_text(text)
        created = time.time_ns()
        identity = audit_id(created, command)
        if out is None:
            with writing(root / HOME):
                home = root / HOME
                home.mkdir(exist_ok=True)
                # Evidence is bulky and machine-made: it should not slip into the user's repository.
                if not (home / ".gitignore").exists():
                    _write_atomically(home / ".gitignore", b"*\n")
                path, identity = _make_unique(home, identity)
        else:
            path = Path(os.path.abspath(out))
            if path == root or path in root.parents:
                raise UsageError(
                    "out-holds-project",
                    f"the evidence directory {str(out)!r} would hold the project itself",
                    "name another directory after --out",
                )
            with writing(path):
                if os.path.lexists(path) and not path.is_dir():
                    raise UsageError("out-not-empty", f"{str(out)!r} is not a directory", "name a new one after --out")
                if path.is_dir() and any(path.iterdir()):
                    raise UsageError(
                        "out-not-empty",
                        f"{str(out)!r} is not empty, and evidence is never written over",
                        "name a new directory after --out, or go on with that audit: auditor run --resume DIR",
                    )
                path.mkdir(parents=True, exist_ok=True)
            path = Path(os.path.realpath(path))
        header = Header(SCHEMA, identity, str(root), tuple(command), created)
        store = cls(path, header)
        with writing(path):
            (path / "runs").mkdir()
            store._write("evidence.json", header)
        return store

    @classmethod
    def open(cls, path: str | Path) -> Store:
        """The evidence directory at ``path``.

        Raises EvidenceError ``evidence-not-found`` where there is none, ``damaged-evidence`` where it cannot be read,
        ``newer-schema`` where a newer auditor wrote it.
        """
        given = Path(path)
        directory = Path(os.path.realpath(given))
        if not directory.is_dir() or not os.path.lexists(directory / "evidence.json"):
            inside = sorted(p.name for p in _listing(directory) if (directory / p.name / "evidence.json").is_file())
            remedy = (
                f"name one of the audits in it: {', '.join(inside[-3:])}"
                if inside
                else "name the directory that auditor run wrote (.auditor/<audit-id>, or what --out said)"
            )
            raise EvidenceError("evidence-not-found", f"{str(path)!r} is not an evidence directory", remedy)
        header = _read_json(directory, "evidence.json", Header, SCHEMA)
        if not _is_directory(directory / "runs"):
            raise damaged(directory / "runs", "it is not a directory")
        return cls(directory, header)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the directory for writing; raises AuditorError ``audit-in-progress`` where another process holds it."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AuditorError(
                    "audit-in-progress",
                    f"another auditor is at work in {self.path}",
                    "wait until it has ended, or end it",
                ) from None
            except OSError as error:
                # Some network file systems know no locks; two auditors in one directory are the user's doing then.
                if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
                    raise
            yield
        finally:
            os.close(descriptor)

    @property
    def diagnosis(self) -> Store:
        """The same directory for the runs that a diagnosis makes (trials), which are numbered by themselves."""
        return Store(self.path, self.header, "diagnosis/runs")

    # Runs

    def paths(self, number: int) -> RunPaths:
        """Where run ``number`` (from 1) has its evidence, whether it exists or not."""
        root = self.path / self._runs / str(number)
        return RunPaths(
            number=number,
            root=root,
            trace=root / "trace",
            tensors=root / "tensors",
            artefacts=root / "artefacts",
            stdout=root / "stdout",
            stderr=root / "stderr",
            probe=root / "probe.json",
        )

    def begin_run(self, number: int) -> RunPaths:
        """Make room for run ``number``, discarding what an interrupted attempt at it left.

        Raises AuditorError ``evidence-complete`` where the run has ended already.
        """
        paths = self.paths(number)
        if os.path.lexists(paths.root / "run.json"):
            raise _complete(paths.root)
        with writing(paths.root):
            remove_tree(paths.root)
            paths.root.parent.mkdir(parents=True, exist_ok=True)
            for directory in (paths.root, paths.trace, paths.tensors, paths.artefacts):
                directory.mkdir()
        return paths

    def finish_run(self, record: RunRecord) -> RunRecord:
        """Seal run ``record.number``: its files become read-only, and ``run.json``, written last, marks it complete.

        Returns the record as it was written, with the number of traces.
        """
        paths = self.paths(record.number)
        if os.path.lexists(paths.root / "run.json"):
            raise _complete(paths.root)
        with writing(paths.root):
            _protect(paths.root)
            sealed = msgspec.structs.replace(record, traces=len(_trace_names(paths.trace)))
            self._write(f"{self._runs}/{record.number}/run.json", sealed)
            os.chmod(paths.root / "run.json", 0o444)
        return sealed

    def runs(self) -> tuple[int, ...]:
        """The numbers of the complete runs, ascending."""
        return tuple(n for n in self._numbers() if os.path.lexists(self.path / self._runs / str(n) / "run.json"))

    def incomplete(self) -> tuple[int, ...]:
        """The numbers of the runs that were begun and never sealed, ascending."""
        complete = set(self.runs())
        return tuple(n for n in self._numbers() if n not in complete)

    def record(self, number: int) -> RunRecord:
        """Run ``number``'s record; raises EvidenceError ``damaged-evidence``."""
        name = f"{self._runs}/{number}/run.json"
        record = _read_json(self.path, name, RunRecord)
        if record.number != number:
            raise damaged(self.path / name, f"it speaks of run {record.number}")
        for artefact in record.artefacts:
            if not _is_inside(artefact.path):
                raise damaged(self.path / name, f"the artefact path {artefact.path!r} leads out of the directory")
        return record

    def evidence(self, number: int, *, verify: bool = True) -> RunEvidence:
        """Everything that run ``number`` left.

        What is recorded and cannot be read as it was (missing, altered, a link) is left out and named in ``missing``;
        with ``verify`` every artefact's SHA-256 is computed anew. Raises EvidenceError ``damaged-evidence`` where the
        run's record itself cannot be read.
        """
        record = self.record(number)
        paths = self.paths(number)
        missing: list[str] = []
        processes: list[tuple[Process, tuple[TraceLine, ...], str | None]] = []
        if _is_directory(paths.trace):
            names = _trace_names(paths.trace)
            if record.traces is not None and len(names) < record.traces:
                missing.append(f"traces: there are {len(names)} of {record.traces}")
            for name in names:
                parsed, problem = _read_trace(paths.trace / name)
                if parsed and isinstance(parsed[0], Hello):
                    processes.append((process_of(name, parsed), parsed, problem))
                else:
                    missing.append(f"trace {name}: {problem or 'it holds no handshake'}")
        else:
            missing.append("the directory of traces")
        missing.extend(f"tensors {e.name}: it is not a regular file" for e in _odd_entries(paths.tensors))
        for path, name in ((paths.stdout, "stdout"), (paths.stderr, "stderr")):
            if not _is_regular(path):
                missing.append(f"{name}: there is no such file")
        kept = []
        for artefact in record.artefacts:
            if record.unsaved and any(entry.startswith(f"{artefact.path}: ") for entry in record.unsaved):
                kept.append(artefact)
                continue
            problem = _artefact_problem(paths.artefacts, artefact.path, artefact.size, artefact.sha256, verify)
            if problem is None:
                kept.append(artefact)
            else:
                missing.append(f"artefact {artefact.path}: {problem}")
        if len(kept) != len(record.artefacts):
            record = msgspec.structs.replace(record, artefacts=tuple(kept))
        roles = assign_roles([process for process, _, _ in processes])
        traces = [build_trace(p.file, roles[p.file], parsed, problem) for p, parsed, problem in processes]
        return RunEvidence(
            run=record,
            processes=tuple(sorted(traces, key=lambda t: role_order(t.role))),
            artefacts_root=paths.artefacts,
            tensors_root=paths.tensors,
            stdout=paths.stdout,
            stderr=paths.stderr,
            missing=tuple(missing),
        )

    # Trials

    def write_trial(self, number: int, trial: Trial) -> None:
        """Keep what run ``number`` of a diagnosis was made for."""
        self._write(f"{self._runs}/{number}/trial.json", trial)

    def read_trial(self, number: int) -> Trial:
        """What run ``number`` of a diagnosis was made for; raises EvidenceError ``damaged-evidence``."""
        return _read_json(self.path, f"{self._runs}/{number}/trial.json", Trial)

    def keep_source(self, name: str) -> None:
        """Keep a source file of the project that a diagnosis speaks of, once; ``name`` is relative to the project.

        What is no regular file inside the project, or is larger than a megabyte, is left out.
        """
        kept = self.path / "diagnosis" / "sources" / name
        if not _is_inside(name) or os.path.lexists(kept):
            return
        data = self.project_source(name)
        if data is None:
            return
        with writing(kept):
            kept.parent.mkdir(parents=True, exist_ok=True)
            _write_atomically(kept, data)

    def project_source(self, name: str) -> bytes | None:
        """A source file of the project as it is now, by its name; None for what ``keep_source`` would leave out."""
        if not _is_inside(name):
            return None
        try:
            with open_regular(Path(self.header.project) / name) as file:
                data = file.read(_LARGEST_SOURCE + 1)
        except OSError:
            return None
        return data if len(data) <= _LARGEST_SOURCE else None

    def source(self, name: str) -> str | None:
        """The text of a source file that was kept; None where there is none."""
        if not _is_inside(name):
            return None
        try:
            with open_regular(self.path / "diagnosis" / "sources" / name) as file:
                return file.read(_LARGEST_SOURCE).decode("utf-8", "replace")
        except OSError:
            return None

    # The other files

    def write_request(self, request: msgspec.Struct | Mapping[str, Any]) -> None:
        """Keep what was asked for, once."""
        if not os.path.lexists(self.path / "request.json"):
            self._write("request.json", request)

    def read_request(self, kind: type[_T]) -> _T:
        """What was asked for, decoded strictly as ``kind``; raises EvidenceError ``damaged-evidence``."""
        return _read_json(self.path, "request.json", kind)

    def write_fingerprint(self, fingerprint: Fingerprint) -> None:
        """Keep the environment's fingerprint."""
        self._write("fingerprint.json", fingerprint)

    def read_fingerprint(self) -> Fingerprint:
        """The environment's fingerprint; raises EvidenceError ``damaged-evidence`` or ``newer-schema``."""
        return _read_json(self.path, "fingerprint.json", Fingerprint, FINGERPRINT)

    def write_sighted(self, sighted: Sighted) -> None:
        """Keep what reading the project's source found: ``checks.json``."""
        self._write("checks.json", sighted)

    def read_sighted(self) -> Sighted | None:
        """What reading the project's source found, or None; raises EvidenceError ``damaged-evidence``."""
        if not os.path.lexists(self.path / "checks.json"):
            return None
        return _read_json(self.path, "checks.json", Sighted)

    def write_audit(self, audit: Audit) -> None:
        """Write ``audit.json``; that of an audit that was cut off may be replaced, any other is final.

        Raises AuditorError ``evidence-complete``.
        """
        if self.complete():
            raise _complete(self.path)
        self._write("audit.json", audit)
        if not audit.cut_off:
            for name in _FINAL:
                if _is_regular(self.path / name):
                    os.chmod(self.path / name, 0o444)

    def read_audit(self) -> Audit:
        """``audit.json``; raises EvidenceError ``damaged-evidence`` or ``newer-schema``."""
        return _read_json(self.path, "audit.json", Audit, AUDIT)

    def write_references(self, references: References) -> None:
        """Keep what new seeds are held to, once: what it was taken from may change or go."""
        if not os.path.lexists(self.path / "reference.json"):
            self._write("reference.json", references)

    def read_references(self) -> References | None:
        """What new seeds are held to, or None; raises EvidenceError ``damaged-evidence``."""
        if not os.path.lexists(self.path / "reference.json"):
            return None
        return _read_json(self.path, "reference.json", References)

    def complete(self) -> bool:
        """Whether the audit has ended, with whatever outcome but an interruption."""
        return os.path.lexists(self.path / "audit.json") and not self.read_audit().cut_off

    def write_plan(self, plan: Plan) -> Path:
        """Keep which steps the later runs must digest; returns the file's path."""
        self._write("plan.json", plan)
        return self.path / "plan.json"

    def read_plan(self) -> Plan | None:
        """The plan, or None before run one has ended; raises EvidenceError ``damaged-evidence``."""
        if not os.path.lexists(self.path / "plan.json"):
            return None
        return _read_json(self.path, "plan.json", Plan)

    def write_probe(self, number: int, settings: Mapping[str, Any]) -> Path:
        """Keep what the probe of run ``number`` was told; returns the file's path."""
        self._write(f"{self._runs}/{number}/probe.json", settings)
        return self.paths(number).probe

    def _numbers(self) -> tuple[int, ...]:
        names = [entry.name for entry in _listing(self.path / self._runs) if _DIGITS.match(entry.name)]
        return tuple(sorted(int(n) for n in names if _is_directory(self.path / self._runs / n)))

    def _write(self, name: str, value: msgspec.Struct | Mapping[str, Any]) -> None:
        with writing(self.path / name):
            _write_atomically(self.path / name, msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n")


def audit_id(created_ns: int, command: Sequence[str]) -> str:
    """UTC time to the second and the first eight hexadecimal digits of the command's SHA-256."""
    moment = datetime.fromtimestamp(created_ns // 10**9, tz=timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    return f"{moment}-{hashlib.sha256(json.dumps(list(command)).encode()).hexdigest()[:8]}"


# Traces


def parse_trace(data: bytes) -> tuple[tuple[TraceLine, ...], str | None]:
    """The lines of one trace, and what is wrong with it or None.

    Reading ends at the first line that cannot be decoded: what follows cannot be trusted to be in order. A last line
    without its newline was cut off in the middle of a write. Source: ``auditor.records.trace``.
    """
    return _parse_lines(io.BytesIO(data))


def _parse_lines(raw: Iterable[bytes]) -> tuple[tuple[TraceLine, ...], str | None]:
    parsed: list[TraceLine] = []
    for number, line in enumerate(raw, start=1):
        if not line.endswith(b"\n"):
            return tuple(parsed), f"line {number} is cut off"
        try:
            value = _decoder.decode(line)
        except (msgspec.MsgspecError, RecursionError, ValueError) as error:
            return tuple(parsed), f"line {number} cannot be read: {error}"
        if number == 1:
            if not isinstance(value, Hello):
                return (), "it does not begin with the handshake"
            if value.protocol != PROTOCOL:
                return (), f"its protocol is {value.protocol}, not {PROTOCOL}"
        elif isinstance(value, Hello):
            return tuple(parsed), f"line {number} is a second handshake"
        parsed.append(value)
    if not parsed:
        return (), "it is empty"
    return tuple(parsed), None


def process_of(file: str, parsed: Sequence[TraceLine]) -> Process:
    """What assigns a role to the process whose trace begins with a handshake."""
    hello = parsed[0]
    if not isinstance(hello, Hello):
        raise TypeError("a trace begins with its handshake")
    role: Role | None = None
    for line in parsed:
        if isinstance(line, Role):
            role = line
        elif isinstance(line, lines.Worker) and role is None:
            role = Role(worker=line.worker, loader=line.loader)
    return Process(file, hello, role)


def build_trace(file: str, role: str, parsed: Sequence[TraceLine], problem: str | None) -> ProcessTrace:
    """One process's lines, sorted by their kind."""
    groups: dict[type, list[TraceLine]] = {}
    for line in parsed:
        groups.setdefault(type(line), []).append(line)

    def every(kind: type[_T]) -> tuple[_T, ...]:
        return tuple(cast("list[_T]", groups.get(kind, [])))

    def last(kind: type[_T]) -> _T | None:
        found = every(kind)
        return found[-1] if found else None

    hello = last(Hello)
    if hello is None:
        raise TypeError("a trace begins with its handshake")
    return ProcessTrace(
        file=file,
        role=role,
        hello=hello,
        environment=last(lines.Environment),
        torch=every(lines.Torch),
        gpus=every(lines.Gpu),
        seeds=every(lines.Seed),
        generators=every(lines.Generator),
        loaders=every(lines.Loader),
        entropy=every(lines.Entropy),
        stale_reads=every(lines.StaleRead),
        unwatched=every(lines.Unwatched),
        unseen=every(lines.Unseen),
        unordered=bool(every(lines.Unordered)),
        optimizers=every(lines.Optimizer),
        inits=every(lines.Init),
        steps=every(Step),
        finals=every(lines.Final),
        streams=last(lines.Streams),
        workers=every(lines.Worker),
        libraries=tuple(sorted({path for line in every(lines.Libraries) for path in line.mapped})),
        perturbed=every(lines.Perturbed),
        faults=every(lines.Fault),
        end=last(lines.End),
        problem=problem or _lost_steps(every(Step), last(lines.End)),
        builds={
            path: build
            for line in every(lines.Libraries)
            for path, build in zip(line.mapped, line.builds, strict=False)  # older traces have no builds
        },
        data=every(lines.Data),
        sources=every(lines.Sources),
        numerics=last(lines.Numerics),
        draws=every(lines.Draw),
    )


def read_captures(evidence: RunEvidence) -> dict[str, Capture]:
    """What a run's processes captured, by role; a process that captured nothing, or whose file is none, is left out."""
    found: dict[str, Capture] = {}
    directory = evidence.tensors_root.parent / "trace"
    for process in evidence.processes:
        try:
            with open_regular(directory / f"{process.file.removesuffix('.jsonl')}.ops") as file:
                capture = parse_capture(file.read(_LARGEST_CAPTURE))
        except OSError:
            continue
        if capture is not None:
            found[process.role] = capture
    return found


def _lost_steps(steps: Sequence[Step], end: lines.End | None) -> str | None:
    """What a trace says of steps that it no longer holds; None where it holds all of them, or never ended."""
    if end is None or len(steps) == end.digested:
        return None
    return f"it holds {len(steps)} of the {end.digested} steps that were digested"


def _trace_names(directory: Path) -> list[str]:
    return sorted(entry.name for entry in _listing(directory) if entry.name.endswith(".jsonl"))


def assign_roles(processes: Sequence[Process], *, call_main: bool = True) -> dict[str, str]:
    """The role of each process by its trace file: unique, and the same in every run of one program.

    In order of precedence: a DataLoader worker, a rank of torch.distributed, a child of multiprocessing, a rank by the
    environment, a fork; else the script's label, ``main`` where it is the only program that nothing traced started.
    Repeats get ``#2``, ``#3`` … in order of start. With ``call_main`` False nothing is called ``main``: a role then
    does not change when a further program starts.
    """
    ordered = sorted(processes, key=lambda p: (p.hello.ns, p.file))
    by_file = {process.file: process for process in ordered}
    parents = {process.file: _parent(process, ordered, by_file) for process in ordered}
    tops = {p.hello.label for p in ordered if parents[p.file] is None}
    main = next(iter(tops)) if call_main and len(tops) == 1 else None
    roles: dict[str, str] = {}
    counts: dict[str, int] = {}
    for process in ordered:
        parent = parents[process.file]
        # A parent's handshake precedes its child's; where a clock says otherwise, the child is treated as an orphan.
        above = roles.get(parent.file) if parent is not None else None
        role = _base_role(process, parent if above is not None else None, above, parents, main)
        counts[role] = counts.get(role, 0) + 1
        unique = role if counts[role] == 1 else f"{role}#{counts[role]}"
        while unique in roles.values():
            counts[role] += 1
            unique = f"{role}#{counts[role]}"
        roles[process.file] = unique
    return roles


def role_order(role: str) -> tuple[bool, list[tuple[int, int, str]]]:
    """A sort key for roles: ``main`` first, then by name with its numbers in order of size."""
    words = [(0, int(w), "") if _NUMBER.fullmatch(w) else (1, 0, w) for w in _NUMBER.split(role) if w]
    return role != "main", words


def _parent(process: Process, ordered: Sequence[Process], by_file: Mapping[str, Process]) -> Process | None:
    if process.hello.parent is not None:
        found = by_file.get(process.hello.parent)
        return found if found is not process else None
    before = [
        p for p in ordered if p.hello.pid == process.hello.ppid and p.hello.ns <= process.hello.ns and p is not process
    ]
    return before[-1] if before else None


def _base_role(
    process: Process,
    parent: Process | None,
    above: str | None,
    parents: Mapping[str, Process | None],
    main: str | None,
) -> str:
    hello, role = process.hello, process.role or Role()
    prefix = f"{above}/" if above is not None else ""
    if role.worker is not None:
        return f"{prefix}worker {role.loader or 0}.{role.worker}"
    ancestors = list(_ancestors(process, parents))
    # A process inherits its ancestor's process group and environment: its rank counts where no ancestor has it already.
    if role.rank is not None and all(a.role is None or a.role.rank != role.rank for a in ancestors):
        return f"rank {role.rank}"
    if role.process is not None and role.process != "MainProcess":
        return f"{prefix}{role.process}"
    if hello.rank is not None and hello.rank.isdigit() and all(a.hello.rank != hello.rank for a in ancestors):
        return f"rank {int(hello.rank)}"
    if hello.kind == "fork":
        return f"{prefix}child {hello.child or 1}"
    if parent is None:
        return "main" if hello.label == main else hello.label
    # What the main program starts goes by its own name; what a rank or another child starts belongs to that.
    nested = parents[parent.file] is not None or (above or "").startswith("rank ")
    return f"{prefix}{hello.label}" if nested else hello.label


def _ancestors(process: Process, parents: Mapping[str, Process | None]) -> Iterator[Process]:
    seen = {process.file}
    current = parents.get(process.file)
    while current is not None and current.file not in seen:
        seen.add(current.file)
        yield current
        current = parents.get(current.file)


def plan_of(processes: Sequence[ProcessTrace]) -> Plan:
    """Which steps were digested, by label: the union over the processes that bear it."""
    labels: dict[str, set[int]] = {}
    for process in processes:
        if process.steps:
            labels.setdefault(process.hello.label, set()).update(step.n for step in process.steps)
    return Plan({label: tuple(sorted(steps)) for label, steps in sorted(labels.items())})


# Files


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what a full disk or a forbidden directory raises into an AuditorError that names ``path``."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full(path) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise AuditorError(
                "unwritable-directory",
                f"cannot write {path}: {os.strerror(error.errno)}",
                "make the directory writable for this user, or name another one with --out",
            ) from error
        if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.ENOENT, errno.ELOOP, errno.ENAMETOOLONG):
            raise AuditorError(
                "unwritable-directory",
                f"cannot write {path}: {os.strerror(error.errno)}",
                "move what is in the way, or name another directory with --out",
            ) from error
        raise


def disk_full(path: Path) -> AuditorError:
    """The error for a full disk (or an exhausted quota) at ``path``."""
    return AuditorError(
        "disk-full",
        f"no space is left for {path}",
        "make room, or name a directory on another disk with --out (and TMPDIR); then go on with --resume",
    )


def damaged(path: Path, why: str) -> EvidenceError:
    """The error for evidence that cannot be read as it was written."""
    return EvidenceError(
        "damaged-evidence", f"{path}: {why}", "copy the evidence directory again from its source, or audit anew"
    )


def require_text(text: str) -> None:
    """Raise UsageError ``not-text`` where ``text`` holds bytes that are no UTF-8 (or a null)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(
            "not-text",
            f"{os.fsencode(text).decode('utf-8', 'backslashreplace')!r} is not UTF-8 text",
            "rename the file or directory, or give the argument as UTF-8",
        ) from None
    if "\0" in text:
        raise UsageError("not-text", "an argument holds a null character", "give the argument without it")


def remove_tree(path: Path) -> None:
    """Delete ``path`` and everything under it, whatever its modes; links are removed, not followed."""
    if not os.path.lexists(path):
        return
    if not _is_directory(path):
        path.unlink()
        return
    os.chmod(path, 0o700)
    for directory, names, _ in os.walk(path):
        for name in names:
            inner = os.path.join(directory, name)
            if not os.path.islink(inner):
                os.chmod(inner, 0o700)
    shutil.rmtree(path)


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading without following a link or waiting on a pipe; raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        return os.fdopen(descriptor, "rb")
    except OSError:
        os.close(descriptor)
        raise


def sha256_of(path: Path) -> str:
    """The SHA-256 of a regular file, as hexadecimal digits; raises OSError."""
    digest = hashlib.sha256()
    with open_regular(path) as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _make_unique(home: Path, identity: str) -> tuple[Path, str]:
    candidate, count = identity, 1
    while True:
        try:
            (home / candidate).mkdir()
        except FileExistsError:
            count += 1
            candidate = f"{identity}-{count}"
        else:
            return home / candidate, candidate


def _write_atomically(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _protect(root: Path) -> None:
    # Files only, as git does with its objects: a directory without write permission could not be deleted by its owner.
    for directory, _, names in os.walk(root):
        for name in names:
            path = os.path.join(directory, name)
            if not os.path.islink(path):
                os.chmod(path, 0o444)


def _complete(path: Path) -> AuditorError:
    return AuditorError(
        "evidence-complete", f"{path} is complete, and evidence is never written over", "begin a new audit"
    )


def _refuse_newer(path: Path, schema: str, known: str) -> None:
    """Raise EvidenceError ``newer-schema`` where a newer auditor wrote the file."""
    kind, _, version = known.rpartition("/")
    found = re.fullmatch(re.escape(kind) + r"/([1-9][0-9]{0,8})", schema)
    if found is not None and int(found[1]) > int(version):
        raise EvidenceError(
            "newer-schema",
            f"{path}: its schema is {schema}, which a newer auditor wrote (this one reads {known})",
            "upgrade the auditor that reads it",
        )


def _read_json(root: Path, name: str, kind: type[_T], schema: str = "") -> _T:
    """A file of the evidence, decoded strictly, and of this ``schema`` if one is given."""
    path = root / name
    for parent in PurePosixPath(name).parents:
        if str(parent) != "." and not _is_directory(root / parent):
            raise damaged(root / parent, "it is not a directory")
    try:
        with open_regular(path) as file:
            data = file.read(_LARGEST_JSON + 1)
    except FileNotFoundError:
        raise damaged(path, "it is missing") from None
    except OSError as error:
        raise damaged(path, f"it cannot be read: {error.strerror or error}") from error
    if len(data) > _LARGEST_JSON:
        raise damaged(path, f"it is larger than {_LARGEST_JSON >> 20} MiB")
    try:
        if schema:
            told = msgspec.json.decode(data, type=_Head).schema
            if told != schema:
                _refuse_newer(path, told, schema)
                raise damaged(path, f"its schema is {told[:80]!r}, not {schema!r}")
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise damaged(path, _said(data, error)) from error


def _said(data: bytes, error: Exception) -> str:
    """What is wrong with a document, and with which fact where it is a fingerprint's, or has one."""
    fault = fault_of(data)
    return f"{fault[0]}: {fault[1]}" if fault is not None else str(error)


def fault_of(data: bytes) -> tuple[str, str] | None:
    """The first fact of a fingerprint, or of an audit's, that is none (``layer/name``), and why; None without one."""
    try:
        document = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
        if "layers" not in document and "fingerprint" in document:
            document = msgspec.json.decode(document["fingerprint"], type=dict[str, msgspec.Raw])
        layers = msgspec.json.decode(document.get("layers", b"{}"), type=dict[str, dict[str, msgspec.Raw]])
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None
    for layer, facts in layers.items():
        for name, raw in facts.items():
            try:
                msgspec.json.decode(raw, type=Fact)
            except (msgspec.MsgspecError, RecursionError, ValueError) as error:
                return f"{layer}/{name}"[:120], str(error) or type(error).__name__
    return None


def _read_trace(path: Path) -> tuple[tuple[TraceLine, ...], str | None]:
    if not _SAFE_TRACE_NAME.match(path.name):
        return (), "its name is not one that the probe gives"
    try:
        with open_regular(path) as file:
            return _parse_lines(iter(lambda: file.readline(_LONGEST_LINE), b""))
    except OSError as error:
        return (), f"it cannot be read: {error.strerror or error}"


def _artefact_problem(root: Path, name: str, size: int, sha256: str, verify: bool) -> str | None:
    path = root
    for part in PurePosixPath(name).parts[:-1]:
        path = path / part
        if not _is_directory(path):
            return "it is missing" if not os.path.lexists(path) else "a directory on its way is something else"
    path = root / name
    if not os.path.lexists(path):
        return "it is missing"
    if not _is_regular(path):
        return "it is not a regular file"
    if path.stat().st_size != size:
        return f"it has {path.stat().st_size} bytes, not {size}"
    try:
        if verify and sha256_of(path) != sha256:
            return "its contents were altered"
    except OSError as error:
        return f"it cannot be read: {error.strerror or error}"
    return None


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\0" not in name


def _is_directory(path: Path) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


def _odd_entries(path: Path) -> list[os.DirEntry[str]]:
    entries = [e for e in _listing(path) if not e.is_file(follow_symlinks=False)]
    return sorted(entries, key=lambda e: e.name)


def _listing(path: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return list(entries)
    except OSError:
        return []
