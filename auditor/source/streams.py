"""The random streams of a program: which calls seed them, which draw from them, and which files are programs."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from auditor.source.module import Call, Module

Stream = Literal["python", "numpy", "torch", "torch-cuda"]

STREAM_NAMES: dict[str, str] = {
    "python": "Python's random module",
    "numpy": "NumPy's global stream",
    "torch": "torch's CPU stream",
    "torch-cuda": "torch's CUDA stream",
    "numpy-generator": "the NumPy generators",
}
ALL: tuple[Stream, ...] = ("python", "numpy", "torch", "torch-cuda")
_TORCH: tuple[Stream, ...] = ("torch", "torch-cuda")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What each does is told by its documentation or, for third parties, by its source.
_SEEDERS: dict[str, tuple[Stream, ...]] = {
    "random.seed": ("python",),
    "random.setstate": ("python",),
    "numpy.random.seed": ("numpy",),
    "numpy.random.set_state": ("numpy",),
    "torch.manual_seed": _TORCH,
    "torch.seed": _TORCH,
    "torch.set_rng_state": ("torch",),
    "torch.default_generator.manual_seed": ("torch",),
    "torch.cuda.manual_seed_all": ("torch-cuda",),
    "torch.cuda.seed_all": ("torch-cuda",),
    "torch.cuda.set_rng_state_all": ("torch-cuda",),
    "torch.cuda.manual_seed": (),  # the current device only
    "torch.cuda.seed": (),
    "torch.cuda.set_rng_state": (),
    "lightning.LightningCLI": ALL,  # by its seed_everything_default
    "pytorch_tabnet.tab_model.TabNetClassifier": _TORCH,
    "pytorch_tabnet.tab_model.TabNetRegressor": _TORCH,
    "pytorch_tabnet.multitask.TabNetMultiTaskClassifier": _TORCH,
    "pytorch_tabnet.pretraining.TabNetPretrainer": _TORCH,
    "pykeen.pipeline.pipeline": ("python", "numpy", *_TORCH),
}
# What a function that seeds is called by convention.
_CONVENTION = re.compile(
    r"""_?(
        (set|fix|init|initiali[sz]e|setup|set_up|reset|apply|make|same|control|configure|enforce)_?\w*(seed|seeds|seeding)
        | (seed|seeds|seeding)_?(everything|all|torch|global|globals|everywhere|rng|rngs|random|randomness|libraries)\w*
        | (set|fix|init|setup|set_up|reset|control|enforce)_?(all_?)?(seed|seeds|random|rng|rngs)_?\w*
        | random_seed | manual_seed | manual_seed_all | seed_env_and_all
        | (set|make|enable|setup|ensure|enforce|full)_?\w*(determinis|reproducib)\w*
    )""",
    re.VERBOSE | re.IGNORECASE,
)
# Libraries with random streams of their own: their seeding functions reach none of the four.
_ELSEWHERE = _words(
    "tensorflow paddle mxnet jax flax cupy mindspore gymnasium pettingzoo polars pandas xgboost lightgbm catboost"
    " optuna ray sklearn scipy cv2 albumentations imgaug numba faker warp dask"
)
# Their trainers seed everything when they are made, with 42 where nothing else is said.
_SEEDING_TRAINERS = frozenset({"transformers", "trl", "sentence_transformers", "setfit", "adapters", "optimum", "peft"})
_GLOBALLY_SEEDED_BY_ARGUMENT = frozenset({"stable_baselines3", "sb3_contrib", "pykeen", "ultralytics", "fastai"})

_PYTHON_DRAWS = _words(
    "random randint randrange uniform choice choices sample shuffle gauss normalvariate lognormvariate betavariate"
    " expovariate gammavariate paretovariate vonmisesvariate weibullvariate triangular getrandbits randbytes"
    " binomialvariate"
)
_NUMPY_NO_DRAWS = _words(
    "seed get_state set_state default_rng get_bit_generator set_bit_generator test mtrand bit_generator"
)
_TORCH_DRAWS = _words(
    "rand randn randint randperm rand_like randn_like randint_like normal bernoulli multinomial poisson"
)
_TORCH_MODULES = _words(
    "Linear Bilinear LazyLinear Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d LazyConv1d"
    " LazyConv2d LazyConv3d Embedding EmbeddingBag RNN LSTM GRU RNNCell LSTMCell GRUCell MultiheadAttention Transformer"
    " TransformerEncoderLayer TransformerDecoderLayer"
)
_TORCH_INIT = _words(
    "uniform_ normal_ trunc_normal_ xavier_uniform_ xavier_normal_ kaiming_uniform_ kaiming_normal_ orthogonal_ sparse_"
)
_RANDOM_SAMPLERS = {"RandomSampler": 3, "WeightedRandomSampler": 3, "SubsetRandomSampler": 1, "random_split": 2}
_TRAINING_METHODS = frozenset({"backward", "fit", "learn", "train_on_batch", "partial_fit", "fit_one_cycle"})
_OPTIMIZERS = re.compile(
    r"torch\.optim\.(SGD|Adam\w*|\w*Adam|RMSprop|Adagrad|Adadelta|LBFGS|Rprop|ASGD|Adafactor|Muon)"
)
_LEARNING = _words(
    "torch torchvision torchaudio tensorflow keras jax flax sklearn lightning transformers xgboost lightgbm catboost"
    " stable_baselines3 gymnasium accelerate fastai monai timm datasets optuna torch_geometric dgl skorch"
    " ignite"
)
_COMMON = _LEARNING | _words(
    "numpy pandas scipy matplotlib seaborn tqdm yaml PIL cv2 skimage albumentations wandb tensorboard tensorboardX"
    " requests joblib h5py networkx numba nltk tokenizers einops rich click typer hydra omegaconf attr attrs msgspec"
    " plotly torchmetrics evaluate peft trl diffusers safetensors sentencepiece huggingface_hub psutil"
    " pydantic"
)


class Draw(NamedTuple):
    """A call that draws from a global stream; ``name`` is its callee's dotted name."""

    node: ast.Call
    stream: Stream
    name: str


