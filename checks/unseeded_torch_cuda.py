"""GPUs whose random streams are not all seeded."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.records.streams import drawn_unseeded
from auditor.rule import Example, Fix, Observation, Rule, Sighting, Watched
from auditor.source import Module

_BAD = """import torch

torch.cuda.manual_seed(0)
model = torch.nn.DataParallel(torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Dropout(0.5)).cuda())
print(model(torch.ones(8, 4).cuda()))
"""

RULE = Rule(
    id="unseeded-torch-cuda",
    title="Only the current GPU's stream is seeded",
    topic="streams",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "torch.cuda.manual_seed seeds the current device and no other, and leaves the CPU's stream, from which "
        "initial parameters and the order of samples are drawn, unseeded. torch.manual_seed seeds the CPU and all "
        "devices."
    ),
    remedy="Call torch.manual_seed(seed), or torch.cuda.manual_seed_all(seed) for the GPUs alone.",
    bad=(
        Example(_BAD, needs=("torch",), runs=False),
        Example("from torch.cuda import manual_seed\n\nmanual_seed(3)\n", needs=("torch",), runs=False),
    ),
    good=(
        Example(_BAD.replace("cuda.manual_seed(0)", "manual_seed(0)"), needs=("torch",), runs=False),
        Example(_BAD.replace("cuda.manual_seed(0)", "cuda.manual_seed_all(0)"), needs=("torch",), runs=False),
        # Superfluous beside torch.manual_seed, and harmless.
        Example(_BAD.replace("torch.cuda.m", "torch.manual_seed(0)\ntorch.cuda.m"), needs=("torch",), runs=False),
    ),
    sources=(
        "https://docs.pytorch.org/docs/stable/generated/torch.cuda.manual_seed.html",
        "https://docs.pytorch.org/docs/stable/generated/torch.manual_seed.html",
    ),
)


def see_source(module: Module) -> Iterator[Sighting]:
    """Calls of torch.cuda.manual_seed in a project that nowhere seeds all devices."""
    for call in module.calls("torch.cuda.manual_seed"):
        yield Sighting(
            call.node,
            "torch.cuda.manual_seed seeds the current GPU only: not the others, and not the CPU's stream",
            unless=("seeds:torch-cuda", "may-seed:torch-cuda"),
            fix=Fix((module.replaced(call.node.func, "torch.manual_seed"),), imports=("torch",)),
        )


def see_run(watched: Watched) -> Iterator[Observation]:
    """Processes that drew on a GPU and never seeded it."""
    for role, place in drawn_unseeded(watched.runs, "torch-cuda"):
        yield Observation(f"torch's CUDA stream is drawn from in {role} and never seeded (torch.manual_seed)", place)
