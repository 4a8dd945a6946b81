"""The recipe: printed as it lies in the package, and what it promises holds in audits of a program that uses it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RECIPES = ROOT / "auditor" / "recipe"

Auditor = Callable[..., "subprocess.CompletedProcess[str]"]

# Every stream is drawn from: Python's and NumPy's in the workers, a generator that the dataset's transform holds,
# torch's for the parameters, dropout and shuffling, and the generator that seeding gave.
PROGRAM = """
import random
import sys

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

SEEDING


class Noise:
    def __init__(self):
        self.rng = np.random.default_rng(GENERATOR_SEED)

    def __call__(self, x):
        return x + float(self.rng.normal()) + random.random() + np.random.rand()


class Data(Dataset):
    def __init__(self):
        self.x = torch.arange(64.0).reshape(16, 4)
        self.transforms = [Noise()]

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        x = self.x[index]
        for transform in self.transforms:
            x = transform(x)
        return x


def main():
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.Linear(4, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001)
    loader = DataLoader(Data(), batch_size=4, shuffle=True, num_workers=2LOADING)
    for _ in range(3):
        for batch in loader:
            loss = model(batch + float(rng.normal())).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    print("loss", loss.item())


main()
"""
WITH = (
    PROGRAM.replace(
        "SEEDING",
        "from seeding import loader_generator, seed_everything, seed_worker\n\n"
        "seed = int(sys.argv[1])\nrng = seed_everything(seed)",
    )
    .replace("GENERATOR_SEED", "seed")
    .replace("LOADING", ", generator=loader_generator(seed), worker_init_fn=seed_worker")
)
WITHOUT = (
    PROGRAM.replace("SEEDING", "torch.manual_seed(int(sys.argv[1]))\nrng = np.random.default_rng(1)")
    .replace("GENERATOR_SEED", "")
    .replace("LOADING", "")
)


WORKERS = """
import json
import random

import numpy as np
import torch
from seeding_torch import loader_generator, seed_worker
from torch.utils.data import DataLoader, Dataset, Subset


class Data(Dataset):
    def __init__(self):
        self.attribute = random.Random(0)
        self.listed = [torch.Generator()]
        self.named = {"crop": np.random.default_rng(0), "deeper": [np.random.RandomState(0)]}

    def __len__(self):
        return 2

    def __getitem__(self, index):
        drawn = torch.rand((), generator=self.listed[0]).item()
        return [self.attribute.random(), drawn, self.named["crop"].random(), self.named["deeper"][0].rand()]


loader = DataLoader(
    Subset(Data(), range(2)), batch_size=None, num_workers=2, generator=loader_generator(1), worker_init_fn=seed_worker
)
print(json.dumps([[float(one) for one in drawn] for drawn in loader]))
"""


@pytest.mark.parametrize("framework", ["torch", "numpy"])
def test_a_recipe_is_printed_as_it_lies_in_the_package(framework: str, auditor: Auditor, project: Path) -> None:
    text = (RECIPES / f"seeding_{framework}.py").read_text(encoding="utf-8")
    assert auditor("recipe", "--framework", framework).stdout == text
    assert auditor("recipe", "--framework", framework, "-o", "seeding.py").returncode == 0
    assert (project / "seeding.py").read_text(encoding="utf-8") == text
    assert len(text.splitlines()) <= 80


def test_there_are_no_other_recipes(auditor: Auditor) -> None:
    done = auditor("recipe", "--framework", "fortran")
    assert done.returncode == 2
    assert "(unknown-framework; auditor explain unknown-framework)" in done.stderr


@pytest.mark.parametrize("missing", [("numpy",), ("torch",), ("numpy", "torch")])
def test_the_recipe_does_without_what_is_not_installed(missing: tuple[str, ...], tmp_path: Path) -> None:
    code = (
        f"import random, sys\nsys.modules.update(dict.fromkeys({missing!r}))\n"
        "from seeding_torch import seed_everything\n"
        "def draw():\n    rng = seed_everything(7)\n    return random.random(), rng is None or rng.random()\n"
        "assert draw() == draw()\n"
        f"assert (seed_everything(7) is None) == {'numpy' in missing}\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(RECIPES)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_generators_of_the_numpy_recipe_are_apart_and_come_again() -> None:
    sys.path.insert(0, str(RECIPES))
    try:
        import seeding_numpy
    finally:
        sys.path.remove(str(RECIPES))
    drawn = [generator.random() for generator in seeding_numpy.generators(3, 8)]
    assert len(set(drawn)) == 8
    assert drawn == [generator.random() for generator in seeding_numpy.generators(3, 8)]
    assert seeding_numpy.seed_everything(2**40).random() == seeding_numpy.seed_everything(2**40).random()


def test_workers_draw_apart_from_every_generator_that_their_dataset_holds(tmp_path: Path) -> None:
    (tmp_path / "workers.py").write_text(WORKERS, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "workers.py"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(RECIPES), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    first, second = json.loads(done.stdout)  # what each worker drew
    assert len(first) == 4
    assert not any(one == other for one, other in zip(first, second, strict=True)), done.stdout


@pytest.mark.programs
def test_a_program_with_the_recipe_is_bit_exact_and_controlled(auditor: Auditor, project: Path) -> None:
    auditor("recipe", "-o", "seeding.py")
    (project / "train.py").write_text(WITH, encoding="utf-8")
    done = auditor("run", "--out", "e", "--require", "bit-exact", "--", "python", "train.py", "{seed}")
    assert done.returncode == 0, done.stdout + done.stderr
    audit = json.loads((project / "e" / "audit.json").read_text(encoding="utf-8"))
    rules = {finding["rule"] for finding in audit["findings"] if finding["severity"] != "note"}
    assert not rules & {"identical-worker-randomness", "repeated-epoch-randomness", "repeated-epoch-order"}
    assert not any(rule.startswith("unseeded") for rule in rules), rules
    controls = {control["name"]: control["verdict"] for control in audit["controls"]}
    streams = ("python-stream", "numpy-stream", "torch-stream", "numpy-generators", "dataloader-workers")
    assert {controls[name] for name in streams} <= {"controlled", "not-applicable"}, audit["controls"]
    assert controls["dataloader-workers"] == "controlled"
    assert "nothing held them to it" not in done.stdout


@pytest.mark.programs
def test_the_same_program_without_it_is_not(auditor: Auditor, project: Path) -> None:
    (project / "train.py").write_text(WITHOUT, encoding="utf-8")
    done = auditor("run", "--no-diagnose", "--out", "e", "--", "python", "train.py", "{seed}")
    audit = json.loads((project / "e" / "audit.json").read_text(encoding="utf-8"))
    assert audit["levels"]["bit-exact"]["verdict"] == "not-reached", done.stdout + done.stderr
    controls = {control["name"]: control["verdict"] for control in audit["controls"]}
    assert controls["numpy-generators"] == controls["dataloader-workers"] == "not-controlled"
