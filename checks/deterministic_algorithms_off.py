"""A seeded program that never asks PyTorch for deterministic algorithms."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auditor.rule import Example, Fix, Observation, Rule, Sighting, Watched
from auditor.source import Module
from auditor.source.devices import seeding_place
from auditor.source.streams import stands_alone

_BAD = """import torch

torch.manual_seed(0)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
model = torch.nn.Linear(4, 1).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(3):
    optimizer.zero_grad()
    model(torch.randn(8, 4, device=device)).square().mean().backward()
    optimizer.step()
"""
_ASKING = _BAD.replace("torch.manual_seed(0)", "torch.manual_seed(0)\ntorch.use_deterministic_algorithms(True)")
_SCOPED = """
@contextlib.contextmanager
def manual_seed(seed):
    state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    yield
    torch.random.set_rng_state(state)


with manual_seed(0):
    start = torch.rand(3)
"""
RULE = Rule(
    id="deterministic-algorithms-off",
    title="Deterministic algorithms are never asked for",
    topic="kernels",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "Many of PyTorch's kernels for CUDA add with atomic operations, in whatever order threads finish. Seeds do not "
        "reach that, and torch.backends.cudnn.deterministic speaks for convolutions alone. With "
        "torch.use_deterministic_algorithms(True) each operation takes a deterministic kernel or raises an error."
    ),
    remedy=(
        "Call torch.use_deterministic_algorithms(True) where the program seeds; "
        "in Lightning, Trainer(deterministic=True)."
    ),
    bad=(
        Example(_ASKING.replace("(True)", "(False)"), needs=("torch",)),
        Example(_BAD, needs=("torch",)),
        Example(
            _BAD.replace("torch.manual_seed(0)", "torch.manual_seed(0)\ntorch.backends.cudnn.deterministic = True"),
            needs=("torch",),
        ),
    ),
    good=(
        Example(_ASKING, needs=("torch",)),
        Example(_ASKING.replace("(True)", "(mode=torch.initial_seed() == 0)"), needs=("torch",)),
        # On the CPU alone there is nothing to ask for.
        Example(
            _BAD.replace('"cuda" if torch.cuda.is_available() else "cpu"', '"cpu"'),
            needs=("torch",),
        ),
        # A seed for a while is no place for a switch that stays.
        Example("import contextlib\n\n" + _BAD.replace("torch.manual_seed(0)\n", _SCOPED), needs=("torch",)),
    ),
    sources=(
        "https://docs.pytorch.org/docs/stable/notes/randomness.html#avoiding-nondeterministic-algorithms",
        "https://docs.pytorch.org/docs/stable/generated/torch.use_deterministic_algorithms.html",
    ),
)


def see_source(module: Module) -> Iterator[Sighting]:
    """Deterministic algorithms switched off, and the place of seeding where nothing switches them on."""
    for call in module.calls("torch.use_deterministic_algorithms"):
        given = call.argument("mode", 0)
        if module.constant(given) is False and isinstance(given, ast.expr):
            yield Sighting(
                call.node,
                "deterministic algorithms are switched off: kernels may add in another order in each run",
                ("asks:deterministic",),  # one that goes back and forth
                Fix((module.replaced(given, "True"),)),
                given=("uses:cuda",),
            )
    seeding = seeding_place(module)
    if seeding is None or any(True for _ in module.calls("torch.use_deterministic_algorithms")):
        return
    alone = stands_alone(module) or module.path.endswith(".ipynb")
    if alone and module.function(seeding) is None and "uses:cuda" not in module.facts:
        return  # what other files of the project do is none of this program's
    yield Sighting(
        seeding,
        "seeded, but torch.use_deterministic_algorithms(True) is called nowhere: kernels for CUDA may add in another "
        "order in each run",
        ("asks:deterministic",),
        _call_above(module, seeding),
        "medium",
        ("uses:cuda", "trains"),
    )


def _call_above(module: Module, seeding: ast.Call) -> Fix | None:
    statement = module.statement(seeding)
    if not module.segment(seeding).startswith("torch.manual_seed(") or not isinstance(statement, ast.Expr):
        return None
    return Fix((module.before(statement, "torch.use_deterministic_algorithms(True)"),))


def see_run(watched: Watched) -> Iterator[Observation]:
    """The switch as it stood at the first step, where a CUDA device was used."""
    for run in watched.runs:
        for trace in run.processes:
            switches = trace.in_force.switches if trace.in_force and trace.gpus else {}
            if switches.get("deterministic_algorithms") is False:
                yield Observation(
                    "deterministic algorithms were off: kernels for CUDA may add in another order in each run",
                    severity=None if watched.comparison.divergences else "note",
                )
                return
