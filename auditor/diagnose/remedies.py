"""Remedies: what to change in the program for each cause, as text and, where it is mechanical, as a unified diff."""

from __future__ import annotations

import ast
import difflib
import re

import msgspec

from auditor.diagnose.attribute import Source, Suspect
from auditor.diagnose.reading import lines_of, parsed
from auditor.records.trace import Place

_TEXT = {
    "unseeded-python-random": "Seed Python's random module before anything draws from it: random.seed(seed).",
    "unseeded-numpy-global": "Seed NumPy's global stream before anything draws from it: numpy.random.seed(seed).",
    "unseeded-torch": "Seed torch before anything draws from it: torch.manual_seed(seed), which covers its GPUs too.",
    "unseeded-numpy-generator": "Give the generator a seed: numpy.random.default_rng(seed), and in a DataLoader worker "
    "default_rng([seed, worker]), since all workers draw the same with one seed.",
    "late-seed": "Seed before this: the stream has been drawn from by the time it is seeded.",
    "seed-from-entropy": "Give the call a seed that you keep: without one it takes the system's entropy.",
    "unstable-seed": "Take the seed from the command line or a configuration, not from what differs between runs.",
    "entropy-read": "Draw from a seeded generator instead of the system's entropy.",
    "clock-read": "Let what is computed depend on the number of steps, not on the clock.",
    "pid-read": "Use a rank or a fixed number instead of the process's number.",
    "hash-order": "Sort what is iterated (sorted(...)), or use a digest of the text instead of hash(); fixing "
    "PYTHONHASHSEED in the environment helps where neither can be done.",
    "address-order": "Use a name or a number of your own as the key: id() and the default hash are addresses.",
    "unsorted-listing": "Sort the listing: the file system gives it in any order.",
    "thread-count": "Fix the number of threads (torch.set_num_threads, OMP_NUM_THREADS): sums are shared out by it.",
    "thread-race": "Let threads and pools hand in results in a fixed order, have one of them add up, and give each "
    "task a generator of its own, seeded by the task's number.",
    "completion-order": "Collect the messages that belong together, and order them by sender and number before "
    "they are used.",
    "unseeded-worker": "Seed every worker in worker_init_fn, from torch.initial_seed() and its number.",
    "worker-order": "Give the DataLoader a generator and a worker_init_fn, so that no batch depends on which worker is "
    "quicker.",
    "nondeterministic-operation": "Ask for deterministic kernels: torch.use_deterministic_algorithms(True), with "
    "CUBLAS_WORKSPACE_CONFIG=:4096:8 in the environment.",
    "racing-operation": "The operation itself gives different results from the same inputs: mend it, or use another.",
    "stale-file": "Keep what a run writes in the project or its own output directory, and start each run without it.",
}
_SEEDING = {
    "unseeded-python-random": ("random", "random.seed({seed})"),
    "unseeded-numpy-global": ("numpy", "{numpy}.random.seed({seed})"),
    "unseeded-torch": ("torch", "torch.manual_seed({seed})"),
}
_UNSEEDED = re.compile(r"\b(default_rng|RandomState|SeedSequence|Random)\(\s*\)")
# torch.seed, and that of a Generator, take no seed.
_TEXT_OF_TORCH = "Call manual_seed with a seed that you keep: seed() takes the system's entropy."
# Nor does random.seed reach a generator of one's own.
_TEXT_OF_RANDOM = "Give the generator a seed: random.Random(seed). random.seed() does not reach it."
_OWN_RANDOM = re.compile(r"\b(Random)\(\s*(?:None\s*)?\)")
_TORCH_SEED = re.compile(r"\.seed\(\s*\)")
_EMPTY_SEED = re.compile(r"\b(random|rng)\.seed\(\s*(?:None\s*)?\)")
_LISTINGS = frozenset({"listdir", "iterdir", "glob", "rglob", "iglob", "scandir"})
_DEFAULT_SEED = "1"


class Remedy(msgspec.Struct, frozen=True):
    """What to do: ``text`` in words, ``diff`` a unified diff of the project's file where the change is mechanical."""

    text: str
    diff: str


def remedy(suspect: Suspect, entry: str | None, source: Source) -> Remedy:
    """The remedy for a cause; ``entry`` is the project's file that is started, where there is one."""
    text = _TEXT[suspect.rule]
    place = suspect.location
    if suspect.rule == "unseeded-python-random" and place is not None:
        own = source(place.file) or ""
        changed = _replaced(own, place, _OWN_RANDOM, rf"\1({seed_expression(own, place.line)})")
        if changed is not None:
            return Remedy(_TEXT_OF_RANDOM, _diff(place.file, source, changed))
    if suspect.rule in _SEEDING:
        name = entry or (place.file if place is not None else None)
        changed = None if name is None else _seeded(source(name), *_SEEDING[suspect.rule])
        return Remedy(text, _diff(name, source, changed))
    if place is None:
        return Remedy(text, "")
    content = source(place.file)
    seed = seed_expression(content or "", place.line)
    changed = None
    if content is None:
        pass
    elif suspect.rule == "unseeded-numpy-generator":
        changed = _replaced(content, place, _UNSEEDED, rf"\1({seed})")
    elif suspect.rule == "seed-from-entropy":
        if suspect.factor == "seed-torch":
            text, changed = _TEXT_OF_TORCH, _replaced(content, place, _TORCH_SEED, rf".manual_seed({seed})")
        else:
            changed = _replaced(content, place, _EMPTY_SEED, rf"\1.seed({seed})")
    elif suspect.rule in ("unsorted-listing", "hash-order"):
        changed = _sorted(content, place, suspect.rule)
    return Remedy(text, _diff(place.file, source, changed))


