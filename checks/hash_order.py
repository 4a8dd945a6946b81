"""A set whose elements are used in the order in which it gives them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from auditor.rule import Confidence, Example, Fix, Rule, Sighting
from auditor.source import Module
from auditor.source.sequences import DECISIVE, Use, in_words, told, uses

_BAD = """words = "the cat sat on the mat".split()
index = {word: number for number, word in enumerate(set(words))}
print([index[word] for word in words])
"""
_LOOP = """import random

random.seed(0)
names = {"anna", "bert", "carl"} - {"bert"}
weights = {}
for name in names:
    weights[name] = random.random()
print(weights["anna"])
"""

RULE = Rule(
    id="hash-order",
    title="A set is used in its order",
    topic="order",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "A set gives its elements in the order of their hashes, and Python hashes strings with a salt that it draws "
        "anew for every process, unless PYTHONHASHSEED is set before it starts. Words that are numbered in that order "
        "have another number in each run; what is drawn for them is drawn for others. Whole numbers are not salted."
    ),
    remedy="Sort it where its order is used, sorted(set(words)), or keep the first of each: dict.fromkeys(words).",
    bad=(
        Example(_BAD),
        Example(_LOOP),
        Example(
            "class Vocabulary:\n    def __init__(self, text):\n        self.tokens = set(text.split())\n\n"
            "    def table(self):\n        table = {}\n        for token in self.tokens:\n"
            "            table[token] = len(table)\n        return table\n\n\n"
            'print(Vocabulary("b a b c").table())\n'
        ),
        Example('import random\n\nrandom.seed(1)\nprint(random.choice(list({"a", "b", "c"})))\n'),
        Example(
            'letters = list(set("hello"))\ncodes = {one: code for code, one in enumerate(letters)}\nprint(codes)\n'
        ),
    ),
    good=(
        Example(_BAD.replace("set(words)", "sorted(set(words))")),
        Example(_BAD.replace("set(words)", "dict.fromkeys(words)")),
        Example(_LOOP.replace("in names:", "in sorted(names):")),
        # Their order is not used.
        Example('print(len(set("hello")), "l" in set("hello"), sorted(set("hello")), max({"a", "b"}))\n'),
        Example('extra = {"a", "b"} - {"b"}\nfor name in extra:\n    print("unknown:", name)\n'),
        Example('lost = set("ab") - set("b")\nif lost:\n    print(f"missing: {\', \'.join(lost)}")\n'),
        # Whole numbers are not salted.
        Example("groups = list(set(range(5)))\nprint({group: number for number, group in enumerate(groups)})\n"),
        Example('seen = set("hello")\nfor name in list(seen):\n    seen.discard(name)\nprint(seen)\n'),
    ),
    sources=(
        "https://docs.python.org/3/reference/datamodel.html#object.__hash__",
        "https://docs.python.org/3/using/cmdline.html#envvar-PYTHONHASHSEED",
    ),
)

_MAKERS = ("set", "frozenset")
_OF_SETS = ("union", "intersection", "difference", "symmetric_difference")
_NUMBERS = re.compile(
    r"(^|_)(ids?|idx|idxs|indices|index|inds?|nums?|numbers?|years?|dims?|axes|sizes?|shapes?|lengths?|counts?|ranks?"
    r"|epochs?|steps?|seeds?|devices?|offsets?|positions?|ports?|pids?|versions?)$",
    re.IGNORECASE,
)
_TEXTS = re.compile(
    r"(^|_)(words?|tokens?|names?|chars?|characters?|texts?|strings?|vocab(ulary)?|letters?|paths?|files?|filenames?"
    r"|columns?|keys?|tags?|tickers?|symbols?|languages?|smiles|sentences?|labels?_names|genres?|corpus)$",
    re.IGNORECASE,
)
_TO_NUMBERS = ("int", "float", "len", "round", "ord", "range", "id", "torch.unique", "numpy.unique")
_TO_TEXT = ("split", "lower", "upper", "strip", "read", "readlines", "splitlines", "format", "keys", "join", "replace")
_UNCERTAIN: frozenset[Use] = frozenset({"summed", "yielded", "picked", "first", "returned", "joined"})


def see_source(module: Module) -> Iterator[Sighting]:
    """Sets that are numbered, sampled, paired, drawn for or collected in their order."""
    seen: set[ast.AST] = set()
    for node in _sets(module):
        if node in seen:
            continue
        seen.add(node)
        of = _elements(module, node)
        if of == "numbers":
            continue
        found = uses(module, node) - {"passed", "kept"}
        confidence: Confidence | None = None
        if not found & DECISIVE:
            if not found or told(module, node):
                continue
            confidence = "possible" if found <= _UNCERTAIN or of != "text" else "medium"
        elif of != "text":
            confidence = "medium"
        yield Sighting(
            node,
            f"a set gives {'strings' if of == 'text' else 'its elements'} in another order in each process, and they "
            f"are {in_words(found)}",
            fix=_fix(module, node, of == "text"),
            confidence=confidence,
        )


def _fix(module: Module, node: ast.expr, text: bool) -> Fix | None:
    around = module.parent(node)
    if not isinstance(around, (ast.For, ast.AsyncFor, ast.comprehension, ast.Starred, ast.YieldFrom, ast.Call)):
        return None  # a set goes on from here, and a list would be none
    if isinstance(around, ast.Call) and module.name(around.func) == "list" and len(around.args) == 1:
        return Fix((module.replaced(around.func, "sorted"),), safe=text)
    return Fix(module.wrapped(node, "sorted(", ")"), safe=text)


def _sets(module: Module) -> Iterator[ast.expr]:
    """Expressions that are sets for certain: where they are made, and the names that hold nothing else."""
    made = (*module.all(ast.Set), *module.all(ast.SetComp), *module.all(ast.Call), *module.all(ast.BinOp))
    yield from (node for node in made if _is_set(module, node) and not _is_held(module, node))
    for named in module.all(ast.Name):
        if isinstance(named.ctx, ast.Load) and _may_be_used(module, named) and _is_set(module, named):
            yield named
    for held in module.all(ast.Attribute):
        if isinstance(held.ctx, ast.Load) and _may_be_used(module, held) and _is_set(module, held):
            yield held


def _is_held(module: Module, node: ast.expr) -> bool:
    """Whether a set is given a name, or part of another set: what is done with that is looked at instead."""
    around = module.parent(node)
    if isinstance(around, (ast.Assign, ast.AnnAssign, ast.BinOp, ast.NamedExpr, ast.AugAssign)):
        return True
    return isinstance(around, ast.Call) and (module.name(around.func) or "") in _MAKERS


def _may_be_used(module: Module, node: ast.expr) -> bool:
    around = module.parent(node)
    return isinstance(around, (ast.For, ast.comprehension, ast.Starred)) or (
        isinstance(around, ast.Call) and node in around.args
    )


def _is_set(module: Module, node: ast.expr, steps: int = 4) -> bool:
    if steps == 0:
        return False
    match node:
        case ast.Set() | ast.SetComp():
            return True
        case ast.Call():
            if module.name(node.func) in _MAKERS:
                return bool(node.args)
            function = node.func
            return (
                isinstance(function, ast.Attribute)
                and function.attr in _OF_SETS
                and _is_set(module, function.value, steps - 1)
            )
        case ast.BinOp(op=ast.Sub() | ast.BitAnd() | ast.BitXor() | ast.BitOr()):
            if isinstance(node.op, (ast.Sub, ast.BitAnd)) and _is_view(node.left) and _is_view(node.right):
                return True
            return _is_set(module, node.left, steps - 1) or (
                not isinstance(node.op, ast.Sub) and _is_set(module, node.right, steps - 1)
            )
        case ast.Name() | ast.Attribute():
            values = module.values(node)
            return bool(values) and all(one is not node and _is_set(module, one, steps - 1) for one in values)
    return False


def _is_view(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "keys"


def _elements(module: Module, node: ast.expr, steps: int = 5) -> str:
    """What a set, or what it is made of, holds: ``text``, ``numbers``, or empty where that is not told."""
    if steps == 0:
        return ""
    match node:
        case ast.Set():
            return _all_of(module, node.elts, steps)
        case ast.List() | ast.Tuple():
            return _all_of(module, node.elts, steps) if node.elts else ""
        case ast.SetComp() | ast.ListComp() | ast.GeneratorExp():
            return _element(module, node.elt, steps)
        case ast.BinOp():
            return _elements(module, node.left, steps - 1) or _elements(module, node.right, steps - 1)
        case ast.Constant(value=str()):
            return "text"
        case ast.Call():
            return _made(module, node, steps)
        case ast.Name() | ast.Attribute():
            for value in module.values(node):
                if value is not node:
                    of = _elements(module, value, steps - 1)
                    if of:
                        return of
            return _named(node.id if isinstance(node, ast.Name) else node.attr)
        case ast.Subscript():
            key = node.slice
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                return _named(key.value)
            return _elements(module, node.value, steps - 1)
    return ""


def _made(module: Module, node: ast.Call, steps: int) -> str:
    name = module.name(node.func) or ""
    last = node.func.attr if isinstance(node.func, ast.Attribute) else name
    if name in _TO_NUMBERS or last in ("tolist", "unique", "item", "argsort", "nonzero", "numpy", "values"):
        return "numbers" if last not in ("tolist", "unique", "values", "numpy") else ""
    if ".cpu()" in module.segment(node):
        return "numbers"  # of a tensor
    if name in ("os.listdir", "glob.glob", "open"):
        return "text"
    if name == "map" and node.args:
        mapped = module.name(node.args[0])
        return "text" if mapped == "str" else "numbers" if mapped in ("int", "float", "len", "id") else ""
    if isinstance(node.func, ast.Attribute) and last in _OF_SETS:
        return _elements(module, node.func.value, steps - 1)
    if isinstance(node.func, ast.Attribute) and last == "keys":
        return _named(node.func.value.attr if isinstance(node.func.value, ast.Attribute) else "")
    if isinstance(node.func, ast.Attribute) and last in _TO_TEXT:
        return "text"
    if name in (*_MAKERS, "list", "tuple", "sorted", "filter", "itertools.chain", "itertools.chain.from_iterable"):
        return _elements(module, node.args[-1], steps - 1) if node.args else ""
    return ""


def _element(module: Module, node: ast.expr, steps: int) -> str:
    match node:
        case ast.Constant(value=str()) | ast.JoinedStr():
            return "text"
        case ast.Constant(value=int() | float()):
            return "numbers"
        case ast.BinOp(op=ast.FloorDiv() | ast.Mod() | ast.Sub() | ast.Mult()):
            return "numbers" if not isinstance(node.left, (ast.Constant, ast.JoinedStr)) else ""
        case ast.Call():
            name = module.name(node.func) or ""
            last = node.func.attr if isinstance(node.func, ast.Attribute) else name
            if name in _TO_NUMBERS or last == "item":
                return "numbers"
            return "text" if name in ("str", "repr") or (last in _TO_TEXT and last not in ("split", "keys")) else ""
        case ast.Name() | ast.Attribute():
            return _named(node.id if isinstance(node, ast.Name) else node.attr)
        case ast.Subscript(slice=ast.Constant(value=str(key))):
            return _named(key)
        case ast.Tuple():
            return _all_of(module, node.elts, steps)
    return ""


def _all_of(module: Module, nodes: list[ast.expr], steps: int) -> str:
    found = {_element(module, one, steps) for one in nodes}
    return "text" if "text" in found else "numbers" if found == {"numbers"} else ""


def _named(name: str) -> str:
    return "numbers" if _NUMBERS.search(name) else "text" if _TEXTS.search(name) else ""