def seeded_by(call: Call) -> frozenset[Stream]:
    """The streams that a call seeds, on all devices; a function that is called like one that seeds, seeds them all."""
    return frozenset(_seeded_by_name(call.name)) | frozenset(_seeded_by_argument(call))


@lru_cache(maxsize=1 << 14)
def _seeded_by_name(name: str) -> tuple[Stream, ...]:
    known = _SEEDERS.get(name)
    if known is not None:
        return known
    root, _, rest = name.partition(".")
    last = rest.rpartition(".")[2]
    if root in _SEEDING_TRAINERS and last.endswith("Trainer"):
        return ALL
    if root in _ELSEWHERE or root in ("torch", "numpy", "random") or not rest:
        # torch's own are told above; a bare name came by a star import.
        return ALL if not rest and root != "" and by_convention(root) else ()
    if root == "" and "." not in rest:
        return ()  # a function of this file, whose body shows what it does
    return ALL if by_convention(last) else ()


def _seeded_by_argument(call: Call) -> tuple[Stream, ...]:
    seeds = call.name.partition(".")[0] in _GLOBALLY_SEEDED_BY_ARGUMENT
    return ALL if seeds and any(given.arg in ("seed", "random_seed") for given in call.keywords) else ()


def by_convention(name: str) -> bool:
    """Whether a function so called is one that seeds, or sets states, by its name."""
    return _CONVENTION.fullmatch(name) is not None


def seedings(module: Module) -> Iterator[tuple[ast.Call, frozenset[Stream]]]:
    """The calls that seed, with the streams that each seeds; those on objects that are not known go by their names."""
    return iter(_read(module).seedings)


def draws(module: Module) -> list[Draw]:
    """The calls that draw from a global stream, by line."""
    return _read(module).draws


def stream_facts(module: Module) -> Iterator[str]:
    """``seeds:<stream>`` and ``draws:<stream>`` for each that is seeded or drawn from, and ``trains``."""
    for _, streams in seedings(module):
        for stream in streams:
            yield f"seeds:{stream}"
    for draw in draws(module):
        yield f"draws:{draw.stream}"
    if trains(module) is not None:
        yield "trains"


class _Streams(NamedTuple):
    seedings: list[tuple[ast.Call, frozenset[Stream]]]
    draws: list[Draw]


@lru_cache(maxsize=4)
def _read(module: Module) -> _Streams:
    seeding: list[tuple[ast.Call, frozenset[Stream]]] = []
    drawing: list[Draw] = []
    for name in module.called:
        for call in module.calls(name):
            streams = seeded_by(call)
            if streams:
                seeding.append((call.node, streams))
            stream = _drawn_by(module, call)
            if stream is not None:
                drawing.append(Draw(call.node, stream, name))
    for node in module.all(ast.Call):
        # manual_seed of an object that is not known is a generator's.
        called = node.func.attr if isinstance(node.func, ast.Attribute) else "manual_seed"
        if called != "manual_seed" and by_convention(called) and module.name(node.func) is None:
            seeding.append((node, frozenset(ALL)))
    seeding.sort(key=lambda one: _at(one[0]))
    drawing.sort(key=lambda one: _at(one.node))
    return _Streams(seeding, drawing)