def seed_expression(source: str, line: int | None = None) -> str:
    """What a program calls its seed, as far as its text tells (``args.seed``, ``seed``); a number where it has none.

    A bare name counts only where it is bound before ``line``.
    """
    found = re.search(r"\b(args|opt|opts|cfg|config|hparams)\.seed\b", source)
    if found:
        return found.group()
    parsed = re.search(r"(?m)^\s*(\w+)\s*=\s*[\w.]+\.parse_args\(", source)
    if parsed and re.search(r"""["']--seed["']""", source):
        return f"{parsed.group(1)}.seed"
    above = "".join(lines_of(source)[: line if line is not None else None])
    bound = re.search(r"(?m)^\s*(SEED|seed)\s*(?::[^=\n]+)?=", above) or re.search(r"def \w+\([^)]*\b(seed)\b", above)
    return bound.group(1) if bound else _DEFAULT_SEED


def _seeded(source: str | None, module: str, call: str) -> str | None:
    """The entry script with a seeding call where the seed is known: after the arguments are parsed, else at the top."""
    tree = None if source is None else parsed(source)
    if source is None or tree is None:
        return None
    lines = lines_of(source)
    names = _imported(tree)
    seed = seed_expression(source, 0)
    at, indent = _after_parsing(tree) if "." in seed else (None, "")
    if at is None:
        at, indent, seed = _after_imports(tree), "", _DEFAULT_SEED
    written = call.format(seed=seed, numpy=names.get("numpy", "numpy"))
    if seed == _DEFAULT_SEED:
        written += "  # better the seed that the program is given: with this one all seeds draw alike"
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    new = [f"{indent}{written}\n"]
    if at == _after_imports(tree):
        new = ["\n", *new] if indent == "" else new
    lines[at:at] = new
    if module not in names:
        lines.insert(_before_imports(tree), f"import {module}\n")
    return "".join(lines)


def _imported(tree: ast.Module) -> dict[str, str]:
    """Modules that the file imports whole, and the names it knows them by."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname or "." not in alias.name:
                    found[alias.name] = alias.asname or alias.name
    return found


def _after_parsing(tree: ast.Module) -> tuple[int | None, str]:
    """Where the statement that parses the arguments ends, and its indentation."""
    for node in ast.walk(tree):
        match node:
            case ast.Assign(value=ast.Call(func=ast.Attribute(attr="parse_args")), end_lineno=int(end)):
                return end, " " * node.col_offset
    return None, ""


def _after_imports(tree: ast.Module) -> int:
    """The line after which the top-level imports end."""
    ends = [node.end_lineno or 0 for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    first = tree.body[0] if tree.body else None
    return max(ends, default=(first.end_lineno or 0) if _is_docstring(first) and first is not None else 0)


def _before_imports(tree: ast.Module) -> int:
    """The line before the first top-level import that is no ``__future__``, where one more can stand."""
    for node in tree.body:
        if isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and node.module != "__future__"):
            return node.lineno - 1
    return _after_imports(tree)


def _is_docstring(node: ast.stmt | None) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _replaced(source: str, place: Place, pattern: re.Pattern[str], replacement: str) -> str | None:
    """The source with the one match of a pattern on a line replaced; None where there is not exactly one."""
    lines = lines_of(source)
    if not 0 < place.line <= len(lines):
        return None
    changed, count = pattern.subn(replacement, lines[place.line - 1])
    if count != 1:
        return None
    lines[place.line - 1] = changed
    return "".join(lines)


def _sorted(source: str, place: Place, rule: str) -> str | None:
    """The source with ``sorted(...)`` around what is listed or iterated on a line; None where that is not plain."""
    tree = parsed(source)
    if tree is None:
        return None
    found: list[ast.expr] = []
    for node in ast.walk(tree):
        if rule == "unsorted-listing":
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _LISTINGS:
                found.append(node)
        elif isinstance(node, (ast.For, ast.comprehension)):
            found.append(node.iter)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("list", "tuple"):
            found += node.args[:1]
    here = [node for node in found if node.lineno == place.line == node.end_lineno]
    # Directory entries of scandir cannot be compared; of several candidates the text does not tell which.
    if len(here) != 1 or "scandir" in ast.unparse(here[0]):
        return None
    node = here[0]
    lines = lines_of(source)
    raw = lines[place.line - 1].encode()
    start, end = node.col_offset, node.end_col_offset or 0
    lines[place.line - 1] = (raw[:start] + b"sorted(" + raw[start:end] + b")" + raw[end:]).decode()
    return "".join(lines)


def _diff(name: str | None, source: Source, changed: str | None) -> str:
    original = source(name) if name is not None else None
    if name is None or original is None or changed is None or changed == original:
        return ""
    before, after = lines_of(original), lines_of(changed)
    lines = difflib.unified_diff(before, after, f"a/{name}", f"b/{name}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
