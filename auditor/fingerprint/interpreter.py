"""The interpreter: implementation, exact version, compiler, hash randomisation, flags and environment variables."""

from __future__ import annotations

from auditor.fingerprint import variables
from auditor.fingerprint.fact import fact
from auditor.fingerprint.inside import Inside
from auditor.records.fingerprint import Fact, Known, Unknown

FLAGS = ("dev_mode", "ignore_environment", "isolated", "no_site", "no_user_site", "optimize", "safe_path")
PER_PROCESS = "chosen for each process: an audit reports it"


def facts(inside: Inside) -> dict[str, Fact]:
    """The interpreter's facts by name: ``flag:<name>`` and ``variable:<NAME>`` only for what is there."""
    environment = inside.environment
    if environment is None:
        names = ("compiler", "hash-seed", "implementation", "variables", "version")
        return {name: Unknown(inside.absent) for name in names}
    found: dict[str, Fact] = {
        "compiler": fact(environment.compiler, "platform.python_compiler", inside.absent),
        "hash-seed": Known(inside.hash_seed or "random", "PYTHONHASHSEED") if inside.process else Unknown(PER_PROCESS),
        "implementation": fact(environment.implementation, "sys.implementation", inside.absent),
        "version": fact(parse_version(environment.python), "sys.version", inside.absent),
        "build": fact(parse_build(environment.python), "sys.version", "sys.version names no build"),
    }
    flags = [*FLAGS, "hash_randomization"] if inside.process else FLAGS
    for name in flags:
        if name in environment.flags:
            found[f"flag:{name}"] = Known(environment.flags[name], "sys.flags")
    for name, value in variables.allowed(environment.variables).items():
        if name != "PYTHONHASHSEED" and (inside.process or name not in variables.OF_A_PROCESS):
            found[f"variable:{name}"] = Known(value, "environment")
    return found


def parse_version(text: str) -> str:
    """The version in ``sys.version``: ``3.11.7`` of ``3.11.7 (main, Feb 1 2024, 10:00:00) [GCC 12.2.0]``."""
    return text.split("(")[0].split("|")[0].split(" experimental")[0].strip()


def parse_build(text: str) -> str:
    """The build in ``sys.version``: its name, date and time, and whether it is free-threading."""
    inner = text.partition("(")[2].partition(")")[0].strip()
    return f"{inner}, free-threading" if inner and "free-threading" in text else inner
