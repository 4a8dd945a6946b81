"""The example as a module: it is a program, and no package has it."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
TRAIN = ROOT / "examples" / "turbofan" / "train.py"


@pytest.fixture(scope="session")
def turbofan() -> ModuleType:
    """``examples/turbofan/train.py``, imported."""
    spec = importlib.util.spec_from_file_location("turbofan_train", TRAIN)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def fd001() -> Path:
    """The directory of the real FD001: the one that AUDITOR_CMAPSS names, else the one beside the checkout."""
    named = os.environ.get("AUDITOR_CMAPSS")
    directory = Path(named) if named else ROOT.parent / "shared" / "data" / "cmapss"
    if not (directory / "train_FD001.txt").is_file():
        pytest.skip("no C-MAPSS FD001 on this machine: name its directory in AUDITOR_CMAPSS")
    return directory
