"""The states of the random streams, read where they lie."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("probe_importable")


@pytest.fixture
def python_stream() -> Iterator[None]:
    before = random.getstate()
    yield
    random.setstate(before)


def watched_streams() -> Any:
    from _auditor_probe.streams import Streams

    return Streams(None)


@pytest.mark.usefixtures("python_stream")
def test_the_state_in_memory_gives_the_digest_of_the_public_state() -> None:
    here, public = watched_streams(), watched_streams()
    assert here._python_address is not None
    public._python_address = None
    seen = set()
    for draw in (lambda: random.seed(3), random.random, lambda: random.gauss(0, 1), lambda: random.seed(4)):
        draw()
        assert here.states()["python"] == public.states()["python"]
        seen.add(here.states()["python"])
    assert len(seen) == 4


@pytest.mark.usefixtures("python_stream")
def test_a_state_that_comes_back_has_its_digest_again() -> None:
    watched = watched_streams()
    random.seed(5)
    first = watched.states()["python"]
    random.random()
    assert watched.states()["python"] != first
    random.seed(5)
    assert watched.states()["python"] == first


def test_what_is_called_with_nothing_is_told_from_what_is_given_a_seed() -> None:
    from _auditor_probe.streams import _called_with_nothing

    def called(*_arguments: object, **_named: object) -> bool:
        return bool(_called_with_nothing(sys._getframe(1)))

    seed = 3
    assert called()
    assert not (called(seed) or called(None) or called(seed=seed) or called(*[]))
