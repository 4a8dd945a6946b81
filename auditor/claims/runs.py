"""The runs of one method in one group: its seeds' values, and what is missing, broken or there twice."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from auditor.records.claims import Cell, Ledger, Observation, Of
from auditor.statistics.order import Seeds, interval, seeds_of

_DIGITS = 6  # a value that needs so many is not met twice by chance


class Runs(NamedTuple):
    """One method in one group: ``labels`` of the group, ``values`` by seed, and ``broken`` seeds with the reason.

    ``unseeded`` are values whose seed is not recorded. ``gaps`` say what else is missing, ``notes`` what is odd.
    """

    labels: dict[str, str]
    method: str
    metric: str
    values: dict[int, float]
    broken: dict[int | None, str]
    unseeded: tuple[float, ...]
    gaps: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def group(self) -> str:
        """The group's name: ``FD002``, or every label that is not the data set's as ``name=value``."""
        return group_name(self.labels)

    @property
    def problems(self) -> tuple[str, ...]:
        """All that keeps these runs from being what a claim could rest on."""
        said = [f"{_seed_name(seed)}: {why}" for seed, why in self.broken.items()]
        if self.unseeded:
            count = len(self.unseeded)
            said.append(
                f"the seeds of {count} results are not recorded"
                if count > 1
                else "the seed of one result is not recorded"
            )
        return (*said, *self.gaps)

    @property
    def finite(self) -> tuple[float, ...]:
        """All values, by seed, and then those whose seed is not recorded."""
        return (*self.values.values(), *self.unseeded)

    @property
    def varies(self) -> bool:
        """Whether any two values differ."""
        return len(set(self.finite)) > 1


def group_name(labels: Mapping[str, str]) -> str:
    """``FD002`` for a data set alone, else ``FD002, fold=1``."""
    parts = [labels["dataset"]] if "dataset" in labels else []
    return ", ".join(parts + [f"{name}={labels[name]}" for name in sorted(labels) if name != "dataset"])


def matches(of: Of, observation: Observation) -> bool:
    """Whether a number is among those that a claim is of."""
    for name, wanted in of.items():
        accepted = {str(one) for one in wanted} if isinstance(wanted, tuple) else {str(wanted)}
        if name == "metric":
            has: str | None = observation.metric
        elif name == "seed":
            has = None if observation.seed is None else str(observation.seed)
        else:
            has = observation.labels.get(name)
        if has not in accepted:
            return False
    return True


def gather(observations: Iterable[Observation], ledger: Ledger) -> tuple[Runs, ...]:
    """The observations by group, metric and method, each in the order of first sight; seeds ascending."""
    cells: dict[tuple[tuple[tuple[str, str], ...], str, str], list[Observation]] = {}
    for one in observations:
        labels = {name: value for name, value in one.labels.items() if name != "method"}
        key = (tuple(sorted(labels.items())), one.metric, one.labels.get("method", ""))
        cells.setdefault(key, []).append(one)
    return tuple(_runs(dict(labels), method, metric, cell, ledger) for (labels, metric, method), cell in cells.items())


def _runs(labels: dict[str, str], method: str, metric: str, cell: Sequence[Observation], ledger: Ledger) -> Runs:
    values: dict[int, float] = {}
    broken: dict[int | None, str] = {}
    unseeded: list[float] = []
    gaps: list[str] = []
    notes: list[str] = []
    by_seed: dict[int, list[Observation]] = {}
    for one in cell:
        if one.seed is not None:
            by_seed.setdefault(one.seed, []).append(one)
        elif one.problem or one.value is None:
            broken[None] = f"{one.problem} ({one.source})"
        else:
            unseeded.append(one.value)
    if ledger.seeds is not None:
        planned = set(ledger.seeds)
        aside = sorted(set(by_seed) - planned)
        if aside:
            notes.append(f"{seed_list(aside)} not planned, and left aside")
        missing = sorted(planned - set(by_seed))
        if missing:
            gaps.append(f"no result for the planned {seed_list(missing)}")
        by_seed = {seed: found for seed, found in by_seed.items() if seed in planned}
    for seed, found in sorted(by_seed.items()):
        problem = next((f"{one.problem} ({one.source})" for one in found if one.problem), "")
        distinct = {one.value for one in found}
        if problem:
            broken[seed] = problem
        elif len(distinct) > 1:
            told = ", ".join(f"{one.value:.6g} in {one.source}" for one in found[:3])
            broken[seed] = f"it is there {len(found)} times with different values ({told})"
        else:
            (value,) = distinct
            if value is not None:
                values[seed] = value
            if len(found) > 1:
                where = ", ".join(one.source for one in found[:3])
                notes.append(f"duplicated: seed {seed} is there {len(found)} times ({where}), and counted once")
    if method not in ledger.deterministic:
        notes += _suspicious(values)
    return Runs(labels, method, metric, values, broken, tuple(unseeded), tuple(gaps), tuple(notes))


def _suspicious(values: Mapping[int, float]) -> list[str]:
    """Different seeds with the same value to the last digit: a copied result, or a seed that goes nowhere."""
    by_value: dict[float, list[int]] = {}
    for seed, value in values.items():
        by_value.setdefault(value, []).append(seed)
    return [
        f"{seed_list(seeds)} have the same value to the last digit ({value!r}): a copied result, or a seed that goes "
        "nowhere"
        for value, seeds in by_value.items()
        if len(seeds) > 1 and len(repr(value).replace("-", "").replace(".", "").strip("0")) >= _DIGITS
    ]


def seed_list(seeds: Iterable[int]) -> str:
    """``seed 3``, ``seeds 1–5``, ``seeds 1, 2 and 7``."""
    ordered = sorted(seeds)
    if len(ordered) == 1:
        return f"seed {ordered[0]}"
    if len(ordered) > 2 and ordered == list(range(ordered[0], ordered[-1] + 1)):
        return f"seeds {ordered[0]}–{ordered[-1]}"
    shown = [str(seed) for seed in ordered[:12]]
    if len(ordered) > 12:
        return f"seeds {', '.join(shown)} and {len(ordered) - 12} more"
    return f"seeds {', '.join(shown[:-1])} and {shown[-1]}"


def _seed_name(seed: int | None) -> str:
    return "a seed that is not recorded" if seed is None else f"seed {seed}"


def summary(runs: Runs) -> Seeds | None:
    """Mean and standard deviation of all finite values; None for fewer than two."""
    return seeds_of(runs.finite) if len(runs.finite) > 1 else None


def cell(runs: Runs, best: bool = False) -> Cell:
    """The runs as a report shows them."""
    values: dict[str, float | str] = {str(seed): value for seed, value in runs.values.items()}
    values.update({"?" if seed is None else str(seed): why for seed, why in runs.broken.items()})
    values.update({f"? {place}": value for place, value in enumerate(runs.unseeded, 1)})
    seeds = summary(runs)
    low, high = interval(seeds) if seeds is not None else (None, None)
    finite = runs.finite
    return Cell(
        labels=runs.labels,
        method=runs.method,
        metric=runs.metric,
        n=len(finite),
        mean=math.fsum(finite) / len(finite) if finite else None,
        std=seeds.std if seeds is not None else None,
        sem=seeds.std / math.sqrt(seeds.n) if seeds is not None else None,
        low=low,
        high=high,
        values=values,
        gaps=runs.problems,
        notes=runs.notes,
        best=best,
    )
