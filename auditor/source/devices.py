"""What shows that a file computes on CUDA, convolves, and asks for deterministic kernels."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from auditor.source.scopes import parameters
from auditor.source.streams import is_program, is_test

if TYPE_CHECKING:
    from auditor.source.module import Call, Module

_DEVICE = re.compile(r"cuda(:\d+|:)?|gpu")
# torch.cuda functions that programs without a GPU call as well.
_HARMLESS = re.compile(r"torch\.cuda\.(manual_seed|seed|initial_seed|set_rng_state|get_rng_state|empty_cache)\w*")
# They put the model on a GPU by themselves where there is one.
_PLACERS = frozenset(
    {"lightning.Trainer", "lightning.Fabric", "accelerate.Accelerator", "transformers.Trainer", "trl.SFTTrainer"}
)
_CONVOLUTIONS = re.compile(
    r"torch\.nn\.(Lazy)?Conv(Transpose)?[123]d|torch\.nn\.functional\.conv(_transpose)?[123]d"
    r"|torchvision\.models\.\w.*|timm\.create_model|timm\.models\.\w.*|segmentation_models_pytorch\.\w.*"
)
_ASKERS = frozenset(
    {
        "torch.use_deterministic_algorithms",
        "torch.set_deterministic",
        "torch.set_deterministic_debug_mode",
        "transformers.enable_full_determinism",
    }
)
CUDNN_DETERMINISTIC = "torch.backends.cudnn.deterministic"


def device_facts(module: Module) -> Iterator[str]:
    """``uses:cuda``, ``uses:convolution``, ``asks:deterministic`` and ``asks:cudnn-deterministic``, where they hold."""
    if on_cuda(module):
        yield "uses:cuda"
    if any(_CONVOLUTIONS.fullmatch(name) for name in module.called):
        yield "uses:convolution"
    if any(True for _ in asking(module)):
        yield "asks:deterministic"
    if any(module.constant(value) is not False for _, value in module.assigned(CUDNN_DETERMINISTIC)):
        yield "asks:cudnn-deterministic"
    if any(module.constant(call.argument("deterministic", 2)) is True for call in module.calls(_CUDNN_FLAGS)):
        yield "asks:cudnn-deterministic"


_CUDNN_FLAGS = "torch.backends.cudnn.flags"


@lru_cache(maxsize=4)
def on_cuda(module: Module) -> bool:
    """Whether anything in a file shows that it computes on a CUDA device where there is one."""
    if "cuda" not in module.text and module.imports.isdisjoint({"lightning", "accelerate", "transformers", "trl"}):
        return False
    for name in module.called:
        if name in _PLACERS or (name.startswith("torch.cuda.") and not _HARMLESS.fullmatch(name)):
            return True
    for node in module.all(ast.Constant):
        if isinstance(node.value, str) and _DEVICE.fullmatch(node.value):
            return True
    return any(isinstance(node.func, ast.Attribute) and node.func.attr == "cuda" for node in module.all(ast.Call))


def asking(module: Module) -> Iterator[Call]:
    """The calls that ask for deterministic algorithms, or may: those whose argument is not told too."""
    for call in module.calls(*sorted(_ASKERS)):
        if module.constant(call.argument("mode" if "use_" in call.name else "debug_mode", 0)) not in (
            False,
            0,
            "default",
        ):
            yield call
    for call in module.calls("lightning.Trainer"):
        if module.constant(call.argument("deterministic")) is True:
            yield call
    for call in module.calls("transformers.*"):
        if module.constant(call.argument("full_determinism")) is True:
            yield call


def is_alternative(module: Module, statement: ast.AST) -> bool:
    """Whether a switch is assigned in one branch of a condition whose other branch assigns it too, or to undo it.

    Which of them is taken is the caller's choice; so it is where an option decides whether it is assigned at all. In a
    file that measures speed the switch is what is measured.
    """
    if times_speed(module):
        return True
    targets = {ast.dump(target) for target in getattr(statement, "targets", ())}
    inside: ast.AST = statement
    for around in module.parents(statement):
        if isinstance(around, ast.If):
            if any(_is_option(module, node) for node in ast.walk(around.test)):
                return True
            other = around.orelse if inside in around.body else around.body
            for node in (one for branch in other for one in ast.walk(branch)):
                if isinstance(node, ast.Assign) and any(ast.dump(target) in targets for target in node.targets):
                    return True
        inside = around
    return any(name.startswith(("unset", "disable", "reset", "undo")) for name in module.functions(statement))


def _is_option(module: Module, node: ast.AST) -> bool:
    """Whether a part of a condition is an option: of a configuration, or a parameter of the function that it is in."""
    if isinstance(node, ast.Attribute):
        return _is_options(node.value) or node.attr == "get"
    if not isinstance(node, ast.Name) or node.id == "self" or _PLACE.search(node.id):
        return False
    function = module.function(node)
    return function is not None and any(one.arg == node.id for one in parameters(function))


def times_speed(module: Module) -> bool:
    """Whether a file is, by its name, there to measure how fast something is."""
    return _TIMES.search(module.path.lower()) is not None


_PLACE = re.compile(r"device|cuda|gpu|rank|seed", re.IGNORECASE)
_TIMES = re.compile(r"(?:^|[-_./])(?:micro)?(?:bench(?:marks?|marking)?|profil(?:e|ing)|speed|timing)(?=[-_./]|$)")


def _is_options(node: ast.expr) -> bool:
    """Whether a name is one that parsed options and configurations go by."""
    return isinstance(node, ast.Name) and node.id.lower() in (
        "args",
        "opt",
        "opts",
        "options",
        "cfg",
        "config",
        "flags",
    )


def differentiated(module: Module, node: ast.AST) -> bool:
    """Whether gradients may be taken of what is computed here: false within ``no_grad`` and ``inference_mode``."""
    for around in module.parents(node):
        if isinstance(around, (ast.With, ast.AsyncWith)) and any(
            _switches_off(module, item.context_expr) for item in around.items
        ):
            return False
        if isinstance(around, (ast.FunctionDef, ast.AsyncFunctionDef)) and any(
            _switches_off(module, one) for one in around.decorator_list
        ):
            return False
    return True


def _switches_off(module: Module, node: ast.expr) -> bool:
    name = (module.name(node) or "").removesuffix("()")
    return name in ("torch.no_grad", "torch.inference_mode", "torch.autograd.no_grad")


_TORCH_SEEDERS = (
    "torch.manual_seed",
    "lightning.seed_everything",
    "transformers.set_seed",
    "accelerate.utils.set_seed",
    "torch_geometric.seed_everything",
    "pytorch_lightning.seed_everything",
)


def seeding_place(module: Module) -> ast.Call | None:
    """Where a program, or a function that is there to seed, first seeds torch; None elsewhere, and in tests."""
    if is_test(module):
        return None
    found = sorted(module.calls(*_TORCH_SEEDERS), key=lambda call: (call.node.lineno, call.node.col_offset))
    for call in found:
        seeds = is_program(module) or any(_SEEDING.search(name) for name in module.functions(call.node))
        if seeds and not _is_scoped(module, call.node):
            return call.node
    return None


def _is_scoped(module: Module, node: ast.AST) -> bool:
    """Whether it holds for a while only: it stands in a context manager."""
    function = module.function(node)
    return isinstance(function, ast.FunctionDef) and any(
        (module.name(one) or "").endswith("contextmanager") for one in function.decorator_list
    )


_SEEDING = re.compile(r"seed|determinis|reproducib", re.IGNORECASE)
