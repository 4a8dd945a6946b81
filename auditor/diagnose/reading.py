"""Reading the project's source for what may be why runs differ: which line does something that depends on chance."""

from __future__ import annotations

import ast
import io
import re
from functools import lru_cache

import msgspec

from auditor.source import Module

_CLOCK = frozenset(
    {"time", "time_ns", "perf_counter", "perf_counter_ns", "monotonic", "monotonic_ns", "process_time", "now"}
    | {"utcnow", "today", "localtime", "gmtime", "ctime"}
)
_CLOCK_OWNERS = frozenset({"time", "datetime", "date"})
_CALLS = (
    (
        "entropy-read",
        {"urandom", "uuid4", "uuid1", "token_hex", "token_bytes", "token_urlsafe", "randbelow", "randbits"}
        | {"SystemRandom"},
    ),
    ("pid-read", {"getpid", "getppid"}),
    ("unsorted-listing", {"listdir", "scandir", "iterdir", "glob", "rglob", "iglob", "walk"}),
    ("completion-order", {"as_completed", "imap_unordered"}),
    ("thread-race", {"ThreadPoolExecutor", "ProcessPoolExecutor", "ThreadPool"}),
)
_SEEDS_PYTHON = re.compile(r"(?<![\w.])random\.seed\(\s*[^\s)N]")
_PYTHON_RANDOM = "unseeded-python-random"
_SETS = frozenset({"set", "frozenset"})
_ORDERED = frozenset({"sorted", "len", "min", "max", "any", "all", "set", "frozenset"})  # not sum: floats
# Rules by what a single line says, where it cannot be parsed by itself or says more than one thing; the first counts.
_WORDS = (
    ("clock-read", re.compile(r"\btime\.(time|monotonic|perf_counter|process_time)|\.(now|utcnow|today)\(|\bclock\b")),
    ("entropy-read", re.compile(r"\burandom\b|\buuid\d?\b|\bsecrets\.|\btoken_(hex|bytes)\b|SystemRandom")),
    ("pid-read", re.compile(r"\bgetp?pid\b")),
    ("unsorted-listing", re.compile(r"\b(listdir|scandir|iterdir|r?glob|iglob|walk)\(")),
    ("thread-race", re.compile(r"\b(as_completed|imap_unordered|Thread|ThreadPool\w*|submit|Queue)\b")),
    ("address-order", re.compile(r"(?<![\w.])id\(|key\s*=\s*id\b|\brepr\(|__hash__")),
    ("hash-order", re.compile(r"(?<![\w.])(hash|set|frozenset)\(|key\s*=\s*hash\b")),
    ("unseeded-numpy-generator", re.compile(r"\b(default_rng|RandomState|SeedSequence)\(\s*\)")),
    ("unseeded-numpy-global", re.compile(r"\b(np|numpy)\.random\.\w+\(")),
    ("unseeded-torch", re.compile(r"\btorch\.(rand\w*|normal|bernoulli|multinomial)\(|\bdropout\b")),
    ("unseeded-python-random", re.compile(r"(?<![\w.])random\.\w+\(")),
)


class Sighting(msgspec.Struct, frozen=True):
    """A line that does what ``rule`` is about.

    Two are finer than the causes they speak for: ``completion-order`` (results are taken as they are ready, a
    thread-race) and ``unseeded-python-generator`` (a ``random.Random()``, unseeded-python-random).
    """

    rule: str
    line: int


def parsed(source: str) -> ast.Module | None:
    """A source file's tree; None where it cannot be parsed."""
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return None


@lru_cache(maxsize=32)  # asked of one file for each listing that it was seen to read
def sightings(source: str) -> tuple[Sighting, ...]:
    """What a source file does that may depend on chance, by line; empty where it cannot be parsed."""
    tree = parsed(source)
    if tree is None:
        return ()
    reader = _Reader()
    reader.visit(tree)
    if _SEEDS_PYTHON.search(source):
        reader.found = [one for one in reader.found if one.rule != _PYTHON_RANDOM]
    return tuple(sorted(set(reader.found), key=lambda one: (one.line, one.rule)))


def lines_of(source: str) -> list[str]:
    """The lines of a source file with their ends, as Python counts them: a form feed, unlike for ``str``, ends none."""
    return io.StringIO(source, newline="").readlines() if "\r" not in source else source.splitlines(keepends=True)


def rule_of(text: str) -> str | None:
    """The rule that a single line of source is about, by its words; None where nothing is known of it."""
    code = text.partition("#")[0]
    return next((rule for rule, words in _WORDS if words.search(code)), None)


def first_line_of(source: str, line: int) -> int | None:
    """The first line of the body of the function whose head is on a line, its docstring aside; None for other lines."""
    tree = parsed(source)
    if tree is None:
        return None
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.lineno == line:
            told = [one for one in node.body if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))]
            return (told or node.body)[0].lineno
    return None


def seeded_by_entropy(source: str) -> tuple[int, ...]:
    """The lines on which one of torch's Generators takes its seed from the system; none where it cannot be parsed."""
    try:
        module = Module("", source)
    except (SyntaxError, ValueError, RecursionError):
        return ()
    return tuple(sorted({call.node.lineno for call in module.calls("torch.Generator().seed")}))


