"""Results that are stored under the time of day."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auditor.rule import Example, Rule, Sighting
from auditor.source import Module
from auditor.source.flows import Place, flows, last_name
from auditor.source.sequences import told

_BAD = """import json
import os
import time

folder = os.path.join("runs", time.strftime("%Y%m%d-%H%M%S"))
os.makedirs(folder, exist_ok=True)
with open(os.path.join(folder, "metrics.json"), "w") as file:
    json.dump({"loss": 0.5}, file)
"""

RULE = Rule(
    id="timestamped-results",
    title="Results are stored under the time of day",
    topic="order",
    level="bit-exact",
    severity="note",
    confidence="possible",
    since="0.1.0",
    why=(
        "A directory that is named by the clock has another name in each run. Nothing says from it which seed and "
        "which settings the results are of, a script that reads the latest one reads whichever ended last, and two "
        "runs cannot be compared file by file."
    ),
    remedy="Name it by what decides the results, such as runs/bilstm/seed_3, and write the time inside.",
    bad=(
        Example(_BAD),
        Example(
            "import time\nfrom pathlib import Path\n\nname = f'model_{int(time.time())}'\n"
            "folder = Path('out') / name\nfolder.mkdir(parents=True, exist_ok=True)\n"
        ),
        Example(
            "from datetime import datetime\n\nimport torch\n\nstamp = datetime.now().strftime('%H%M%S')\n"
            "torch.save({'w': torch.ones(2)}, f'model-{stamp}.pt')\n",
            needs=("torch",),
        ),
    ),
    good=(
        Example(_BAD.replace('time.strftime("%Y%m%d-%H%M%S")', '"seed_3"')),
        Example("import time\n\nprint(f'done at {time.strftime(\"%H:%M\")}')\n"),
        Example(
            "import json\nimport time\n\nwith open('metrics.json', 'w') as file:\n"
            "    json.dump({'loss': 0.5, 'time': time.time()}, file)\n"
        ),
    ),
    sources=("https://docs.python.org/3/library/time.html#time.strftime",),
)

_CLOCKS = (
    "time.time",
    "time.strftime",
    "time.localtime",
    "time.ctime",
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "datetime.datetime.today",
    "datetime.date.today",
)
_PLACES = (
    "os.path.join",
    "os.makedirs",
    "os.mkdir",
    "pathlib.Path",
    "open",
    "torch.save",
    "torch.utils.tensorboard.SummaryWriter",
    "tensorboardX.SummaryWriter",
    "numpy.save",
    "numpy.savez",
    "joblib.dump",
)
_METHODS = (
    "joinpath",
    "to_csv",
    "to_json",
    "to_parquet",
    "to_pickle",
    "save_pretrained",
    "savefig",
    "save_model",
    "save",
)
_KEYWORDS = ("log_dir", "logdir", "save_dir", "output_dir", "out_dir", "save_path", "dirpath", "default_root_dir")


def see_source(module: Module) -> Iterator[Sighting]:
    """Clocks whose value becomes part of a path under which something is stored."""
    for call in module.calls(*_CLOCKS):
        if told(module, call.node):
            continue
        if _tells_the_seed(module, call.node):
            continue
        if any(_is_path(module, place) for place in flows(module, call.node)):
            yield Sighting(call.node, "what is stored is named by the clock: by another name in each run")


def _tells_the_seed(module: Module, node: ast.AST) -> bool:
    """Whether what the clock becomes part of names the seed, too: then the name tells runs apart on purpose."""
    statement = module.statement(node)
    return statement is not None and "seed" in module.segment(statement).lower()


def _is_path(module: Module, place: Place) -> bool:
    node, around = place
    match around:
        case ast.Call() if node in around.args:
            name = module.name(around.func) or ""
            return name in _PLACES or (isinstance(around.func, ast.Attribute) and last_name(module, around) in _METHODS)
        case ast.keyword(arg=str(name)):
            return name in _KEYWORDS
        case ast.BinOp(op=ast.Div()):
            # A path, not a number that is divided: its other side is one or the value is text.
            return around.right is node and any(_text(module, value) for value in module.values(node))
    return False


def _text(module: Module, node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Call) and last_name(module, node) in ("strftime", "isoformat", "str", "ctime")
    )
