"""The random streams of a program: which calls seed them, which draw from them, and which files are programs."""

from __future__ import annotations

import ast
import builtins
import re
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal, NamedTuple

from auditor.records.streams import STREAM_NAMES

if TYPE_CHECKING:
    from auditor.source.module import Call, Edit, Module

Stream = Literal["python", "numpy", "torch", "torch-cuda"]

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
        | (set|fix|init|setup|set_up|reset|control|enforce)_?(all_?)?(seed|seeds|random|randomness|rng|rngs)
          _?(seed|seeds|state|states|everything|all|python|numpy|torch|cuda|worker|workers|generators?)?
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
# Methods that fill a tensor.
_TORCH_FILLS = _words("uniform_ normal_ random_ bernoulli_ exponential_ log_normal_ cauchy_ geometric_")
_RANDOM_SAMPLERS = {"RandomSampler": 3, "WeightedRandomSampler": 3, "SubsetRandomSampler": 1, "random_split": 2}
_MAINS = frozenset({"main", "run", "train", "cli", "app"})
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


class Seeding(NamedTuple):
    """A call that seeds global streams, all of ``streams`` on all devices; ``seed`` is its seed, where it is told.

    ``sure`` where the callee is known to do so, rather than called as if.
    """

    node: ast.Call
    streams: frozenset[Stream]
    seed: ast.expr | None
    sure: bool


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


def seedings(module: Module) -> list[Seeding]:
    """The calls that seed global streams, by line; those of objects that are not known go by their names."""
    return _read(module).seedings


def draws(module: Module) -> list[Draw]:
    """The calls that draw from a global stream, by line."""
    return _read(module).draws


def stream_facts(module: Module) -> Iterator[str]:
    """``seeds:<stream>``, ``may-seed:<stream>``, ``draws:<stream>``, and ``trains``."""
    for seeding in seedings(module):
        for stream in seeding.streams:
            yield f"seeds:{stream}" if seeding.sure else f"may-seed:{stream}"
    for draw in draws(module):
        yield f"draws:{draw.stream}"
    if trains(module) is not None:
        yield "trains"


class _Streams(NamedTuple):
    seedings: list[Seeding]
    draws: list[Draw]
    trains: ast.Call | None


@lru_cache(maxsize=4)
def _read(module: Module) -> _Streams:
    seeding: list[Seeding] = []
    drawing: list[Draw] = []
    training: list[ast.Call] = []
    for name in module.called:
        if _OPTIMIZERS.fullmatch(name):
            training += [call.node for call in module.calls(name)]
        for call in module.calls(name):
            streams = seeded_by(call)
            if streams:
                given = call.argument("seed", 0)
                sure = name in _SEEDERS or name.partition(".")[0] in _COMMON
                seeding.append(Seeding(call.node, streams, given if isinstance(given, ast.expr) else None, sure))
            stream = _drawn_by(module, call)
            if stream is not None:
                drawing.append(Draw(call.node, stream, name))
    learning = learns(module)
    for node in module.all(ast.Call):
        if not isinstance(node.func, ast.Attribute):
            continue
        called = node.func.attr
        if called in _TRAINING_METHODS and learning and (called != "backward" or _descends(module)):
            training.append(node)
        # manual_seed of an object that is not known is a generator's.
        elif called != "manual_seed" and by_convention(called) and module.name(node.func) is None:
            seeds = [*node.args, *(one.value for one in node.keywords if one.arg == "seed")]
            seeding.append(Seeding(node, frozenset(ALL), seeds[0] if seeds else None, False))
    seeding.sort(key=lambda one: _at(one.node))
    drawing.sort(key=lambda one: _at(one.node))
    return _Streams(seeding, drawing, min(training, key=_at, default=None))


@lru_cache(maxsize=4)
def _descends(module: Module) -> bool:
    """Whether a file does something with gradients: without it a ``backward`` only tries whether there are any."""
    return any(node.attr in ("step", "grad", "manual_backward") for node in module.all(ast.Attribute))


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
    if kind.startswith("distributions."):
        return kind.endswith("()") and last in ("sample", "rsample")
    return kind.endswith("()") and last in _TORCH_FILLS


def trains(module: Module) -> ast.Call | None:
    """The first sign that a file trains: an optimizer, a ``fit``, a ``backward`` whose gradients are used; or None."""
    return _read(module).trains


def learns(module: Module) -> bool:
    """Whether a file imports a library for machine learning."""
    return not module.imports.isdisjoint(_LEARNING)


@lru_cache(maxsize=4)
def is_program(module: Module) -> bool:
    """Whether a file is started by itself, rather than imported or collected by a test runner."""
    return not is_test(module) and (_guard(module) is not None or _acts(module))


@lru_cache(maxsize=4)
def is_test(module: Module) -> bool:
    """Whether a file is a test."""
    path = PurePosixPath(module.path)
    if path.stem.startswith("test_") or path.stem.endswith("_test") or path.stem == "conftest":
        return True
    folders = {part.lower() for part in path.parts[:-1]}
    return not folders.isdisjoint({"tests", "test", "testing", "test_utils"}) or not module.imports.isdisjoint(
        {"pytest", "unittest"}
    )


