"""What an earlier run left, taken for what this one should compute."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auditor.rule import Example, Observation, Rule, Sighting, Watched
from auditor.source import Module
from auditor.source.flows import last_name

_BAD = """import json
import random
from pathlib import Path

cache = Path.home() / "auditor-example-features.json"
if cache.exists():
    features = json.loads(cache.read_text())
else:
    features = [random.random() for _ in range(4)]
    cache.write_text(json.dumps(features))
print(sum(features))
"""

RULE = Rule(
    id="stale-file",
    title="A file that an earlier run left is taken for granted",
    topic="order",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "A cache or checkpoint that is read if it is there makes a run depend on those before it: whether it is there, "
        "and which code and settings it comes from. The first run draws random numbers that the second does not, and a "
        "run that quietly resumes looks like one that repeats."
    ),
    remedy=(
        "Put what decides the contents into the name (settings, versions, seed), check it on reading, and resume on "
        "request only, such as by --resume."
    ),
    bad=(
        Example(_BAD),
        Example(
            "import os\n\nimport torch\n\nmodel = torch.nn.Linear(2, 1)\npath = 'model.pt'\nif os.path.exists(path):\n"
            "    model.load_state_dict(torch.load(path))\nprint(model(torch.ones(2)))\ntorch.save(model.state_dict(), "
            "path)\n",
            needs=("torch",),
            runs=False,
        ),
    ),
    good=(
        Example(_BAD.replace("if cache.exists():", "if False:")),
        # Read or fail: it is an input.
        Example(
            "import json\nfrom pathlib import Path\n\npath = Path('settings.json')\n"
            "settings = json.loads(path.read_text()) if path.exists() else {}\nprint(settings)\n"
        ),
        Example(
            "from pathlib import Path\n\npath = Path('log.txt')\nif path.exists():\n    path.unlink()\n"
            "path.write_text('begun')\n"
        ),
    ),
    sources=("https://docs.pytorch.org/tutorials/beginner/saving_loading_models.html",),
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_LOADERS = _words(
    "load loads read_csv read_parquet read_pickle read_json read_feather load_file read_text read_bytes loadtxt "
    "load_npz"
    " load_state_dict load_checkpoint safe_load read_hdf load_model"
)
_SAVERS = _words(
    "save dump dumps savez savez_compressed to_csv to_parquet to_pickle to_json to_feather savetxt save_npz write_text"
    " write_bytes save_file save_checkpoint to_hdf save_model save_pretrained"
)
_ASKS = ("os.path.exists", "os.path.isfile", "os.path.lexists")


def see_source(module: Module) -> Iterator[Sighting]:
    """Files that are loaded if they are there, and saved under the same name where they are not."""
    for node in module.all(ast.If):
        asked = _asked(module, node.test)
        if asked is None:
            continue
        negated = isinstance(node.test, ast.UnaryOp)
        path = ast.dump(asked)
        following = _following(module, node)
        there, missing = (node.orelse or following, node.body) if negated else (node.body, [*node.orelse, *following])
        if _is_begun_empty(missing):
            continue
        if _does(module, there, path, _LOADERS) and _does(module, missing, path, _SAVERS):
            yield Sighting(
                node.test,
                f"{module.segment(asked)} is read if it is there, and else made and stored: a run depends on those "
                "before it",
            )


def _is_begun_empty(statements: list[ast.stmt]) -> bool:
    """Whether all that is done without the file is to begin an empty collection, which is added to and stored."""
    first = statements[0] if statements else None
    value = first.value if isinstance(first, (ast.Assign, ast.AnnAssign)) else None
    return (
        isinstance(value, (ast.Dict, ast.List)) and not (value.keys if isinstance(value, ast.Dict) else value.elts)
    ) or (isinstance(value, ast.Call) and getattr(value.func, "id", "") in ("dict", "list", "set") and not value.args)


def _asked(module: Module, test: ast.expr) -> ast.expr | None:
    """The path of which a condition asks whether it is there, and nothing else."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        test = test.operand
    if not isinstance(test, ast.Call):
        return None
    if module.name(test.func) in _ASKS and test.args:
        return test.args[0]
    if isinstance(test.func, ast.Attribute) and test.func.attr in ("exists", "is_file") and not test.args:
        return test.func.value
    return None


def _following(module: Module, node: ast.If) -> list[ast.stmt]:
    """The statements after a condition in its block."""
    around = module.parent(node)
    for block in (getattr(around, "body", []), getattr(around, "orelse", [])):
        if isinstance(block, list) and node in block:
            return list(block[block.index(node) + 1 :])
    return []


def _does(module: Module, statements: list[ast.stmt], path: str, names: frozenset[str]) -> bool:
    """Whether one of these functions is called with this path, directly or through ``open``."""
    for call in (one for statement in statements for one in ast.walk(statement) if isinstance(one, ast.Call)):
        last = last_name(module, call)
        if last not in names:
            continue
        given = [*call.args, *(one.value for one in call.keywords)]
        if isinstance(call.func, ast.Attribute):
            given.append(call.func.value)
        if any(ast.dump(one) == path for argument in given for one in ast.walk(argument) if isinstance(one, ast.expr)):
            return True
        if _in_opened(module, call, path):
            return True
    return False


def _in_opened(module: Module, call: ast.Call, path: str) -> bool:
    for around in module.parents(call):
        if isinstance(around, ast.With):
            for item in around.items:
                opened = item.context_expr
                if isinstance(opened, ast.Call) and any(ast.dump(one) == path for one in ast.walk(opened)):
                    return True
    return False


def see_run(watched: Watched) -> Iterator[Observation]:
    """Files outside the project that changed after the audit began, and were read."""
    for run in watched.runs:
        for trace in run.processes:
            for read in trace.stale_reads:
                yield Observation(
                    f"{read.path} lies outside the project, changed after the audit began, and was read: a run may "
                    "have "
                    "started from what an earlier one left",
                    read.place,
                )
