"""A model or tokenizer that is loaded from a hub as it stands on the day."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from auditor.rule import Confidence, Example, Rule, Sighting
from auditor.source import ABSENT, Call, Module
from auditor.source.hub import DOWNLOADS, moving, repository
from auditor.source.streams import is_program, trains

_BAD = """from transformers import AutoModelForCausalLM, AutoTokenizer

NAME = "example-org/small-lm"
tokenizer = AutoTokenizer.from_pretrained(NAME, revision="0f2c8f3b9a1d4e5f60718293a4b5c6d7e8f90a1b")
model = AutoModelForCausalLM.from_pretrained(NAME)
"""
_COMMIT = 'revision="0f2c8f3b9a1d4e5f60718293a4b5c6d7e8f90a1b"'

RULE = Rule(
    id="unpinned-model-revision",
    title="A model or tokenizer is loaded from a hub without a revision",
    topic="domains",
    level="seed-stable",
    severity="warning",
    confidence="high",
    since="0.1.0",
    why=(
        "A repository on a model hub can be pushed to: weights, tokenizer files and configuration change under the "
        "same name. Without revision=, from_pretrained loads the newest state of its main branch, so a run next month "
        "may begin from another model or split text otherwise."
    ),
    remedy="Name the commit: from_pretrained(name, revision='<commit>').",
    bad=(
        Example(_BAD, needs=("transformers",), runs=False),
        Example(_BAD.replace("(NAME)", '(NAME, revision="main")'), needs=("transformers",), runs=False),
        Example(
            "import transformers as hf\n\nclassify = hf.pipeline('text-classification', model='example-org/lm')\n",
            needs=("transformers",),
            runs=False,
        ),
        Example(
            "from sentence_transformers import SentenceTransformer as Encoder\n\nmodel = Encoder('all-MiniLM-L6-v2')\n",
            needs=("sentence-transformers",),
            runs=False,
        ),
    ),
    good=(
        Example(_BAD.replace("(NAME)", f"(NAME, {_COMMIT})"), needs=("transformers",), runs=False),
        # A directory that the program wrote itself, and one that whoever calls it names.
        Example(
            "from transformers import AutoModel\n\n\ndef load(name, **kwargs):\n"
            "    AutoModel.from_pretrained('outputs/best')\n    AutoModel.from_pretrained('./small-lm')\n"
            "    AutoModel.from_pretrained('example-org/lm', **kwargs)\n    return AutoModel.from_pretrained(name)\n",
            needs=("transformers",),
            runs=False,
        ),
        Example(
            "from transformers import AutoModel\n\nmodel = AutoModel.from_pretrained('a/b', local_files_only=True)\n",
            needs=("transformers",),
            runs=False,
        ),
    ),
    sources=(
        "https://huggingface.co/docs/transformers/main_classes/model#transformers.PreTrainedModel.from_pretrained.revision",
        "https://huggingface.co/docs/huggingface_hub/guides/download#from-specific-version",
    ),
)

_LIBRARIES = re.compile(r"(transformers|diffusers|optimum|adapters|setfit|gliner|trl|peft)\.[\w.]*\bfrom_pretrained")
_SECOND = re.compile(r"peft\.PeftModel\w*\.from_pretrained")  # their first argument is the model that is adapted


def see_source(module: Module) -> Iterator[Sighting]:
    """Names of repositories given to what loads from a hub, with no revision or with a branch."""
    if module.imports.isdisjoint(_IMPORTED):
        return
    # What a library, or a script that trains nothing, loads need not come into a result.
    confidence: Confidence | None = None if trains(module) and is_program(module) else "medium"
    for call, name in _loads(module):
        if module.constant(call.argument("local_files_only")) is True:
            continue
        if module.constant(call.argument("repo_type")) == "dataset":
            continue  # another rule's
        repo = repository(module, name)
        if repo is None:
            continue
        revision = call.argument("revision")
        callee = ".".join(call.name.replace("()", "").split(".")[-2:])
        if revision is ABSENT:
            yield Sighting(
                call.node, f"{callee} loads {repo} as it stands on the day: no revision is named", confidence=confidence
            )
        elif moving(module, revision):
            yield Sighting(call.node, f"{callee} loads {repo} from a branch, which moves", confidence=confidence)


_IMPORTED = frozenset(
    {"transformers", "diffusers", "optimum", "adapters", "setfit", "gliner", "trl", "peft", "sentence_transformers"}
    | {"huggingface_hub"}
)


def _loads(module: Module) -> Iterator[tuple[Call, ast.expr]]:
    for called in module.called:
        keyword, position = "pretrained_model_name_or_path", 0
        if _LIBRARIES.fullmatch(called):
            if _SECOND.fullmatch(called):
                keyword, position = "model_id", 1
        elif called == "transformers.pipeline":
            keyword, position = "model", 1
        elif called in ("sentence_transformers.SentenceTransformer", "sentence_transformers.CrossEncoder"):
            keyword, position = "model_name_or_path", 0
        elif called in DOWNLOADS:
            keyword, position = "repo_id", 0
        else:
            continue
        for call in module.calls(called):
            name = call.argument(keyword, position)
            if isinstance(name, ast.expr):
                yield call, name
