"""A Trainer that leaves nondeterministic kernels on."""

from __future__ import annotations

import re
from collections.abc import Iterator

from auditor.rule import Example, Fix, Rule, Sighting
from auditor.source import ABSENT, Module

_BAD = """from transformers import TrainingArguments

arguments = TrainingArguments("out", seed=7, report_to="none")
print(arguments.full_determinism)
"""

RULE = Rule(
    id="trainer-without-full-determinism",
    title="TrainingArguments leaves nondeterministic kernels on",
    topic="domains",
    level="bit-exact",
    severity="note",
    confidence="possible",
    since="0.1.0",
    why=(
        "The Trainer's seed fixes what is drawn, not the order in which GPU kernels add. With full_determinism=True it "
        "calls enable_full_determinism, which asks torch for deterministic algorithms and sets the variables that "
        "cuBLAS and NCCL need. It costs speed, so that it is meant for checks."
    ),
    remedy="Pass full_determinism=True where two runs have to agree in every bit.",
    bad=(Example(_BAD, needs=("transformers", "accelerate")),),
    good=(
        Example(_BAD.replace("seed=7,", "seed=7, full_determinism=True,"), needs=("transformers", "accelerate")),
        Example(
            "import torch\n" + _BAD.replace("\n\n", "\n\ntorch.use_deterministic_algorithms(True)\n", 1),
            needs=("transformers", "accelerate"),
        ),
        Example(_BAD.replace("seed=7,", "seed=7, use_cpu=True,"), needs=("transformers", "accelerate")),
    ),
    sources=(
        "https://huggingface.co/docs/transformers/main_classes/trainer#transformers.TrainingArguments.full_determinism",
    ),
)

_ARGUMENTS = re.compile(r"transformers\.\w*TrainingArguments|trl\.\w+Config")


def see_source(module: Module) -> Iterator[Sighting]:
    """Arguments of a trainer that do not turn full determinism on, on what may be a GPU."""
    if module.imports.isdisjoint({"transformers", "trl"}):
        return
    for name in module.called:
        if not _ARGUMENTS.fullmatch(name):
            continue
        for call in module.calls(name):
            if call.argument("full_determinism") is not ABSENT:
                continue
            if any(module.constant(call.argument(one)) is True for one in ("use_cpu", "no_cuda")):
                continue
            added = module.with_argument(call.node, "full_determinism=True")
            yield Sighting(
                call.node,
                f"{name.rpartition('.')[2]} without full_determinism=True: kernels may add in any order",
                unless=("torch.use_deterministic_algorithms", "transformers.enable_full_determinism"),
                fix=None if added is None else Fix((added,)),
            )
