"""What all tests share: an engine for those marked ``docker``, and interrupts that arrive."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Beside a checkout on a machine that has no engine of its own.
START_ENGINE = ROOT.parent / "shared" / "docker-engine" / "start"


# Whoever starts the tests in the background may have these ignored, which every process below would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)
for _number in (signal.SIGHUP, signal.SIGTERM):
    signal.signal(_number, signal.SIG_DFL)


@functools.cache
def engine_problem() -> str | None:
    """Why no Docker engine can be used, after trying to start one; None where one can."""
    if START_ENGINE.is_file() and os.geteuid() == 0:
        started = subprocess.run(["bash", str(START_ENGINE)], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if started.returncode:
            return f"the Docker engine could not be started: {started.stderr.strip()[-500:]}"
    try:
        asked = subprocess.run(["docker", "info"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        return "there is no docker command on this machine"
    return None if asked.returncode == 0 else f"no Docker engine can be reached: {asked.stderr.strip()[-500:]}"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip where there is no engine; fail instead where AUDITOR_REQUIRE_DOCKER says that there must be one."""
    if item.get_closest_marker("docker") and (problem := engine_problem()):
        if os.environ.get("AUDITOR_REQUIRE_DOCKER"):
            pytest.fail(problem, pytrace=False)
        pytest.skip(problem)
