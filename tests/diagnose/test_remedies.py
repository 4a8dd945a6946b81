"""Remedies: the diff applies, the file still compiles, and it does what the text says."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from auditor.diagnose.attribute import Suspect
from auditor.diagnose.remedies import remedy, seed_expression
from auditor.records.trace import Place

_PROGRAM = '''"""Train."""

import argparse

from torch import nn


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int)
    args = parser.parse_args()
    model = nn.Linear(2, 2)
    return model, args


main()
'''


def _remedied(tmp_path: Path, rule: str, source: str, line: int, entry: str | None = None) -> str:
    place = Place("train.py", line)
    found = remedy(Suspect(rule, None, place, "", 1), entry, lambda name: source if name == "train.py" else None)
    assert found.text
    if not found.diff:
        return ""
    (tmp_path / "train.py").write_text(source)
    subprocess.run(["git", "apply", "-"], input=found.diff, text=True, cwd=tmp_path, check=True)
    changed = (tmp_path / "train.py").read_text()
    compile(changed, "train.py", "exec")
    return changed


@pytest.mark.parametrize(
    ("rule", "call", "module"),
    [
        ("unseeded-torch", "torch.manual_seed(args.seed)", "import torch\n"),
        ("unseeded-numpy-global", "numpy.random.seed(args.seed)", "import numpy\n"),
        ("unseeded-python-random", "random.seed(args.seed)", "import random\n"),
    ],
)
def test_a_stream_is_seeded_once_its_seed_is_known(tmp_path: Path, rule: str, call: str, module: str) -> None:
    changed = _remedied(tmp_path, rule, _PROGRAM, 12, "train.py")
    lines = [line.strip() for line in changed.splitlines()]
    assert lines[lines.index("args = parser.parse_args()") + 1] == call
    assert module in changed


def test_a_script_without_arguments_is_seeded_after_its_imports(tmp_path: Path) -> None:
    source = "import numpy as np\n\nx = np.random.rand(3)\n"
    changed = _remedied(tmp_path, "unseeded-numpy-global", source, 3, "train.py")
    assert changed.startswith("import numpy as np\n\nnp.random.seed(1)  # better the seed")
    assert changed.endswith("\n\nx = np.random.rand(3)\n")


@pytest.mark.parametrize(
    ("rule", "before", "after"),
    [
        ("unseeded-numpy-generator", "rng = np.random.default_rng()", "rng = np.random.default_rng(seed)"),
        ("unseeded-python-random", "rng = random.Random()", "rng = random.Random(seed)"),
        ("seed-from-entropy", "random.seed()", "random.seed(seed)"),
        ("seed-from-entropy", "random.seed(None)", "random.seed(seed)"),
        ("unsorted-listing", "names = os.listdir(path)", "names = sorted(os.listdir(path))"),
        (
            "unsorted-listing",
            "files = [p for p in root.glob('*.csv')]",
            "files = [p for p in sorted(root.glob('*.csv'))]",
        ),
        ("hash-order", "for word in set(words): print(word)", "for word in sorted(set(words)): print(word)"),
        ("hash-order", "order = list({1, 2})", "order = list(sorted({1, 2}))"),
    ],
)
def test_a_mechanical_change_is_written_out(tmp_path: Path, rule: str, before: str, after: str) -> None:
    assert _remedied(tmp_path, rule, f"seed = 3\n{before}\n", 2) == f"seed = 3\n{after}\n"


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        ("clock-read", "lr = time.time()"),
        ("unsorted-listing", "for e in os.scandir(path): use(e)"),
        ("unsorted-listing", "a, b = os.listdir(x), os.listdir(y)"),
        ("unseeded-numpy-generator", "rngs = default_rng(), default_rng()"),
    ],
)
def test_what_is_not_mechanical_has_words_alone(tmp_path: Path, rule: str, line: str) -> None:
    assert _remedied(tmp_path, rule, f"{line}\n", 1) == ""


def test_the_seed_is_called_what_the_program_calls_it() -> None:
    assert seed_expression("model(args.seed)") == "args.seed"
    assert seed_expression("SEED = 3\nx = 1\n", 2) == "SEED"
    assert seed_expression("def main(seed=0):\n    pass\n", 2) == "seed"
    assert seed_expression("x = 1\n", 1) == "1"
