"""The table of nondeterministic operations says what the documentation of the installed torch says."""

from __future__ import annotations

import re

import pytest

from auditor.source.nondeterministic import LATEST, OPERATIONS, READ


def _documented() -> dict[str, set[str]]:
    """The names under each of the documentation's two lists."""
    torch = pytest.importorskip("torch")
    if torch.__version__.partition("+")[0] != LATEST:
        pytest.skip(f"the table was read up to torch {LATEST}, this is {torch.__version__}")
    text = torch.use_deterministic_algorithms.__doc__
    _, alternatives, errors = re.split(r"normally-nondeterministic operations will", text.partition("Args:")[0])
    names = re.compile(r"^\s*\* :(?:class|func):`([\w.]+)`", re.MULTILINE)
    return {"alternative": set(names.findall(alternatives)), "raises": set(names.findall(errors))}


@pytest.mark.parametrize("mode", ["alternative", "raises"])
def test_the_table_names_what_the_documentation_names(mode: str) -> None:
    named = {operation.name for operation in OPERATIONS if operation.spans[-1].mode == mode}
    gone = {operation.name for operation in OPERATIONS if all(span.until for span in operation.spans)}
    assert named - gone == _documented()[mode] - gone


def test_spans_follow_one_another() -> None:
    read = [".".join(version.split(".")[:2]) for version in (*READ, LATEST)]
    for operation in OPERATIONS:
        for span in operation.spans:
            assert span.since in read and (not span.until or span.until in read), operation.name
        for earlier, later in zip(operation.spans, operation.spans[1:], strict=False):
            assert read.index(later.since) == read.index(earlier.until) + 1, operation.name
