"""Data from an address whose contents may change."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from auditor.rule import Confidence, Example, Rule, Sighting
from auditor.source import ABSENT, Call, Module

_BAD = """import pandas as pd

table = pd.read_csv("https://example.org/data/latest/housing.csv")
print(table.shape)
"""
_RETRIEVE = """from urllib.request import urlretrieve

ADDRESS = "https://example.org/models/weights.pt"
urlretrieve(ADDRESS, "weights.pt")
"""

RULE = Rule(
    id="network-read",
    title="Data is read from the network and not checked",
    topic="order",
    level="seed-stable",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "What an address gives may be corrected, extended or moved at any time, and a branch of a repository moves "
        "with "
        "each commit. The same program then trains on other data next month, and nothing says so."
    ),
    remedy=(
        "Keep a copy of the data and compare its SHA-256 with the one that is written down; pin addresses to a commit "
        "or a version; torch.hub.load_state_dict_from_url has check_hash=True."
    ),
    bad=(
        Example(_BAD, needs=("pandas",), runs=False),
        Example(_RETRIEVE, runs=False),
        Example(
            "import io\n\nimport numpy as np\nimport requests\n\n"
            'answer = requests.get("https://example.org/data.npy", timeout=10)\n'
            "print(np.load(io.BytesIO(answer.content)).mean())\n",
            runs=False,
        ),
    ),
    good=(
        Example(_BAD.replace("https://example.org/data/latest/housing.csv", "data/housing.csv"), runs=False),
        Example(
            "import hashlib\nfrom pathlib import Path\n"
            + _RETRIEVE
            + 'assert hashlib.sha256(Path("weights.pt").read_bytes()).hexdigest() == "0" * 64\n',
            runs=False,
        ),
        Example(
            _BAD.replace(
                "https://example.org/data/latest/housing.csv",
                "https://raw.githubusercontent.com/scikit-learn/examples-data/"
                "8e2a2dd7a1b4cd4d7ba0b2d10ffce75f2a1f7b1c/housing.csv",
            ),
            runs=False,
        ),
        # Telling somebody that it is done.
        Example(
            'import requests\n\nrequests.post("https://example.org/hook", json={"text": "done"}, timeout=10)\n',
            runs=False,
        ),
    ),
    sources=(
        "https://docs.python.org/3/library/urllib.request.html#urllib.request.urlretrieve",
        "https://docs.pytorch.org/docs/stable/hub.html#torch.hub.load_state_dict_from_url",
    ),
)

_TABLES = ("csv", "table", "json", "parquet", "excel", "html", "feather", "pickle", "fwf", "xml")
_READERS = (*(f"pandas.read_{kind}" for kind in _TABLES), "numpy.loadtxt", "numpy.genfromtxt", "polars.read_csv")
_DOWNLOADS = ("urllib.request.urlretrieve", "wget.download", "gdown.download", "torch.hub.download_url_to_file")
_OPENERS = ("urllib.request.urlopen", "requests.get", "httpx.get")
_CHECKED = re.compile(
    r"hashlib|sha256|sha1|md5|checksum|hash_prefix|check_hash|known_hash|\.verify|checksum", re.IGNORECASE
)
# A commit, a tag with a version, a DOI, an archive with versions, or a file that is named by its digest.
_PINNED = re.compile(
    r"[0-9a-f]{40}|/v?\d+\.\d+(\.\d+)?/|/releases/download/|doi\.org|zenodo\.org/records?/\d+|[-_][0-9a-f]{8,}\."
)
_LOCAL = re.compile(r"https?://(localhost|127\.|0\.0\.0\.0|\[::1\]|169\.254\.|metadata\.)")


def see_source(module: Module) -> Iterator[Sighting]:
    """Tables and files that are read from an address that the file shows, with no digest anywhere in it."""
    if _CHECKED.search(module.text):
        return
    for call in module.calls(*_READERS, *_DOWNLOADS, *_OPENERS):
        address = _address(module, call)
        if address is None or _PINNED.search(address) or _LOCAL.match(address):
            continue
        if call.name in _OPENERS and not _is_data(module, call):
            continue
        if call.name == "torch.hub.download_url_to_file" and call.argument("hash_prefix", 2) is not ABSENT:
            continue
        confidence: Confidence | None = "medium" if call.name in _OPENERS else None
        yield Sighting(
            call.node,
            f"{call.name} reads {_shortened(address)}, and nothing checks that it is what it was",
            confidence=confidence,
        )


def _address(module: Module, call: Call) -> str | None:
    """The address, as far as the file shows it; a part that is put in is shown as an ellipsis."""
    given = call.argument("url", 0)
    if not isinstance(given, ast.expr):
        return None
    values = module.values(given)
    if len(values) != 1:
        return None
    value = values[0]
    if isinstance(value, ast.JoinedStr):
        parts = [str(one.value) if isinstance(one, ast.Constant) else "…" for one in value.values]
        text = "".join(parts)
    elif isinstance(value, ast.Constant) and isinstance(value.value, str):
        text = value.value
    else:
        return None
    return text if text.startswith(("http://", "https://", "ftp://", "s3://", "gs://")) else None


def _shortened(address: str) -> str:
    return address if len(address) <= 60 else f"{address[:40]}…{address[-16:]}"


def _is_data(module: Module, call: Call) -> bool:
    """Whether what is fetched is stored or parsed as data: its content or its stream is taken."""
    statement = module.statement(call.node)
    function = module.function(call.node)
    if call.name == "urllib.request.urlopen":
        return True
    if not isinstance(statement, (ast.Assign, ast.With, ast.Expr, ast.Return)):
        return False
    return any(
        node.attr in ("content", "iter_content", "raw") and module.function(node) is function
        for node in module.all(ast.Attribute)
    )