def _at(node: ast.Call) -> tuple[int, int]:
    return node.lineno, node.col_offset


def _drawn_by(module: Module, call: Call) -> Stream | None:
    library, _, rest = call.name.partition(".")
    if library == "random":
        return "python" if rest in _PYTHON_DRAWS else None
    if library == "numpy":
        last = rest.removeprefix("random.")
        # Classes (Generator, RandomState, MT19937) are streams of their own.
        return (
            "numpy" if last != rest and last.islower() and last.isidentifier() and last not in _NUMPY_NO_DRAWS else None
        )
    if library == "torch":
        return "torch" if _torch_draws(module, call, rest) and not call.has("generator") else None
    if library == "torchvision":
        return "torch" if re.fullmatch(r"models\.([\w.]+\.)?[a-z]\w*\d\w*", rest) else None
    if library == "transformers":
        made = re.fullmatch(r"[A-Z]\w*(Model|For[A-Z]\w*)(\.from_config)?", rest)
        return "torch" if made and (made[2] or not rest.startswith(("Auto", "TF", "Flax"))) else None
    return None


def _torch_draws(module: Module, call: Call, rest: str) -> bool:
    kind, _, last = rest.rpartition(".")
    if kind == "":
        return last in _TORCH_DRAWS
    if kind == "nn":
        return last in _TORCH_MODULES
    if kind == "nn.init":
        return last in _TORCH_INIT
    if kind == "nn.functional":
        return last.startswith("dropout") and last != "dropout_"
    if kind == "utils.data":
        if last == "DataLoader":
            return module.constant(call.argument("shuffle", 2)) is True and not call.has("generator", 12)
        position = _RANDOM_SAMPLERS.get(last)
        return position is not None and not call.has("generator", position)
    return kind.startswith("distributions.") and kind.endswith("()") and last in ("sample", "rsample")


def trains(module: Module) -> ast.Call | None:
    """The first sign that a file trains: an optimizer made, a ``backward`` or ``fit``; None where there is none."""
    return _trains(module)


@lru_cache(maxsize=4)
def _trains(module: Module) -> ast.Call | None:
    for node in module.all(ast.Call):
        if isinstance(node.func, ast.Attribute) and node.func.attr in _TRAINING_METHODS and learns(module):
            return node
        name = module.name(node.func)
        if name is not None and _OPTIMIZERS.fullmatch(name):
            return node
    return None


def learns(module: Module) -> bool:
    """Whether a file imports a library for machine learning."""
    return not module.imports.isdisjoint(_LEARNING)


def is_program(module: Module) -> bool:
    """Whether a file is started by itself, rather than imported or collected by a test runner."""
    return not is_test(module) and (_guard(module) is not None or _acts(module))


def is_test(module: Module) -> bool:
    """Whether a file is a test."""
    path = PurePosixPath(module.path)
    if path.stem.startswith("test_") or path.stem.endswith("_test") or path.stem == "conftest":
        return True
    folders = {part.lower() for part in path.parts[:-1]}
    return not folders.isdisjoint({"tests", "test", "testing"}) or not module.imports.isdisjoint({"pytest", "unittest"})


def _guard(module: Module) -> ast.If | None:
    for node in module.tree.body:
        if isinstance(node, ast.If) and any(
            isinstance(one, ast.Name) and one.id == "__name__" for one in ast.walk(node.test)
        ):
            return node
    return None


def _acts(module: Module) -> bool:
    """Whether the top level calls a function of this file, or trains by itself."""
    for node in module.tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        value = node.value if isinstance(node, (ast.Expr, ast.Assign)) else None
        if (
            isinstance(node, ast.Expr)
            and isinstance(value, ast.Call)
            and (module.name(value.func) or "").startswith(".")
        ):
            return True
    started = _trains(module)
    return started is not None and module.function(started) is None and module.class_(started) is None


def top(module: Module) -> list[ast.stmt]:
    """The statements that a program begins with: those of its ``__main__`` guard, else those of the file."""
    guard = _guard(module)
    return guard.body if guard is not None else module.tree.body


def stands_alone(module: Module) -> bool:
    """Whether a file imports only the standard library and libraries that are known, nothing of its project."""
    if any(node.level for node in module.all(ast.ImportFrom)):
        return False
    return all(name in _COMMON or name in sys.stdlib_module_names for name in module.imports)
