"""The programs that are measured, each long enough (10 to 30 s of processor time) for a ratio to mean something."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from measure import ROOT


@dataclass(frozen=True)
class Workload:
    """A command, started in an empty directory."""

    name: str
    command: tuple[str, ...]


def _python(script: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, str(ROOT / script), *arguments)


_PROGRAMS = "tests/integrations/programs/"

_TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
_HUGGINGFACE = _python(_PROGRAMS + "huggingface_gpt2.py", "--seed", "1")

WORKLOADS = (
    Workload("turbofan", _python("examples/turbofan/train.py", "--seed", "1")),
    Workload("stable-baselines3", _python(_PROGRAMS + "ppo_cartpole.py", "--seed", "1", "--timesteps", "12288")),
    Workload("lightning", _python(_PROGRAMS + "lightning_digits.py", "--seed", "1", "--epochs", "50")),
    Workload("huggingface", (*_HUGGINGFACE, "--steps", "800")),
    Workload("huggingface-torchrun", (*_TORCHRUN, *_HUGGINGFACE[1:], "--steps", "300")),
    Workload("geometric", _python(_PROGRAMS + "geometric_karate.py", "--seed", "1", "--epochs", "6000")),
    Workload("xgboost", _python(_PROGRAMS + "xgboost_cancer.py", "--seed", "1", "--rounds", "6000")),
    Workload("sklearn", _python(_PROGRAMS + "sklearn_digits.py", "--seed", "1", "--iterations", "200")),
)


def chosen(names: list[str]) -> tuple[Workload, ...]:
    """The workloads of these names, or all of them where none is named. Raises SystemExit for an unknown name."""
    known = {workload.name: workload for workload in WORKLOADS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SystemExit(f"unknown workload {', '.join(unknown)}; there are {', '.join(known)}")
    return tuple(known[name] for name in names) if names else WORKLOADS
