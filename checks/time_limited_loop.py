"""Training that lasts until the time is up."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auditor.rule import Example, Rule, Sighting
from auditor.source import ABSENT, HIDDEN, Module
from auditor.source.flows import flows, last_name

_BAD = """import time

import torch

torch.manual_seed(0)
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
start = time.time()
while time.time() - start < 0.2:
    optimizer.zero_grad()
    model(torch.randn(8, 4)).square().mean().backward()
    optimizer.step()
"""

RULE = Rule(
    id="time-limited-loop",
    title="The clock decides how long training lasts",
    topic="order",
    level="seed-stable",
    severity="warning",
    confidence="possible",
    since="0.1.0",
    why=(
        "A loop that ends when its time is up takes as many steps as the machine manages: more on a faster one, fewer "
        "on a busy one. Two runs with one seed end with other parameters, and no seed can mend that."
    ),
    remedy="Count steps, epochs or trials; keep a limit of time only as an emergency brake that raises an error.",
    bad=(
        Example(_BAD, needs=("torch",)),
        Example(
            _BAD.replace("while time.time() - start < 0.2:", "for step in range(200):").replace(
                "    optimizer.step()\n", "    optimizer.step()\n    if time.time() - start > 0.2:\n        break\n"
            ),
            needs=("torch",),
        ),
        Example('import lightning as L\n\ntrainer = L.Trainer(max_time="00:12:00:00")\n', needs=("lightning",)),
        Example(
            "import optuna\n\nstudy = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))\n"
            'study.optimize(lambda trial: trial.suggest_float("x", 0, 1), timeout=0.2)\n',
            needs=("optuna",),
        ),
    ),
    good=(
        Example(
            _BAD.replace("while time.time() - start < 0.2:", "for _ in range(9):")
            + "print(f'{time.time() - start:.1f} s')\n",
            needs=("torch",),
        ),
        # Waiting and reporting now and then decide nothing.
        Example("import time\n\nend = time.monotonic() + 0.1\nwhile time.monotonic() < end:\n    time.sleep(0.02)\n"),
        Example(
            _BAD.replace("while time.time() - start < 0.2:", "for step in range(20):").replace(
                "    optimizer.step()\n",
                "    optimizer.step()\n    if time.time() - start > 0.1:\n        start = time.time()\n",
            ),
            needs=("torch",),
        ),
        Example(
            "import optuna\n\nstudy = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))\n"
            'study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)\n',
            needs=("optuna",),
        ),
    ),
    sources=(
        "https://docs.python.org/3/library/time.html#time.monotonic",
        "https://lightning.ai/docs/pytorch/stable/common/trainer.html#max-time",
        "https://optuna.readthedocs.io/en/stable/reference/generated/optuna.study.Study.html#optuna.study.Study.optimize",
    ),
)

_CLOCKS = (
    "time.time",
    "time.monotonic",
    "time.perf_counter",
    "time.process_time",
    "time.time_ns",
    "timeit.default_timer",
    "datetime.datetime.now",
)
_LEARNING = (
    "backward",
    "step",
    "fit",
    "train_step",
    "partial_fit",
    "learn",
    "train_one_epoch",
    "train_epoch",
    "update",
)
_STUDIES = ("optuna.create_study().optimize", "optuna.load_study().optimize", "optuna.study.create_study().optimize")
_LIMITS = {"lightning.Trainer": "max_time", **dict.fromkeys(_STUDIES, "timeout")}


def see_source(module: Module) -> Iterator[Sighting]:
    """Loops that learn and end by the clock, and libraries that are told to."""
    seen: set[ast.AST] = set()
    for call in module.calls(*_CLOCKS):
        for place in flows(module, call.node):
            if not isinstance(place.around, ast.Compare):
                continue
            loop = _ended(module, place.around)
            if loop is not None and loop not in seen and _learns(module, loop):
                seen.add(loop)
                yield Sighting(
                    place.around,
                    "the loop ends when the time is up: how many steps it takes depends on the machine",
                )
    for name, keyword in _LIMITS.items():
        for call in module.calls(name):
            given = call.argument(keyword)
            if (
                given is not ABSENT
                and given is not HIDDEN
                and isinstance(module.constant(given), (int, float, str, dict))
            ):
                yield Sighting(
                    call.node, f"{keyword} ends it when the time is up: how far it comes depends on the machine"
                )


def _ended(module: Module, comparison: ast.Compare) -> ast.AST | None:
    """The loop that ends when a comparison with the clock comes out so or so."""
    inside: ast.AST = comparison
    for around in module.parents(comparison):
        if isinstance(around, ast.While) and inside is around.test:
            return around
        if isinstance(around, ast.If) and inside is around.test:
            ends = any(isinstance(one, (ast.Break, ast.Return)) for one in around.body)
            return module.loop(around) if ends else None
        if isinstance(around, ast.stmt):
            return None
        inside = around
    return None


def _learns(module: Module, loop: ast.AST) -> bool:
    return any(
        isinstance(node, ast.Call)
        and (
            last_name(module, node) in _LEARNING
            or (isinstance(node.func, ast.Name) and node.func.id.startswith(("train", "fit", "optimi")))
        )
        for node in ast.walk(loop)
    )
