"""A hash of a string that decides something."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auditor.rule import Confidence, Example, Rule, Sighting
from auditor.source import Module
from auditor.source.sequences import told
from auditor.source.streams import by_convention

_BAD = """names = ["anna", "bert", "carl"]
test = [name for name in names if hash(name) % 2 == 0]
print(test)
"""
_SEED = """import random

rng = random.Random(hash(("train", 3)))
print(rng.random())
"""

RULE = Rule(
    id="salted-hash",
    title="The hash of a string decides something",
    topic="order",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "Python salts the hashes of strings and bytes, and so of tuples that hold them, with a value that it draws "
        "anew for every process. A split, a bucket, a seed or a file name that comes from hash(text) is another one in "
        "each run, and a cache under that name is never found again."
    ),
    remedy="Use a digest: int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], 'big'), or zlib.crc32.",
    bad=(
        Example(_BAD),
        Example(_SEED),
        Example('label = "images"\npath = f"cache_{hash(label)}.npy"\n'),
        Example(
            "def split(path: str) -> str:\n    fold = abs(hash(path)) % 10\n"
            "    return 'test' if fold == 0 else 'train'\n\n\n"
            "print(split('a.png'))\n"
        ),
    ),
    good=(
        Example(
            _BAD.replace("hash(name)", "zlib.crc32(name.encode())").replace("names =", "import zlib\n\nnames =", 1)
        ),
        Example(
            "class Point:\n    def __init__(self, name):\n        self.name = name\n\n"
            "    def __hash__(self):\n        return hash((self.name, 1)) % 1000\n\n\nprint(len({Point('a')}))\n"
        ),
        Example("print(hash('a') == hash('a'), hash(3) % 2)\n"),
        Example("seen = {}\nfor text in ('a', 'b', 'a'):\n    seen[hash(text)] = text\nprint(len(seen))\n"),
        Example("def hash(text):\n    return len(text)\n\n\nprint(hash('four') % 3)\n"),
    ),
    sources=(
        "https://docs.python.org/3/reference/datamodel.html#object.__hash__",
        "https://docs.python.org/3/using/cmdline.html#envvar-PYTHONHASHSEED",
    ),
)

_TEXT_CALLS = ("str", "repr", "json.dumps", "os.path.join", "os.path.basename", "format")
_TEXT_METHODS = ("join", "encode", "lower", "upper", "strip", "as_posix", "format", "hexdigest", "read", "tobytes")
_TEXT_NAMES = (
    "name",
    "text",
    "path",
    "key",
    "word",
    "token",
    "string",
    "label",
    "url",
    "filename",
    "file",
    "uid",
    "id_",
)


def see_source(module: Module) -> Iterator[Sighting]:
    """Calls of the built-in ``hash`` whose value becomes a number, a seed or a name, outside of ``__hash__``."""
    for call in module.calls("hash"):
        if len(call.node.args) != 1 or "__hash__" in module.functions(call.node) or told(module, call.node):
            continue
        becomes = _becomes(module, call.node)
        of = _is_text(module, call.node.args[0])
        if becomes is None or of is False:
            continue
        confidence: Confidence | None = None if of else "possible"
        what = "a string" if of else "what may hold a string"
        yield Sighting(
            call.node, f"the hash of {what} becomes {becomes}: it is another one in each process", confidence=confidence
        )


def _becomes(module: Module, node: ast.expr, steps: int = 5) -> str | None:
    """What is made of a hash that lasts or decides; None where it is only compared, or a key for this process."""
    around = module.parent(node)
    if steps == 0:
        return None
    match around:
        case ast.BinOp(op=ast.Mod(), left=left) if left is node:
            return "a number below another"
        case ast.BinOp(op=ast.BitAnd() | ast.Mod() | ast.FloorDiv() | ast.RShift()):
            return "a number below another"
        case ast.BinOp() | ast.UnaryOp():
            return _becomes(module, around, steps - 1)
        case ast.FormattedValue():
            return None if told(module, around) else "part of a name"
        case ast.Call():
            name = module.name(around.func) or ""
            last = around.func.attr if isinstance(around.func, ast.Attribute) else name.rpartition(".")[2]
            if last in ("Random", "RandomState", "default_rng", "manual_seed", "seed", "PRNGKey") or by_convention(
                last
            ):
                return "a seed"
            if name in ("abs", "int"):
                return _becomes(module, around, steps - 1)
            return "part of a name" if name in ("str", "hex", "format") and not told(module, around) else None
        case ast.keyword(arg=str(given)) if given.endswith(("seed", "random_state")):
            return "a seed"
        case ast.Assign(targets=[ast.Name() as target]):
            if "seed" in target.id.lower():
                return "a seed"
            function = module.function(target)
            for load in module.all(ast.Name):
                if load.id == target.id and isinstance(load.ctx, ast.Load) and module.function(load) is function:
                    found = _becomes(module, load, steps - 1)
                    if found is not None:
                        return found
    return None


def _is_text(module: Module, node: ast.expr, steps: int = 4) -> bool | None:
    """Whether something is a string or holds one; None where that is not told."""
    if steps == 0:
        return None
    match node:
        case ast.Constant():
            return isinstance(node.value, (str, bytes))
        case ast.JoinedStr():
            return True
        case ast.Tuple():
            found = [_is_text(module, one, steps - 1) for one in node.elts]
            return True if any(found) else False if found and all(one is False for one in found) else None
        case ast.BinOp():
            sides = _is_text(module, node.left, steps - 1), _is_text(module, node.right, steps - 1)
            return True if any(sides) else None
        case ast.Subscript(value=ast.Attribute(attr="shape")) | ast.Attribute(attr="shape"):
            return False
        case ast.Call():
            name = module.name(node.func) or ""
            last = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            if name in _TEXT_CALLS or last in _TEXT_METHODS:
                return True
            if name in ("tuple", "frozenset") and node.args:
                return _is_text(module, node.args[0], steps - 1)
            return False if name in ("int", "id", "float", "len") or last in ("item", "tolist", "size", "dim") else None
        case ast.Name() | ast.Attribute():
            function = module.function(node)
            if isinstance(node, ast.Name) and isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
                for given in (*function.args.args, *function.args.kwonlyargs):
                    if given.arg == node.id and isinstance(given.annotation, ast.Name):
                        return given.annotation.id in ("str", "bytes") or None
            for value in module.values(node):
                if value is not node and not isinstance(value, (ast.Name, ast.Attribute)):
                    return _is_text(module, value, steps - 1)
            last = node.id if isinstance(node, ast.Name) else node.attr
            return True if last.lower().endswith(_TEXT_NAMES) else None
    return None
