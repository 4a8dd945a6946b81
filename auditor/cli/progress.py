"""What is shown while runs go: a live line on a terminal, now and then a line elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

from auditor.cli import problems
from auditor.records.progress import Event, Progress, RunEnded, RunStarted
from auditor.report.wording import duration

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

# Where no terminal is, a line this often (seconds of the run) is enough for a CI's log.
EVERY = 30.0
# Of more runs than these not each has a line; about so many lines then say how far they are.
MANY = 20


def describe(event: Progress) -> str:
    """Steps, rate, time left, and how far the run agrees with the first one."""
    parts = [f"step {event.steps:,}" + (f" of {event.expected:,}" if event.expected else "")]
    if event.steps and event.seconds > 0:
        rate = event.steps / event.seconds
        parts.append(f"{rate:,.0f} steps/s" if rate >= 10 else f"{rate:.1f} steps/s")
        if event.expected and event.expected > event.steps:
            parts.append(f"{duration((event.expected - event.steps) / rate)} left")
    else:
        parts.append(duration(event.seconds))
    if event.differs_at is not None:
        parts.append(f"differs from step {event.differs_at:,} on")
    elif event.identical_until:
        parts.append(f"identical so far: step {event.identical_until:,}")
    return ", ".join(parts)


def _counted(event: RunStarted) -> str:
    """``run 3 of 5``; a run that is tried again is numbered beyond those that were asked for."""
    if event.number > event.of:
        return f"run {event.number} (a further attempt)"
    return f"run {event.number} of {event.of}"


def started(event: RunStarted) -> str:
    """The line for the start of a run."""
    if event.trial:
        return f"why they differ, trial {event.number}: {event.trial}"
    seed = f", seed {event.seed}" if event.seed is not None else ""
    # Why it is not the stronger means is in run.json; only what is not isolated at all must be known at once.
    if event.isolation is None:
        return f"{_counted(event)}{seed}"
    parts = event.isolation.reason.split("; ") if event.number == 1 else []
    open_to = "; ".join(part for part in parts if "not isolated" in part)
    why = f" ({open_to})" if open_to else ""
    return f"{_counted(event)}{seed}, kept apart by {event.isolation.kind}{why}"


def ended(event: RunEnded) -> str:
    """The line for the end of a run."""
    says = {"ok": "done", "timeout": "ran past its time limit", "stopped": "ended at its first divergence"}
    again = ", and is tried again" if event.again else ""
    said = says.get(event.ending.status, event.ending.status)
    which = f"why they differ, trial {event.number}" if event.trial else f"run {event.number}"
    return f"{which}: {said} after {duration(event.seconds)}{again}"


class Screen:
    """Shows events on stderr; use it as a context manager."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._bar: Bar | None = None
        self._tasks: dict[int, TaskID] = {}
        self._next_lines: dict[int, float] = {}
        self._of = 0
        self._done = 0

    def __enter__(self) -> Screen:
        if not self._quiet and sys.stderr is not None and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, SpinnerColumn, TextColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=16),
                TextColumn("{task.fields[said]}", markup=False),
                console=Console(stderr=True, highlight=False, markup=False),
                transient=True,
            )
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, event: Event) -> None:
        """Show one event."""
        if self._quiet:
            return
        match event:
            case RunStarted():
                self._of = max(self._of, event.of)
                self._next_lines[event.number] = EVERY
                if self._of <= MANY:
                    self._say(started(event))
                if self._bar is not None:
                    seed = f", seed {event.seed}" if event.seed is not None and self._of > 2 else ""
                    text = f"{_counted(event)}{seed}"
                    if event.trial:
                        text = f"why they differ, trial {event.number}"
                    self._tasks[event.number] = self._bar.add_task(text, total=None, said="")
            case Progress():
                self._update(event)
            case RunEnded():
                if self._bar is not None and (task := self._tasks.pop(event.number, None)) is not None:
                    self._bar.remove_task(task)
                self._ended(event)

    def _ended(self, event: RunEnded) -> None:
        before, self._done = self._done, self._done + (event.ending.status == "ok")
        if self._of <= MANY or event.ending.status not in ("ok", "interrupted"):
            self._say(ended(event))
        elif before * MANY // self._of < self._done * MANY // self._of:
            self._say(f"{self._done:,} of {self._of:,} runs done")

    def _update(self, event: Progress) -> None:
        if self._bar is not None:
            if (task := self._tasks.get(event.number)) is not None:
                self._bar.update(task, total=event.expected, completed=event.steps, said=describe(event))
        elif event.seconds >= self._next_lines.get(event.number, EVERY):
            self._next_lines[event.number] = event.seconds + EVERY
            self._say(f"run {event.number}: {describe(event)}")

    def _say(self, text: str) -> None:
        if self._bar is not None:
            self._bar.console.print(text, style="dim")
        else:
            problems.say(text)
