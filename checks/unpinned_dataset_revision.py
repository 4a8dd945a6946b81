"""A dataset that is loaded from a hub as it stands on the day."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auditor.rule import Confidence, Example, Rule, Sighting
from auditor.source import ABSENT, Call, Module
from auditor.source.hub import DOWNLOADS, moving, repository
from auditor.source.streams import is_program, trains

_BAD = """from datasets import load_dataset

train = load_dataset("example-org/reviews", split="train")
"""

RULE = Rule(
    id="unpinned-dataset-revision",
    title="A dataset is loaded from a hub without a revision",
    topic="domains",
    level="seed-stable",
    severity="warning",
    confidence="high",
    since="0.1.0",
    why=(
        "A dataset on a hub can be pushed to: rows are corrected, removed or added under the same name. Without "
        "revision=, load_dataset gives the newest state of its main branch, so that the same seed trains on other data."
    ),
    remedy="Name the commit: revision='<commit>'.",
    bad=(
        Example(_BAD, needs=("datasets",), runs=False),
        Example("import datasets\n\ntest = datasets.load_dataset('imdb')['test']\n", needs=("datasets",), runs=False),
        Example(
            "from huggingface_hub import snapshot_download\n\n"
            "rows = snapshot_download('stanfordnlp/imdb', repo_type='dataset')\n",
            needs=("huggingface_hub",),
            runs=False,
        ),
    ),
    good=(
        Example(
            _BAD.replace("split=", 'revision="0f2c8f3b9a1d4e5f60718293a4b5c6d7e8f90a1b", split='),
            needs=("datasets",),
            runs=False,
        ),
        Example(
            "from datasets import load_dataset\n\n\ndef load(name):\n    load_dataset('csv', data_files='train.csv')\n"
            "    load_dataset('data/train')\n    load_dataset('loader.py')\n    return load_dataset(name)\n",
            needs=("datasets",),
            runs=False,
        ),
    ),
    sources=(
        "https://huggingface.co/docs/datasets/loading#hugging-face-hub",
        "https://huggingface.co/docs/datasets/package_reference/loading_methods#datasets.load_dataset.revision",
    ),
)

# What builds a dataset from files that are named beside it.
_BUILDERS = frozenset(
    {"csv", "json", "parquet", "text", "imagefolder", "audiofolder", "videofolder", "webdataset", "arrow", "pandas"}
    | {"xml", "sql", "generator", "spark", "cache", "pdffolder", "hdf5", "lance", "niftifolder"}
)


def see_source(module: Module) -> Iterator[Sighting]:
    """Names of datasets given to load_dataset, or to what downloads from a hub, with no revision, or with a branch."""
    # What a library, or a script that trains nothing, loads need not come into a result.
    confidence: Confidence | None = None if trains(module) and is_program(module) else "medium"
    for call, name in _loads(module):
        repo, revision = repository(module, name, bare=True), call.argument("revision")
        if repo is None:
            continue
        callee = call.name.rpartition(".")[2]
        if revision is ABSENT:
            said = f"{callee} gives {repo} as it stands on the day: no revision is named"
            yield Sighting(call.node, said, confidence=confidence)
        elif moving(module, revision):
            yield Sighting(call.node, f"{callee} gives {repo} from a branch, which moves", confidence=confidence)


def _loads(module: Module) -> Iterator[tuple[Call, ast.expr]]:
    """The calls that load datasets of a hub, each with what names one."""
    for call in module.calls("datasets.load_dataset", "datasets.load_dataset_builder"):
        name = call.argument("path", 0)
        if isinstance(name, ast.expr) and not call.has("data_dir") and module.constant(name) not in _BUILDERS:
            yield call, name
    for call in module.calls(*DOWNLOADS):
        name = call.argument("repo_id", 0)
        if module.constant(call.argument("local_files_only")) is True:
            continue
        if isinstance(name, ast.expr) and module.constant(call.argument("repo_type")) == "dataset":
            yield call, name
