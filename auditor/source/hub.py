"""Names of repositories on a model hub: which strings are one, and which are directories of the program's own."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from auditor.source.module import Module

DOWNLOADS = ("huggingface_hub.hf_hub_download", "huggingface_hub.snapshot_download")

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_BRANCHES = frozenset({"main", "master", "dev", "develop", "latest", "refs/heads/main"})
# The first part of a path of the program's own, and endings of files.
_DIRECTORY = re.compile(
    r"(\w*[-_])?(outputs?|out|results?|checkpoints?|ckpts?|models?|saved\w*|weights?|logs?|runs?|tmp|temp|data|datasets?|"
    r"pretrained\w*|trained\w*|finetuned?\w*|fine[-_]tuned\w*|exp|experiments?|artifacts?|cache|my|path|test|tests|local|"
    r"src|assets|examples|final\w*|best\w*|download\w*)([-_]\w*)?",
    re.IGNORECASE,
)
_FILE = re.compile(
    r"\.(?:pt|pth|bin|ckpt|safetensors|json|jsonl|csv|tsv|txt|py|parquet|arrow|h5|onnx|gguf|yaml|yml|model)\Z"
)
# Models that have a name without an owner.
_BARE = re.compile(
    r"(distil)?(bert|roberta|gpt2)[-\w.]*|t5[-\w.]*|albert[-\w.]*|xlnet[-\w.]*|xlm[-\w.]*|camembert[-\w.]*|ctrl|"
    r"openai-gpt|transfo-xl\w*|all-(MiniLM|mpnet)[-\w.]*|multi-qa[-\w.]*|paraphrase[-\w.]*|nli[-\w.]*|"
    r"(ms)?marco[-\w.]*|stsb[-\w.]*"
)
_KEEPS = frozenset({"save_pretrained", "save_model", "save", "makedirs", "mkdir", "push_to_hub", "exists", "isdir"})


def repository(module: Module, node: ast.expr, bare: bool = False) -> str | None:
    """The hub's repository that a string names, as far as can be told; None for a path, or what is not known.

    ``bare`` takes names without an owner too, of any form; else only those of well-known models.
    """
    value = module.constant(node)
    if not isinstance(value, str) or not _NAME.fullmatch(value) or _FILE.search(value):
        return None
    owner, slash, _ = value.partition("/")
    if _DIRECTORY.fullmatch(owner) or value in _own(module):
        return None
    if not slash and not bare and not _BARE.fullmatch(value):
        return None
    return value


def moving(module: Module, revision: object) -> bool:
    """Whether a revision that is given is a branch, which moves."""
    value = module.constant(revision if isinstance(revision, ast.AST) else None)
    return isinstance(value, str) and value in _BRANCHES


def commit(value: str) -> bool:
    """Whether a revision is a commit rather than a name."""
    return _COMMIT.fullmatch(value) is not None


@lru_cache(maxsize=4)
def _own(module: Module) -> frozenset[str]:
    """The strings that the program writes to, or looks for on its disk."""
    return frozenset(_kept(module))


def _kept(module: Module) -> Iterator[str]:
    for node in module.all(ast.Call):
        called = node.func
        name = called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
        for given in node.keywords:
            if given.arg in ("output_dir", "save_directory", "save_dir", "logging_dir"):
                yield from _texts(module, given.value)
        if name in _KEEPS:
            for argument in node.args:
                yield from _texts(module, argument)


def _texts(module: Module, node: ast.expr) -> Iterator[str]:
    value = module.constant(node)
    if isinstance(value, str):
        yield value.rstrip("/")
