"""A library that seeds the global streams by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from auditor.records.streams import STREAM_NAMES
from auditor.records.trace import Place, ProcessTrace, Seed
from auditor.rule import Example, Observation, Rule, Sighting, Watched
from auditor.source import ABSENT, UNKNOWN, Call, Module
from auditor.source.streams import seedings

_TABNET = """import sys

import numpy as np
import torch
from pytorch_tabnet.tab_model import TabNetClassifier

torch.manual_seed(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
x = np.random.default_rng(0).normal(size=(64, 4))
model = TabNetClassifier(verbose=0)
model.fit(x, (x[:, 0] > 0).astype(int), max_epochs=1)
print(model.predict_proba(x)[:2])
"""
_TRAINER = """import sys

from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments, set_seed

set_seed(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
config = GPT2Config(vocab_size=8, n_positions=8, n_embd=8, n_layer=1, n_head=1)
rows = [{"input_ids": [1, 2, 3], "labels": [1, 2, 3]}] * 8
arguments = TrainingArguments("output", max_steps=2, report_to=[])
Trainer(GPT2LMHeadModel(config), arguments, train_dataset=rows).train()
"""
_PYKEEN = """import torch
from pykeen.pipeline import pipeline

torch.manual_seed(0)
result = pipeline(dataset="nations", model="TransE", training_kwargs={"num_epochs": 1})
print(result.losses)
"""

RULE = Rule(
    id="library-reseeds",
    title="A library seeds the streams anew, with a seed that the program did not give",
    topic="streams",
    level="seed-stable",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "Some libraries seed the global streams when they are used, with a default of their own: TabNet with 0, the "
        "Trainer of transformers with 42, PyKEEN's pipeline with a seed that it draws. What the program seeded "
        "before has no effect on what follows, so that other seeds give the same run, or the same seed another one."
    ),
    remedy="Hand the library the seed as well: TabNetClassifier(seed=seed), TrainingArguments(seed=seed).",
    bad=(
        Example(_TABNET, needs=("pytorch-tabnet",)),
        Example(_TRAINER, needs=("transformers", "accelerate")),
        Example(_PYKEEN, needs=("pykeen",)),
    ),
    good=(
        Example(_TABNET.replace("verbose=0", "verbose=0, seed=3"), needs=("pytorch-tabnet",)),
        Example(_TRAINER.replace('"output", ', '"output", seed=3, '), needs=("transformers", "accelerate")),
        Example(_PYKEEN.replace("pipeline(dataset", "pipeline(random_seed=3, dataset"), needs=("pykeen",)),
        # The program has no other seed that this one would undo.
        Example(_TABNET.replace("torch.manual_seed", "print"), needs=("pytorch-tabnet",)),
        Example(
            _TRAINER.replace("set_seed(int(sys.argv[1]) if len(sys.argv) > 1 else 1)", "set_seed(42)"),
            needs=("transformers", "accelerate"),
        ),
    ),
    sources=(
        "https://huggingface.co/docs/transformers/main_classes/trainer#transformers.TrainingArguments.seed",
        "https://github.com/dreamquark-ai/tabnet/blob/develop/pytorch_tabnet/abstract_model.py",
        "https://pykeen.readthedocs.io/en/stable/reference/pipeline.html",
    ),
)


class _Library(NamedTuple):
    """A callee that seeds: the argument for its seed, its default (None: one that it draws), and its position."""

    argument: str
    default: int | None
    position: int | None = None


_TABNETS = ("tab_model.TabNetClassifier", "tab_model.TabNetRegressor", "pretraining.TabNetPretrainer")
_LIBRARIES = {
    **dict.fromkeys((f"pytorch_tabnet.{one}" for one in _TABNETS), _Library("seed", 0)),
    "transformers.TrainingArguments": _Library("seed", 42),
    "transformers.Seq2SeqTrainingArguments": _Library("seed", 42),
    "pykeen.pipeline.pipeline": _Library("random_seed", None),
}


def see_source(module: Module) -> Iterator[Sighting]:
    """Such calls without a seed, in a file that seeds torch by itself with another one."""
    for call in module.calls(*_LIBRARIES):
        library = _LIBRARIES[call.name]
        if call.argument(library.argument, library.position) is not ABSENT or not _seeded_before(module, call, library):
            continue
        short = call.name.rpartition(".")[2]
        seed = "a seed that it draws" if library.default is None else f"{library.default}, its default"
        yield Sighting(call.node, f"{short} is given no {library.argument} and seeds the streams anew with {seed}")


def _seeded_before(module: Module, call: Call, library: _Library) -> bool:
    """Whether a line above seeds torch with what is not the library's own default."""
    for one in seedings(module):
        if "torch" not in one.streams or one.seed is None or one.node.lineno >= call.node.lineno:
            continue
        # Seeded in the same function, or before all functions.
        if module.function(one.node) not in (None, module.function(call.node)):
            continue
        name = module.name(one.node.func) or ""
        if name in _LIBRARIES or name.endswith("Trainer"):
            continue
        seed = module.constant(one.seed)
        if library.default is None or seed is UNKNOWN or seed != library.default:
            return True
    return False


def see_run(watched: Watched) -> Iterator[Observation]:
    """Streams that a library seeded anew with another value, after the program had seeded them."""
    for run in watched.runs:
        for trace in run.processes:
            if not trace.workers:  # those torch seeds, as it should
                yield from _reseeded(trace)


def _reseeded(trace: ProcessTrace) -> Iterator[Observation]:
    last: dict[str, Seed] = {}
    for seed in trace.seeds:
        earlier = last.get(seed.stream)
        library = _library(seed.caller)
        if earlier is not None and library and _library(earlier.caller) != library and seed.value != earlier.value:
            name = STREAM_NAMES.get(seed.stream, seed.stream)
            yield Observation(
                f"{library} seeds {name} anew with {seed.value}, after it had been seeded with {earlier.value}",
                seed.place,
                "note",
            )
        last[seed.stream] = seed


def _library(place: Place | None) -> str:
    """The package whose code seeded, where that is a library's other than torch and NumPy themselves; else empty."""
    if place is None or "-packages/" not in place.file:
        return ""
    package = place.file.rpartition("-packages/")[2].partition("/")[0].removesuffix(".py")
    return "" if package in ("torch", "numpy") else package
