"""What a source file does that may depend on chance, and what is no such thing."""

from __future__ import annotations

import pytest

from auditor.diagnose.reading import (
    asks_for_a_file,
    first_line_of,
    lines_of,
    rule_of,
    seeded_by_entropy,
    sightings,
    takes_messages,
)


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("for word in set(words):", "hash-order"),
        ("names = list({a, b})", "hash-order"),
        ("x = [f(v) for v in {a, b}]", "hash-order"),
        ("total = sum(weights[k] for k in {a, b})", "hash-order"),
        ("bucket = hash(name) % 8", "hash-order"),
        ("rows.sort(key=id)", "address-order"),
        ("key = id(model)", "address-order"),
        ("lr = 0.1 * time.time()", "clock-read"),
        ("now = datetime.datetime.now()", "clock-read"),
        ("for f in as_completed(futures): pass", "completion-order"),
        ("for f in pool.imap_unordered(work, items): pass", "completion-order"),
        ("threading.Thread(target=work).start()", "thread-race"),
        ("shard = os.getpid() % 2", "pid-read"),
        ("token = secrets.token_hex(4)", "entropy-read"),
        ("files = os.listdir(path)", "unsorted-listing"),
        ("some = sorted(os.listdir(path)[:100])", "unsorted-listing"),
        ("count = len(load(os.listdir(path)))", "unsorted-listing"),
        ("newest = max(os.listdir(path), key=mtime)", "unsorted-listing"),
    ],
)
def test_a_line_that_depends_on_chance_is_seen(line: str, rule: str) -> None:
    source = f"{line} pass\n" if line.endswith(":") else f"{line}\n"
    assert rule in {one.rule for one in sightings(source)}


@pytest.mark.parametrize(
    "line",
    [
        "for word in sorted(set(words)): pass",
        "count = len({a, b})",
        "count = len([name for name in os.listdir(path) if name])",
        "names = sorted(list(os.listdir(path)))",
        "most = max(v for v in {1, 2})",
        "known = {f(v) for v in {a, b}}",
        "if name in {'a', 'b'}: pass",
        "model.id()",
        "row.hash(1)",
        "step = clock.tick()",
        "x = [f(v) for v in [a, b]]",
    ],
)
def test_what_shows_no_order_is_not_accused(line: str) -> None:
    assert not sightings(line + "\n")


def test_a_name_bound_to_a_set_is_followed() -> None:
    found = sightings("labels = set(rows)\nfor label in labels:\n    use(label)\n")
    assert [(one.rule, one.line) for one in found] == [("hash-order", 2)]


@pytest.mark.parametrize("source", ["def broken(:\n", "\0", "(" * 5000])
def test_what_cannot_be_parsed_says_nothing(source: str) -> None:
    assert sightings(source) == ()


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("lr = base * (1 + math.sin(time.time()))", "clock-read"),
        ("rng = np.random.default_rng()", "unseeded-numpy-generator"),
        ("x = np.random.rand(3)", "unseeded-numpy-global"),
        ("order = random.sample(rows, 5)", "unseeded-python-random"),
        ("noise = torch.randn(3)  # time.time()", "unseeded-torch"),
        ("loss = model(x).sum()", None),
    ],
)
def test_a_single_line_is_read_by_its_words(text: str, rule: str | None) -> None:
    assert rule_of(text) == rule


def test_the_head_of_a_function_leads_into_its_body() -> None:
    source = 'def f(x):\n    """Say."""\n    return x\n\n\ny = 1\n'
    assert first_line_of(source, 1) == 3
    assert first_line_of(source, 6) is None
    assert first_line_of("def broken(", 1) is None


def test_a_form_feed_ends_no_line() -> None:
    assert lines_of("a = 1\n\x0cb = 2\n") == ["a = 1\n", "\x0cb = 2\n"]
    assert lines_of("a\r\nb") == ["a\r\n", "b"]


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("g = torch.Generator()\ng.seed()\nh = torch.Generator()\nh.manual_seed(1)\n", (2,)),
        ("import random\nrandom.seed()\n", ()),
        ("def broken(:\n", ()),
    ],
)
def test_generators_that_are_seeded_by_entropy(source: str, lines: tuple[int, ...]) -> None:
    assert seeded_by_entropy("import torch\n" + source) == tuple(line + 1 for line in lines)


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("if os.path.exists(marker):\n    sys.exit()\n", (1,)),
        ("model = load() if path.is_file() else None\n", (1,)),
        ("if not os.path.exists('out'):\n    os.makedirs('out')\n", ()),
        ("assert path.exists(), 'it exists(...)'\n", ()),
        ("def broken(:\n", ()),
    ],
)
def test_lines_that_ask_for_a_file(source: str, lines: tuple[int, ...]) -> None:
    assert asks_for_a_file(source) == lines


@pytest.mark.parametrize(
    ("line", "takes"),
    [
        ("item = queue.get()", True),
        ("item = self.inbox.get(timeout=5)", True),
        ("ready = multiprocessing.connection.wait(pipes)", True),
        ("value = options.get('lr')", False),
        ("value = options.get(key='lr')", False),
        ("process.wait()", False),
        ("self.connection_made.wait()", False),
        ("for :", False),
    ],
)
def test_lines_that_take_the_next_message(line: str, takes: bool) -> None:
    assert takes_messages(f"\n{line}\n") == ((2,) if takes else ())
