"""A model that torch.hub takes from a repository's default branch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from auditor.rule import Example, Rule, Sighting
from auditor.source import Module

_BAD = """import torch

model = torch.hub.load("example-org/models", "small_net", pretrained=True)
"""

RULE = Rule(
    id="unpinned-torch-hub",
    title="torch.hub loads code and weights from a repository's default branch",
    topic="domains",
    level="seed-stable",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "torch.hub.load runs the code of a repository. Without a reference it takes the default branch as it stands "
        "when the cache is empty: another machine, or another day, runs other code with other weights."
    ),
    remedy="Name a tag or a commit after a colon: torch.hub.load('owner/repository:<commit>', …).",
    bad=(
        Example(_BAD, runs=False),
        Example(_BAD.replace("models", "models:main"), runs=False),
    ),
    good=(
        Example(_BAD.replace("models", "models:v0.4.2"), runs=False),
        Example(_BAD.replace("example-org/models", "./models").replace("pre", "source='local', pre"), runs=False),
    ),
    sources=("https://docs.pytorch.org/docs/stable/hub.html#torch.hub.load",),
)

_CALLS = ("torch.hub.load", "torch.hub.list", "torch.hub.help")


def see_source(module: Module) -> Iterator[Sighting]:
    """``owner/repository`` without a reference, or with a branch that moves."""
    if "torch" not in module.imports or PurePosixPath(module.path).name == "hubconf.py":  # which a hub itself reads
        return
    for call in module.calls(*_CALLS[:1]):
        name = module.constant(call.argument("repo_or_dir", 0))
        if not isinstance(name, str) or name.count("/") != 1 or name.startswith((".", "/", "~")):
            continue
        if module.constant(call.argument("source")) == "local" or call.name not in _CALLS:
            continue
        repository, colon, reference = name.partition(":")
        if not colon or reference in ("main", "master", "dev", "develop"):
            yield Sighting(call.node, f"torch.hub takes {repository} from a branch: whatever stands there on the day")
