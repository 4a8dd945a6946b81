from __future__ import annotations

import pytest

from auditor.lock.dockerfile import unpinned_in_dockerfile
from auditor.source.dockerfile import commands_of, instructions, substituted

DIGEST = "sha256:" + "a" * 64


def found(text: str) -> list[tuple[int, str]]:
    return [(one.line, one.text) for one in unpinned_in_dockerfile(text)]


@pytest.mark.parametrize(
    "text",
    [
        "FROM scratch\n",
        f"FROM python@{DIGEST}\n",
        f"FROM python:3.11@{DIGEST}\n",
        f"FROM --platform=linux/amd64 python:3.11@{DIGEST} AS build\nFROM build\nCOPY --from=build /a /b\n",
        f"FROM python@{DIGEST} AS Build\nFROM build AS other\nCOPY --from=0 /a /b\n",
        f"ARG BASE=python@{DIGEST}\nFROM $BASE\n",
        f"ARG DIGEST={DIGEST}\nFROM python@${{DIGEST}}\n",
        f"FROM ${{BASE:-python@{DIGEST}}}\n",
        "RUN apt-get update && apt-get install -y --no-install-recommends curl=7.88.1-10 && rm -rf /var/lib/apt\n",
        "RUN apt-get install -y ./local.deb $PACKAGES\n",
        "RUN apt-get upgrade -y\n",
        "RUN pip install --no-cache-dir -r requirements.txt\n",
        "RUN pip install torch==2.1.0 'numpy==1.26.4' --index-url https://example.org/simple -t /x\n",
        "RUN pip install -e . && pip install . && pip install /wheels/*.whl\n",
        "RUN pip install --constraint constraints.txt torch\n",
        "RUN pip install torch==${TORCH_VERSION} $(cat packages) `cat more`\n",
        "RUN pip install torch==2.1.0 2>/dev/null > log\n",
        "RUN python train.py -m install && python setup.py install && pip uninstall -y six\n",
        "RUN pip --version && pip list && echo pip install torch\n",
        'RUN ["pip", "install", "torch==2.1.0"]\n',
        "RUN conda install -y -c pytorch pytorch=2.1.0 numpy=1.26.4=py311_0 && conda create -n x python==3.11\n",
        "# FROM python:3.11\n",
    ],
)
def test_pinned(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "wanted", "advice"),
    [
        ("FROM python", "python", "whatever is newest"),
        ("FROM python:latest", "python:latest", "whatever is newest"),
        ("FROM python:3.11", "python:3.11", "a tag can be moved"),
        ("from localhost:5000/python", "localhost:5000/python", "whatever is newest"),
        ("FROM localhost:5000/python:3", "localhost:5000/python:3", "a tag can be moved"),
        ("ARG TAG=3.11\nFROM python:${TAG}", "python:${TAG} (python:3.11)", "a tag can be moved"),
        ("ARG A=3\nARG TAG=$A.11\nFROM python:$TAG", "python:$TAG (python:3.11)", "a tag can be moved"),
        ("ARG BASE\nFROM $BASE", "$BASE", "when the image is built"),
        ("COPY --from=example.org/uv:latest /uv /bin/", "example.org/uv:latest", "whatever is newest"),
        ("RUN apt-get update && apt-get -y install curl git=1.0", "apt-get install curl", "package=version"),
        ("RUN DEBIAN_FRONTEND=noninteractive sudo apt install -y curl", "apt-get install curl", "package=version"),
        ("RUN pip install 'torch>=2.0'", "pip install torch>=2.0", "pin: torch=="),
        ("RUN pip install torch>=2.0", "pip install torch", "pin: torch=="),
        ("RUN python3.11 -m pip install -U pip", "pip install pip", "pin: pip=="),
        ("RUN /opt/conda/bin/python -mpip install six", "pip install six", "pin: six=="),
        ("RUN python -u -m pip install six", "pip install six", "pin: six=="),
        ('RUN [ "$A" != "b" ] && pip install six || echo "none"', "pip install six", "pin: six=="),
        ("RUN case $A in x) pip install six ;; *) true ;; esac", "pip install six", "pin: six=="),
        ("RUN pip install --user six cmake==1   # newer than the system's", "pip install six", "pin: six=="),
        ("RUN /opt/venv/bin/pip install six", "pip install six", "pin: six=="),
        ("RUN uv pip install --system six", "pip install six", "pin: six=="),
        ("RUN --mount=type=cache,target=/x pip install six", "pip install six", "pin: six=="),
        ("RUN if true; then pip install six; fi", "pip install six", "pin: six=="),
        ("RUN pip install -e git+https://example.org/x@main", "pip install git+https://example.org/x@main", "commit"),
        ('RUN ["/bin/sh", "-c", "pip install six"]', "pip install six", "pin: six=="),
        ('RUN ["pip", "install", "six"]', "pip install six", "pin: six=="),
        ("RUN <<EOF\npip install six\nEOF", "pip install six", "pin: six=="),
        ("RUN conda install -y pytorch=2.1", "conda install pytorch=2.1", "pin: pytorch=="),
    ],
)
def test_not_pinned(text: str, wanted: str, advice: str) -> None:
    (one,) = unpinned_in_dockerfile(text + "\n")
    assert one.text == wanted
    assert advice in one.advice


def test_lines_are_those_where_the_instruction_begins() -> None:
    text = (
        "# syntax=docker/dockerfile:1\n"
        "\n"
        "FROM scratch\n"
        "RUN apt-get update \\\n"
        "  # a comment between\n"
        "\n"
        "  && apt-get install -y curl \\\n"
        "  && pip install six\n"
        "\n"
        "# another\n"
        "RUN pip install tqdm\n"
    )
    assert found(text) == [
        (4, "apt-get install curl"),
        (4, "pip install six"),
        (11, "pip install tqdm"),
    ]


def test_here_documents_do_not_leak_into_what_follows() -> None:
    text = "COPY <<FILE /x\nFROM python:3.11\nFILE\nRUN <<-'A' <<B\nls\nA\npip install six\nB\nFROM python\n"
    assert [(one.keyword, one.line) for one in instructions(text)] == [("COPY", 1), ("RUN", 4), ("FROM", 9)]
    assert found(text) == [(4, "pip install six"), (9, "python")]


def test_another_escape_character() -> None:
    text = "# escape=`\nFROM scratch\nRUN pip `\n install six\n"
    assert found(text) == [(3, "pip install six")]


def test_substitution() -> None:
    arguments = {"A": "1", "E": ""}
    assert substituted("x:$A-${A}", arguments) == "x:1-1"
    assert substituted("${E:-2}${N-3}${A:+4}${N:+5}", arguments) == "234"
    assert substituted("$N", arguments) is None
    assert substituted("${N}x", arguments) is None


def test_installed_versions_are_proposed() -> None:
    (one,) = unpinned_in_dockerfile("RUN pip install torch\n", "docker/Dockerfile", {"torch": "2.13.0"})
    assert one.file == "docker/Dockerfile" and one.advice == "pin: torch==2.13.0"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\\",
        "FROM",
        "FROM \\",
        "RUN",
        "RUN <<EOF",
        "RUN 'never closed",
        "RUN [" + "[" * 100000,
        "ARG",
        "COPY --from=",
        "\0",
    ],
)
def test_odd_files_are_judged_without_a_fault(text: str) -> None:
    for instruction in instructions(text):
        list(commands_of(instruction))
    unpinned_in_dockerfile(text)
