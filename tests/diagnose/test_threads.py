"""Which line changes what threads share, and for which lines it is named."""

from __future__ import annotations

import pytest

from auditor.diagnose.threads import meeting

_START = "threads = [threading.Thread(target=work, args=(part, shared)) for part in parts]\n"


@pytest.mark.parametrize(
    ("body", "call", "line"),
    [
        ("    shared.put(part.sum())\n", _START, 4),
        ("    part = part * 2\n    shared[part] = 1\n", _START, 5),
        ("    shared.count += part\n", _START, 4),
        ("    global total\n    total = total + part\n", _START, 5),
        ("    found.append(part)\n", "pool.map(work, parts)\n", 4),
        ("    shared.update(part)\n", "for part in parts:\n    pool.submit(work, part, shared)\n", 4),
        # Its own, made anew for each thread, or none that results are made of.
        ("    part.append(1)\n", _START, None),
        ("    mine = []\n    mine.append(part)\n", _START, None),
        ("    shared.acquire()\n", _START, None),
        ("    time.sleep(part)\n", _START, None),
        ("    return part + shared\n", _START, None),
        # Which of two it is cannot be told.
        ("    shared.put(part)\n    found.append(part)\n", _START, None),
        ("    shared.put(part)\n", "work(part, shared)\n", None),
    ],
)
def test_the_one_line_that_changes_what_threads_share(body: str, call: str, line: int | None) -> None:
    source = f"import threading, time\nfound = []\ndef work(part, shared):\n{body}{call}"
    assert meeting(source, len(source.splitlines())) == line


def test_a_line_within_what_threads_run_stands_for_itself() -> None:
    source = f"import threading\ndef work(part, shared):\n    part = part * 2\n    shared.put(part)\n{_START}"
    assert meeting(source, 5) == 4
    assert meeting(source, 3) is None


def test_a_method_that_threads_run_shares_its_object() -> None:
    source = """import threading
class Loader:
    def load(self, part):
        self.samples.append(part)
    def go(self):
        for part in range(3):
            threading.Thread(target=self.load, args=(part,)).start()
"""
    assert meeting(source, 7) == 4


def test_what_cannot_be_parsed_has_no_such_line() -> None:
    assert meeting("def work(:\n", 1) is None