def _guard(module: Module) -> ast.If | None:
    for node in module.tree.body:
        if isinstance(node, ast.If) and any(
            isinstance(one, ast.Name) and one.id == "__name__" for one in ast.walk(node.test)
        ):
            return node
    return None


def _acts(module: Module) -> bool:
    """Whether the top level starts this file's main function, or trains by itself."""
    started = trains(module)
    for node in module.tree.body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            called = (module.name(node.value.func) or "").removeprefix(".")
            if called in _MAINS or (called and started is not None and module.definition(node.value.func) is not None):
                return True
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


def is_known(module: Module, call: ast.Call) -> bool:
    """Whether what a call does to streams is known: built-ins, the standard library, libraries that are known here."""
    name = module.name(call.func)
    if name is None:
        # A method of what is not known: a model's or a tensor's, say.
        return isinstance(call.func, ast.Attribute) and not by_convention(call.func.attr)
    root = name.partition(".")[0].removesuffix("()")
    return root in _COMMON or root in sys.stdlib_module_names or root in dir(builtins)


class Unseeded(NamedTuple):
    """A program that leaves a stream unseeded: where it first draws from it, and what is said of that.

    ``trains`` says whether the program trains a model. ``sure`` says that it draws itself and hands a seed to nothing
    of which it is not known what it does with it. ``edit`` seeds the stream before anything is done, and needs
    ``imports``; it is None where no such place is found. ``unless`` and ``given`` are a sighting's.
    """

    node: ast.Call
    said: str
    trains: bool
    sure: bool
    edit: Edit | None
    imports: tuple[str, ...]
    unless: tuple[str, ...]
    given: tuple[str, ...]


def unseeded(module: Module, stream: Stream) -> Unseeded | None:
    """Whether a file is a program that draws from a stream, by itself or by what it imports, and does not seed it."""
    if any(stream in one.streams for one in seedings(module)) or not is_program(module):
        return None
    training = trains(module)
    own = next((one for one in draws(module) if one.stream == stream and (training or _is_reached(module, one))), None)
    alone = stands_alone(module)
    node = own.node if own is not None else None if alone else training
    if node is None:
        return None
    what = "torch's global stream" if stream == "torch" else STREAM_NAMES[stream]
    said = f"this program trains, what it imports draws from {what}, and nothing seeds it"
    if own is not None:
        said = f"{own.name} draws from {what}, which nothing seeds"
    line, imports = _seeding_line(module, stream)
    start = _first_action(module)
    return Unseeded(
        node,
        said,
        training is not None,
        own is not None and not _tells_a_seed(module),
        None if start is None else module.before(start, line),
        imports,
        () if alone else (f"seeds:{stream}", f"may-seed:{stream}"),
        () if own is not None else (f"draws:{stream}",),
    )


def _is_reached(module: Module, draw: Draw) -> bool:
    """Whether a draw is in what the program runs, followed through the names of this file's functions and classes."""
    return not any(
        isinstance(around, _DEFINITIONS) and around not in _run(module) for around in module.parents(draw.node)
    )


_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@lru_cache(maxsize=4)
def _run(module: Module) -> frozenset[ast.AST]:
    """The functions and classes of a file that its top level names, those that these name, and so on."""
    found: set[ast.AST] = set()
    pending: list[ast.AST] = [node for node in module.tree.body if not isinstance(node, _DEFINITIONS)]
    while pending:
        for node in ast.walk(pending.pop()):
            if isinstance(node, _DEFINITIONS):
                found.add(node)  # what is reached holds it
            named = module.definition(node) if isinstance(node, ast.Name) else None
            if isinstance(named, _DEFINITIONS) and named not in found:
                found.add(named)
                pending.append(named)
    return frozenset(found)


def _tells_a_seed(module: Module) -> bool:
    """Whether a seed is handed to something of which it is not known what it does with it."""
    for name in module.called:
        root, _, rest = name.partition(".")
        if root in ("numpy", "torch", "random", "sklearn", "argparse") or root in _ELSEWHERE or "()" in rest:
            continue
        for call in module.calls(name):
            if any(given.arg in ("seed", "random_seed", "manual_seed", "rng_seed") for given in call.keywords):
                return True
    return False


def _seeding_line(module: Module, stream: Stream) -> tuple[str, tuple[str, ...]]:
    """The line that seeds a stream, in the names that a file gives the library, and what must be imported for it."""
    library, call = {"python": ("random", "seed"), "numpy": ("numpy", "random.seed")}.get(
        stream, ("torch", "manual_seed")
    )
    for node in module.tree.body:
        if isinstance(node, ast.Import):
            for one in node.names:
                if one.name == library:
                    return f"{one.asname or library}.{call}(0)", ()
    return f"{library}.{call}(0)", (library,)


def _first_action(module: Module) -> ast.stmt | None:
    """The statement before which a program does nothing but import and define."""
    guard = _guard(module)
    passive = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for number, node in enumerate(module.tree.body):
        if isinstance(node, passive) or (number == 0 and isinstance(node, ast.Expr)):
            continue
        if isinstance(node, ast.Assign) and not any(isinstance(one, ast.Call) for one in ast.walk(node.value)):
            continue
        return guard.body[0] if node is guard and guard is not None else node
    return None
