"""The number of processor cores in what is computed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from auditor.rule import Confidence, Example, Rule, Sighting
from auditor.source import Module
from auditor.source.flows import Place, flows, last_name
from auditor.source.sequences import told

_BAD = """import os

import numpy as np

losses = np.random.default_rng(0).random(1000).astype(np.float32)
parts = np.array_split(losses, os.cpu_count())
print(sum(part.mean() for part in parts))
"""

RULE = Rule(
    id="cpu-count-read",
    title="The number of cores is part of what is computed",
    topic="order",
    level="seed-stable",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "A batch size, a number of shards, of folds or of environments that is taken from os.cpu_count() is another "
        "one "
        "on another machine, or in a container. The data falls into other parts, the optimizer takes other steps, and "
        "each worker of a DataLoader has a stream of its own, so that their number decides the augmentation."
    ),
    remedy="Write the number into the configuration, and let only the speed depend on the cores.",
    bad=(
        Example(_BAD, needs=("numpy",)),
        Example(
            "import multiprocessing\n\nimport torch\n\n"
            "data = torch.utils.data.TensorDataset(torch.arange(64.0))\nbatch_size = 4 * multiprocessing.cpu_count()\n"
            "loader = torch.utils.data.DataLoader(data, batch_size)\nprint(len(loader))\n",
            needs=("torch",),
        ),
        Example(
            "import os\n\nimport torch\n\ndata = torch.utils.data.TensorDataset(torch.arange(8.0))\n"
            "loader = torch.utils.data.DataLoader(data, num_workers=min(os.cpu_count() or 1, 2))\n"
            "if __name__ == '__main__':\n    print(len(list(loader)))\n",
            needs=("torch",),
        ),
        Example("from os import sched_getaffinity\n\nn_envs = len(sched_getaffinity(0))\nprint([0] * n_envs)\n"),
    ),
    good=(
        Example(_BAD.replace("os.cpu_count()", "8").replace("import os\n\n", ""), needs=("numpy",)),
        # How many work on it, each task giving the same whoever does it.
        Example(
            "import os\nfrom concurrent.futures import ThreadPoolExecutor\n\n"
            "with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:\n    print(list(pool.map(abs, range(-3, "
            "3))))\n"
        ),
        Example("import os\n\nprint(f'{os.cpu_count()} cores')\n"),
    ),
    sources=(
        "https://docs.python.org/3/library/os.html#os.cpu_count",
        "https://docs.pytorch.org/docs/stable/data.html#multi-process-data-loading",
    ),
)

_COUNTS = ("os.cpu_count", "multiprocessing.cpu_count", "psutil.cpu_count", "joblib.cpu_count", "os.process_cpu_count")
_DECIDING = re.compile(
    r"(^|_)(batch_?size|bs|n_?envs|num_?envs|num_?shards|n_?shards|num_?splits|n_?splits|n_?folds|num_?parts|n_?parts"
    r"|num_?chunks|n_?chunks|num_?actors|n_?actors|num_?partitions|chunk_?size|shard_?size|n_?batches|accumulation\w*)$",
    re.IGNORECASE,
)
_WORKERS = re.compile(r"^(num_workers|workers|loader_workers|num_rollout_workers|num_env_runners)$")
_SPLITTERS = ("array_split", "split", "chunk", "tensor_split", "repartition")


def see_source(module: Module) -> Iterator[Sighting]:
    """Counts of cores that become a batch size, a number of parts, or of loading workers."""
    for call in (*module.calls(*_COUNTS), *module.calls("os.sched_getaffinity")):
        if told(module, call.node):
            continue
        for place in flows(module, call.node):
            found = _decides(module, place)
            if found is not None:
                what, confidence = found
                yield Sighting(call.node, f"the number of cores decides {what}", confidence=confidence)
                break


def _decides(module: Module, place: Place) -> tuple[str, Confidence | None] | None:
    name = ""
    match place.around:
        case ast.keyword(arg=str(given)):
            name = given
            call = module.parent(place.around)
            loads = isinstance(call, ast.Call) and last_name(module, call).endswith(("DataLoader", "Loader"))
            if loads and _WORKERS.search(name):
                return "how many workers load, and each has a stream of its own", "medium"
        case ast.Assign(targets=[ast.Name(id=given)]):
            name = given
        case ast.Assign(targets=[ast.Attribute(attr=given)]):
            name = given
        case ast.Call() if place.node in place.around.args:
            if last_name(module, place.around) in _SPLITTERS and place.around.args[0] is not place.node:
                return "into how many parts data is split", None
    if not _DECIDING.search(name):
        return None
    # Chunks are often put together again in their order.
    return name, "medium" if "chunk" in name.lower() else None
