from __future__ import annotations

import pytest

from auditor.lock.requirements import judge, parse, pinned_by, shown, unpinned_in_requirements

COMMIT = "0123456789abcdef0123456789abcdef01234567"
DIGEST = "a" * 64


@pytest.mark.parametrize(
    "requirement",
    [
        "torch==2.1.0",
        "torch == 2.1.0",
        "torch==2.1.0+cu121",
        "torch===2.1.0",
        "torch[opt]==2.1",
        "torch==2.1.0,<3",
        "torch==2.1.0 ; python_version >= '3.8'",
        f"torch>=2 --hash=sha256:{DIGEST}",
        f"torch @ https://example.org/torch-2.1-py3-none-any.whl#sha256={DIGEST}",
        f"https://example.org/torch-2.1.zip#egg=torch&sha256={DIGEST}",
        f"https://example.org/someone/torch/archive/{COMMIT}.zip",
        f"git+https://example.org/someone/torch@{COMMIT}",
        f"git+ssh://git@example.org/someone/torch.git@{COMMIT}#egg=torch",
        f"torch @ git+https://example.org/someone/torch@{COMMIT[:7]}#subdirectory=x",
        f"-e git+https://example.org/someone/torch@{COMMIT}#egg=torch",
        "-e .",
        "-e ./packages/ours[extra]",
        ".",
        "./wheels/torch-2.1-py3-none-any.whl",
        "torch-2.1-py3-none-any.whl",
        "${TORCH_REQUIREMENT}",
        "pywin32>=300 ; sys_platform == 'win32'",
    ],
)
def test_pinned(requirement: str) -> None:
    assert judge(requirement) is None


@pytest.mark.parametrize(
    ("requirement", "kind", "advice"),
    [
        ("torch>=2.0.0", "distribution", "pin: torch==2.13.0+cpu"),
        ("torch", "distribution", "pin: torch==2.13.0+cpu"),
        ("Torch[opt, a]~=2.0", "distribution", "pin: Torch[a,opt]==2.13.0+cpu"),
        ("torch==2.*", "distribution", "pin: torch==2.13.0+cpu"),
        ("torch!=2.0", "distribution", "pin: torch==2.13.0+cpu"),
        ("numpy<2 ; python_version >= '3.0'", "distribution", "pin: numpy==<version>"),
        ("git+https://example.org/someone/torch", "distribution", "name a commit"),
        ("git+ssh://git@example.org/someone/torch.git", "distribution", "name a commit"),
        ("-e git+https://example.org/someone/torch@main#egg=torch", "distribution", "name a commit"),
        ("torch @ git+https://example.org/someone/torch@v2.1", "distribution", "name a commit"),
        ("https://example.org/torch-2.1.zip", "distribution", "#sha256="),
        ("torch @ https://example.org/torch-2.1.zip#egg=torch", "distribution", "#sha256="),
        ("torch @ file:///home/conda/feedstock_root/torch", "distribution", "pin: torch==2.13.0+cpu"),
        ("torch=2.1.0=py311_cuda", "unreadable", "pin: torch==2.1.0"),
        ("this is no requirement", "unreadable", "PEP 508"),
        ("torch==2.0 numpy==1.0", "unreadable", "PEP 508"),
    ],
)
def test_not_pinned(requirement: str, kind: str, advice: str) -> None:
    judged = judge(requirement, {"torch": "2.13.0+cpu"})
    assert judged is not None
    assert judged.kind == kind
    assert advice in judged.advice


def test_lines_are_joined_and_numbered_as_pip_does() -> None:
    text = (
        "# a comment\n"
        "\n"
        "torch>=2.0.0 \\\n"
        "    ,<3  # why\n"
        "numpy==1.0 \\\n"
        "# ends what was continued\n"
        "scipy\r\n"
        "-r other.txt  # with a comment\n"
        "--requirement=third.txt\n"
        "-c constraints.txt\n"
        "--extra-index-url https://example.org/simple\n"
        "pandas \\"
    )
    assert [(entry.line, entry.kind, entry.text) for entry in parse(text)] == [
        (3, "requirement", "torch>=2.0.0     ,<3"),
        (5, "requirement", "numpy==1.0"),
        (7, "requirement", "scipy"),
        (8, "include", "other.txt"),
        (9, "include", "third.txt"),
        (10, "constraint", "constraints.txt"),
        (11, "option", "--extra-index-url https://example.org/simple"),
        (12, "requirement", "pandas"),
    ]
    assert [(one.line, one.text) for one in unpinned_in_requirements(text)] == [
        (3, "torch>=2.0.0 ,<3"),
        (7, "scipy"),
        (12, "pandas"),
    ]


def test_hashes_on_continued_lines_pin() -> None:
    text = f"torch>=2 \\\n    --hash=sha256:{DIGEST} \\\n    --hash=sha256:{DIGEST}\n"
    assert unpinned_in_requirements(text) == ()


def test_a_constraints_file_pins() -> None:
    constraints = "torch==2.1\nnumpy<2\n# scipy==1.0\nFoo.Bar==1.0\n"
    assert pinned_by(constraints) == {"torch", "foo-bar"}
    text = "torch>=2\nnumpy\nfoo_bar\n"
    found = unpinned_in_requirements(text, constrained=pinned_by(constraints))
    assert [one.text for one in found] == ["numpy"]


def test_a_remote_file_is_not_pinned() -> None:
    (found,) = unpinned_in_requirements("-r https://user:secret@example.org/requirements.txt\n")
    assert found.kind == "distribution" and "secret" not in found.text


def test_credentials_are_not_shown() -> None:
    (found,) = unpinned_in_requirements("git+https://user:secret@example.org/x@main\n")
    assert found.text == "git+https://example.org/x@main"
    assert shown("x" * 500).endswith("…") and len(shown("x" * 500)) == 120


@pytest.mark.parametrize("text", ["", "\\", "\\\n\\\n", "#", "\0", "-r", "-e", "@", "a @", "[" * 10000, "(" * 10000])
def test_odd_files_are_judged_without_a_fault(text: str) -> None:
    unpinned_in_requirements(text)
