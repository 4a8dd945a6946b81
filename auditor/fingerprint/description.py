"""Describes an interpreter on this machine by running a small script in it; torch is not imported."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec

from auditor.errors import UsageError
from auditor.fingerprint import variables
from auditor.fingerprint.inside import Inside
from auditor.fingerprint.interpreter import FLAGS
from auditor.records.trace import Build, Environment, Origin, Torch

OLDEST = (3, 8)
TIMEOUT = 60.0
NOT_RUNNING = "not seen without running a program: an audit reports it"

_PACKAGE = Path(__file__).parents[1]
_MARKER = "auditor-describes:"
_ASSIGNMENT = re.compile(
    r"^(\w+)\s*(?::[^=\n]*)?=\s*(?:'([^'\n]*)'|\"([^\"\n]*)\"|(None|True|False))\s*$", re.MULTILINE
)


class Raw(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the script prints: raw facts; ``torch`` is the text of ``torch/version.py`` or None."""

    executable: str
    python: str
    implementation: str
    variables: dict[str, str]
    flags: dict[str, int]
    distributions: dict[str, str]
    origins: dict[str, Origin]
    libc: str
    builds: dict[str, Build]
    torch: str | None


def inside(python: str | None) -> Inside:
    """The interpreter from inside; raises UsageError (see ``find`` and ``run``)."""
    return parse_raw(run(find(python)))


def parse_raw(raw: Raw) -> Inside:
    """What the script found, as what was seen from inside an interpreter without a training process in it."""
    return Inside(
        environment=Environment(
            executable=raw.executable,
            python=raw.python,
            implementation=raw.implementation,
            compiler=parse_compiler(raw.python),
            variables=raw.variables,
            flags=raw.flags,
            distributions=raw.distributions,
            libc=raw.libc,
            ns=0,
            origins=raw.origins,
        ),
        torch=parse_torch_version(raw.torch) if raw.torch is not None else None,
        gpus=None,
        mapped=None,
        hash_seed=None,
        process=False,
        absent=NOT_RUNNING,
        builds=raw.builds,
    )


def find(python: str | None) -> str:
    """The interpreter's executable: a path, a name on PATH, or a virtual environment's directory.

    None means what a command ``python`` would start here: ``python`` on PATH, else ``python3``, else the auditor's own.
    Raises UsageError ``interpreter-not-found``.
    """
    if python is None:
        return shutil.which("python") or shutil.which("python3") or sys.executable
    given = os.path.expanduser(python)
    if os.path.isdir(given):
        inside_it = shutil.which(os.path.join(given, "bin", "python"))
        if inside_it is None:
            raise _not_found(f"{python} is a directory without bin/python")
        return os.path.abspath(inside_it)
    found = shutil.which(given)
    if found is not None:
        return os.path.abspath(found)
    if os.sep in given and os.path.exists(given):
        raise _not_found(f"{python} is not an executable file")
    raise _not_found(f"there is no interpreter {python!r}")


def run(executable: str, timeout: float = TIMEOUT) -> Raw:
    """What the script finds in the interpreter, within ``timeout`` seconds.

    Raises UsageError ``interpreter-too-old`` below Python 3.8 and ``interpreter-failed`` where no description came.
    """
    try:
        done = subprocess.run(
            command(executable), stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise _failed(executable, f"did not answer within {timeout:g} seconds") from error
    except OSError as error:
        raise _failed(executable, f"cannot be started: {error.strerror}") from error
    raw = parse_output(executable, done.stdout) if done.returncode == 0 else None
    if raw is not None:
        return raw
    _check_age(executable, _asked(executable, timeout))
    raise silent(executable, done.returncode, done.stderr)


def command(executable: str, package: Path = _PACKAGE) -> list[str]:
    """The command that describes an interpreter which finds this package's directory at ``package``."""
    # No -I and no -E: what is described is the interpreter as the user's programs find it, user site and all.
    script = str(package / "fingerprint" / "description_script.py")
    return [executable, script, _MARKER, str(package / "probe"), ",".join(sorted(variables.NAMES)), ",".join(FLAGS)]


def parse_output(executable: str, output: bytes) -> Raw | None:
    """What the script printed, whatever else is around it; None where it printed nothing.

    Raises UsageError ``interpreter-too-old`` and ``interpreter-failed``.
    """
    lines = output.decode("utf-8", "replace").splitlines()
    described = [line for line in lines if line.startswith(_MARKER)]
    if not described:
        return None
    try:
        raw = msgspec.json.decode(described[-1][len(_MARKER) :], type=Raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _failed(executable, f"described itself in another form ({error})") from error
    _check_age(executable, _numbers(raw.python))
    return raw


def silent(executable: str, returncode: int, errors: bytes) -> UsageError:
    """The error for an interpreter that ended without a description of itself."""
    words = errors.decode("utf-8", "replace").strip().splitlines()
    why = f"ended with exit code {returncode}" if returncode else "printed no description of itself"
    return _failed(executable, f"{why}: {words[-1][:200]}" if words else why)


def parse_compiler(version: str) -> str:
    """The compiler in ``sys.version``: ``GCC 12.2.0`` of ``3.11.7 (main, ...) [GCC 12.2.0]``; empty if not named."""
    found = re.search(r"\[([^\]]+)\]\s*$", version)
    return found[1].strip() if found is not None else ""


def parse_torch_version(text: str) -> Torch | None:
    """What ``torch/version.py`` says of the build; None where it names no version."""
    values: dict[str, str | bool | None] = {}
    for name, single, double, constant in _ASSIGNMENT.findall(text):
        values[name] = {"None": None, "True": True, "False": False}[constant] if constant else single or double
    version = values.get("__version__")
    if not isinstance(version, str):
        return None
    wanted = {"debug": "debug", "cuda": "cuda", "hip": "hip", "git": "git_version"}
    facts = {name: values[key] for name, key in wanted.items() if key in values}
    return Torch(at="installed", version=version, facts=dict(facts), switches={})


def _check_age(executable: str, version: tuple[int, int] | None) -> None:
    if version is not None and version < OLDEST:
        raise UsageError(
            "interpreter-too-old",
            f"{executable} is Python {version[0]}.{version[1]}",
            "name an interpreter of Python 3.8 or newer with --python",
        )


def _asked(executable: str, timeout: float) -> tuple[int, int] | None:
    """The interpreter's version, asked in words that every Python understands; None where it does not answer."""
    question = "import sys; sys.stdout.write('version %d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run(
            [executable, "-c", question], stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return _numbers(done.stdout.decode("utf-8", "replace").rpartition("version ")[2])


def _numbers(text: str) -> tuple[int, int] | None:
    found = re.match(r"([0-9]{1,9})\.([0-9]{1,9})", text)
    return (int(found[1]), int(found[2])) if found is not None else None


def _not_found(what: str) -> UsageError:
    return UsageError(
        "interpreter-not-found",
        what,
        "name an interpreter with --python: a path, a name on PATH, or a virtual environment",
    )


def _failed(executable: str, why: str) -> UsageError:
    return UsageError(
        "interpreter-failed",
        f"{executable} {why}",
        "check that it is a Python interpreter that starts: run it with -c 'import sys; print(sys.version)'",
    )