def asks_for_a_file(source: str) -> tuple[int, ...]:
    """The lines on which what is done depends on whether a file is there, but for the making of directories."""
    tree = parsed(source)
    if tree is None:
        return ()
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.If, ast.IfExp, ast.While)) and not _only_makes_directories(node):
            calls = (one for one in ast.walk(node.test) if isinstance(one, ast.Call))
            found |= {one.lineno for one in calls if last_name(one.func) in _ASKS}
    return tuple(sorted(found))


def takes_messages(source: str) -> tuple[int, ...]:
    """The lines that take the next message of a queue, or wait for whichever connection has one."""
    tree = parsed(source)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)] if tree is not None else []
    found = set()
    for call in calls:
        if not isinstance(call.func, ast.Attribute):
            continue
        waits = call.func.attr == "wait" and last_name(call.func.value) == "connection"
        # A dictionary's get is given a key.
        gets = call.func.attr == "get" and not call.args and {one.arg for one in call.keywords} <= {"block", "timeout"}
        if waits or gets:
            found.add(call.lineno)
    return tuple(sorted(found))


_ASKS = frozenset({"exists", "isfile", "is_file", "lexists"})


def _only_makes_directories(node: ast.If | ast.IfExp | ast.While) -> bool:
    return isinstance(node, ast.If) and all(
        isinstance(one, ast.Expr)
        and isinstance(one.value, ast.Call)
        and last_name(one.value.func) in ("makedirs", "mkdir")
        for one in node.body
    )


class _Reader(ast.NodeVisitor):
    """Collects sightings. Names that were bound to a set in the same file are followed one step."""

    def __init__(self) -> None:
        self.found: list[Sighting] = []
        self._sets: set[str] = set()
        self._sorted: set[ast.AST] = set()

    def _see(self, rule: str, node: ast.AST) -> None:
        self.found.append(Sighting(rule, getattr(node, "lineno", 0)))

    def visit_Assign(self, node: ast.Assign) -> None:
        if self._is_set(node.value):
            self._sets.update(target.id for target in node.targets if isinstance(target, ast.Name))
        self.generic_visit(node)

    def visit_For(self, node: ast.For) -> None:
        self._iterated(node.iter)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        if node not in self._sorted:
            self._iterated(node.iter)
        self.generic_visit(node)

    def visit_SetComp(self, node: ast.SetComp) -> None:
        self._sorted.update(node.generators)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = last_name(node.func)
        owner = last_name(node.func.value) if isinstance(node.func, ast.Attribute) else ""
        if name in _ORDERED:
            # What is sorted or counted does not show the order it came in; the first of the greatest does.
            if not (name in ("max", "min") and node.keywords):
                for argument in node.args:
                    self._settle(argument)
        elif name in ("list", "tuple", "enumerate", "iter", "next", "join", "array", "tensor", "fromiter"):
            for argument in node.args[:1]:
                self._iterated(argument)
        rule = self._rule_of_call(name, owner, node)
        if rule is not None and not (rule == "unsorted-listing" and node in self._sorted):
            self._see(rule, node)
        for keyword in node.keywords:
            if keyword.arg == "key" and isinstance(keyword.value, ast.Name) and keyword.value.id in ("id", "hash"):
                self._see("address-order" if keyword.value.id == "id" else "hash-order", node)
        self.generic_visit(node)

    def _settle(self, value: ast.expr) -> None:
        """Notes what is handed on as it came to something that shows no order."""
        if isinstance(value, (ast.GeneratorExp, ast.ListComp)):
            self._sorted.update(value.generators)
            for generator in value.generators:
                self._settle(generator.iter)
        elif isinstance(value, ast.Call):
            self._sorted.add(value)
            if last_name(value.func) in ("list", "tuple", "set", "frozenset", "iter", "reversed"):
                for argument in value.args:
                    self._settle(argument)

    def _rule_of_call(self, name: str, owner: str, node: ast.Call) -> str | None:
        for rule, names in _CALLS:
            if name in names:
                return rule
        if name in _CLOCK:
            return "clock-read" if owner in _CLOCK_OWNERS or not owner else None
        if name == "Random" and owner in ("random", "") and not node.args and not node.keywords:
            return "unseeded-python-generator"
        if owner == "random" and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
            return None if name in ("seed", "Random", "SystemRandom", "getstate", "setstate") else _PYTHON_RANDOM
        if name == "Thread":
            return "thread-race" if owner in ("threading", "") else None
        if name in ("id", "hash"):
            return None if owner else "address-order" if name == "id" else "hash-order"
        if name == "pop" and isinstance(node.func, ast.Attribute) and self._is_set(node.func.value):
            return "hash-order"
        return None

    def _iterated(self, value: ast.expr) -> None:
        if self._is_set(value):
            self._see("hash-order", value)

    def _is_set(self, value: ast.expr) -> bool:
        if isinstance(value, (ast.Set, ast.SetComp)):
            return True
        if isinstance(value, ast.Call):
            name = last_name(value.func)
            if name in _SETS and isinstance(value.func, ast.Name):
                return True
            return name in ("union", "intersection", "difference", "symmetric_difference")
        if isinstance(value, ast.BinOp) and isinstance(value.op, (ast.BitOr, ast.BitAnd, ast.Sub)):
            return self._is_set(value.left) or self._is_set(value.right)
        return isinstance(value, ast.Name) and value.id in self._sets


def last_name(node: ast.expr) -> str:
    """The name that an expression ends with, ``put`` of ``queue.put``; empty where it ends with none."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
