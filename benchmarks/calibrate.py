"""How often the verdict on fresh seeds is wrong: simulated for many shapes of seeds, as a table in Markdown.

Every figure can be made again: each cell draws from a generator of its own, whose seed the text gives, and running
twice writes the same bytes. The tests are those that ship (``auditor.statistics``), applied to thousands of simulated
pairs at a time.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import special

from auditor.records.distribution import Margins
from auditor.statistics import curves, equivalence, planning, rule, spread
from auditor.statistics.reproduction import assess
from auditor.statistics.resampling import Arrangements, arrangements
from auditor.statistics.summaries import Sample, published, sample

Array = npt.NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, ...]], Array]
SEED = 20_240_229
EXACT_UP_TO = 1_000  # of more arrangements, random ones: exact tests too, and a minute instead of ten
MARGINS = Margins()
SIZES = ((3, 3), (4, 4), (5, 5), (6, 6), (7, 7), (8, 8), (10, 10), (15, 15), (20, 20), (30, 30), (50, 50))
UNEQUAL = ((3, 10), (5, 20), (10, 30), (20, 10), (50, 10), (30, 20))
QUICK = ((3, 3), (10, 10))


def _lognormal(generator: np.random.Generator, shape: tuple[int, ...], sigma: float = 0.75) -> Array:
    square = sigma**2
    values: Array = np.exp(sigma * generator.standard_normal(shape)) - math.exp(square / 2)
    return values / math.sqrt((math.exp(square) - 1) * math.exp(square))


def _bimodal(generator: np.random.Generator, shape: tuple[int, ...], share: float, apart: float) -> Array:
    modes = (generator.random(shape) < share) * apart
    values: Array = modes + generator.standard_normal(shape) - share * apart
    return values / math.sqrt(1 + share * (1 - share) * apart**2)


# Each has mean 0 and standard deviation 1.
SHAPES: dict[str, Draw] = {
    "normal": lambda generator, shape: generator.standard_normal(shape),
    "skewed (exponential)": lambda generator, shape: generator.standard_exponential(shape) - 1,
    "very skewed (lognormal, σ = 0.75)": _lognormal,
    "heavy-tailed (t, 3 degrees)": lambda generator, shape: generator.standard_t(3, shape) / math.sqrt(3),
    "bimodal (half and half, 4 σ apart)": lambda generator, shape: _bimodal(generator, shape, 0.5, 4.0),
    "bimodal (one in five, 6 σ away)": lambda generator, shape: _bimodal(generator, shape, 0.2, 6.0),
}


@dataclass(frozen=True)
class Cell:
    """Shares of simulated pairs (0 to 1), for one shape and two sizes.

    ``false_reject``: a true reproduction is not-reached. ``at_mean`` and ``at_spread``: one at the margin is reached
    (the worse direction); ``mean_alone`` and ``spread_alone``: of that, the half in question shows equivalence.
    ``reached``: a true reproduction is reached. ``shown_*``: one at the margin (a higher mean, a wider spread) is
    not-reached, of every fourth pair. ``rule_*``: the published rule passes a true reproduction, and one at a margin
    (the worse direction).
    """

    false_reject: float
    at_mean: float
    mean_alone: float
    at_spread: float
    spread_alone: float
    reached: float
    shown_mean: float
    shown_spread: float
    rule_true: float
    rule_mean: float
    rule_spread: float


def cell(shape: int, n: int, m: int, simulations: int, draws: int, known: bool) -> Cell:
    """Simulate one cell; ``known`` is whether the reference's values are, or only its mean, std and size."""
    draw = list(SHAPES.values())[shape]
    generator = np.random.default_rng((SEED, shape, n, m))
    new, old = draw(generator, (simulations, n)), draw(generator, (simulations, m))
    among = arrangements(n, m, generator, exact_up_to=EXACT_UP_TO, draws=draws) if known else None
    reference = sample(old) if known else _published(old)
    rate, true = MARGINS.error_rate, sample(new)
    judged = assess(true, reference, MARGINS, among)
    means = [sample(new + shift) for shift in (MARGINS.mean, -MARGINS.mean)]
    spreads = [sample(new * factor) for factor in (MARGINS.spread, 1 / MARGINS.spread)]
    of_means, of_spreads = ([_equivalent(one, reference) for one in sides] for sides in (means, spreads))
    some = slice(simulations // 4)
    few = sample(old[some]) if known else _published(old[some])
    shown = [
        float(assess(sample(values[some]), few, MARGINS, among).not_reached(rate).mean())
        for values in (new + MARGINS.mean, new * MARGINS.spread)
    ]
    return Cell(
        false_reject=float(judged.not_reached(rate).mean()),
        at_mean=max(_share(np.maximum(*both) <= rate) for both in of_means),
        mean_alone=max(_share(both[0] <= rate) for both in of_means),
        at_spread=max(_share(np.maximum(*both) <= rate) for both in of_spreads),
        spread_alone=max(_share(both[1] <= rate) for both in of_spreads),
        reached=float(judged.reached(rate).mean()),
        shown_mean=shown[0],
        shown_spread=shown[1],
        rule_true=_rule(true, reference),
        rule_mean=max(_rule(one, reference) for one in means),
        rule_spread=max(_rule(one, reference) for one in spreads),
    )


def _equivalent(new: Sample, reference: Sample) -> tuple[Array, Array]:
    """The p values of equivalence of mean and spread, as ``assess`` has them, without those of a difference."""
    margin = MARGINS.mean * np.sqrt(reference.variance)
    return (
        equivalence.equivalence_p(new, reference, margin, MARGINS.mean),
        spread.equivalence_p(new, reference, MARGINS.spread),
    )


def _published(values: Array) -> Sample:
    whole = sample(values)
    return published(whole.mean, np.sqrt(whole.variance), whole.n)


def _share(where: npt.NDArray[np.bool_]) -> float:
    return float(where.mean())


def _rule(new: Sample, reference: Sample) -> float:
    sem = np.sqrt(reference.variance / reference.n)
    near = np.abs(new.mean - reference.mean) <= rule.SEMS * sem
    ratio = np.sqrt(new.variance / reference.variance)
    return _share(near & (ratio >= 1 - rule.STD_SHARE) & (ratio <= 1 + rule.STD_SHARE))


HEADER = (
    "| seeds | shape | false reject | accept at mean margin | mean alone | accept at spread margin | spread alone "
    "| reached if true | shown at mean margin | shown at spread margin | rule passes: true | at mean margin "
    "| at spread margin |"
)


def table(sizes: Sequence[tuple[int, int]], simulations: int, draws: int, known: bool) -> tuple[list[str], list[Cell]]:
    """The lines of the table of all shapes and sizes, in percent, and its cells."""
    lines, cells = [HEADER, "|--:|---|" + "--:|" * 11], []
    for n, m in sizes:
        for index, name in enumerate(SHAPES):
            one = cell(index, n, m, simulations, draws, known)
            cells.append(one)
            figures = " | ".join(
                f"{100 * value:.1f}"
                for value in (
                    one.false_reject, one.at_mean, one.mean_alone, one.at_spread, one.spread_alone, one.reached,
                    one.shown_mean, one.shown_spread, one.rule_true, one.rule_mean, one.rule_spread,
                )
            )  # fmt: skip
            lines.append(f"| {n} / {m} | {name} | {figures} |")
    return lines, cells


def worst(cells: Sequence[Cell]) -> str:
    """The largest error of each kind, in percent."""
    return (
        f"Worst: false reject {_most(cells, 'false_reject')}, accept at the mean margin {_most(cells, 'at_mean')} "
        f"(mean alone {_most(cells, 'mean_alone')}), accept at the spread margin {_most(cells, 'at_spread')} "
        f"(spread alone {_most(cells, 'spread_alone')})."
    )


def _most(cells: Sequence[Cell], name: str) -> str:
    return f"{100 * max(getattr(one, name) for one in cells):.1f} %"


# What was not taken, each over the same simulated pairs.


def alternatives(sizes: Sequence[tuple[int, int]], simulations: int) -> list[str]:
    """The lines of a table of other methods: their worst error over the shapes, in percent, by size."""
    lines = [
        "| method | error | " + " | ".join(f"{n} / {m}" for n, m in sizes) + " |",
        "|---|---|" + "--:|" * len(sizes),
    ]
    for name, error, method in OTHERS:
        figures = []
        for n, m in sizes:
            shares = []
            for index, draw in enumerate(SHAPES.values()):
                generator = np.random.default_rng((SEED, index, n, m))
                new, old = draw(generator, (simulations, n)), draw(generator, (simulations, m))
                shares.append(method(new, old, generator))
            figures.append(f"{100 * max(shares):.1f}")
        lines.append(f"| {name} | {error} | " + " | ".join(figures) + " |")
    return lines


def _bare_f(new: Array, old: Array, generator: np.random.Generator) -> float:
    n, m = new.shape[-1], old.shape[-1]
    tail = special.fdtr(n - 1, m - 1, sample(new).variance / sample(old).variance)
    return _share(2 * np.minimum(tail, 1 - tail) <= MARGINS.error_rate)


def _brown_forsythe(new: Array, old: Array, generator: np.random.Generator) -> float:
    return _share(spread.difference_p(sample(new), sample(old)) <= MARGINS.error_rate)


def _welch_and_f(new: Array, old: Array, generator: np.random.Generator) -> float:
    n, m = new.shape[-1], old.shape[-1]
    difference, error, degrees = equivalence.welch(sample(new), sample(old))
    of_mean = 2 * special.stdtr(degrees, -np.abs(difference) / error)
    tail = special.fdtr(n - 1, m - 1, sample(new).variance / sample(old).variance)
    return _share(np.minimum(of_mean, 2 * np.minimum(tail, 1 - tail)) <= MARGINS.error_rate / 2)


def _welch_alone(new: Array, old: Array, generator: np.random.Generator) -> float:
    difference, error, degrees = equivalence.welch(sample(new), sample(old))
    return _share(2 * special.stdtr(degrees, -np.abs(difference) / error) <= MARGINS.error_rate)


def _margin_taken_for_exact(new: Array, old: Array, generator: np.random.Generator) -> float:
    reference, shares = sample(old), []
    for shift in (MARGINS.mean, -MARGINS.mean):
        difference, error, degrees = equivalence.welch(sample(new + shift), reference)
        inside = np.abs(difference) - special.stdtrit(degrees, MARGINS.error_rate) * error
        shares.append(_share(inside < MARGINS.mean * np.sqrt(reference.variance)))
    return max(shares)


def _wellek(new: Array, old: Array, generator: np.random.Generator) -> float:
    n, m = new.shape[-1], old.shape[-1]
    noncentrality = MARGINS.mean**2 * n * m / (n + m)
    critical = math.sqrt(float(special.ncfdtri(1, n + m - 2, noncentrality, MARGINS.error_rate)))
    shares = []
    for shift in (MARGINS.mean, -MARGINS.mean):
        error, _ = equivalence.pooled_error(sample(new + shift), sample(old))
        shares.append(_share(np.abs(sample(new + shift).mean - sample(old).mean) < critical * error))
    return max(shares)


def _at_spread(method: Callable[[Array, Array], npt.NDArray[np.bool_]], new: Array, old: Array) -> float:
    return max(_share(method(new * factor, old)) for factor in (MARGINS.spread, 1 / MARGINS.spread))


def _chi_squared_ratio(new: Array, old: Array, generator: np.random.Generator) -> float:
    n, m = new.shape[-1], old.shape[-1]

    def method(first: Array, second: Array) -> npt.NDArray[np.bool_]:
        ratio = sample(first).variance / sample(second).variance
        rate, bound = MARGINS.error_rate, MARGINS.spread**2
        return (special.fdtr(n - 1, m - 1, ratio / bound) < rate) & (special.fdtrc(n - 1, m - 1, ratio * bound) < rate)

    return _at_spread(method, new, old)


def _jackknife(new: Array, old: Array, generator: np.random.Generator) -> float:
    def pseudo(values: Array) -> Array:
        n, side = values.shape[-1], sample(values)
        squares = (values - side.mean[..., None]) ** 2
        without = ((n - 1) * side.variance[..., None] - n / (n - 1) * squares) / (n - 2)
        logarithms = np.log(np.maximum(without, 1e-300))
        return (n * np.log(side.variance)[..., None] - (n - 1) * logarithms) / 2

    def method(first: Array, second: Array) -> npt.NDArray[np.bool_]:
        difference, error, degrees = equivalence.welch(sample(pseudo(first)), sample(pseudo(second)))
        inside = np.abs(difference) - special.stdtrit(degrees, MARGINS.error_rate) * error
        return np.asarray(inside < math.log(MARGINS.spread))

    return _at_spread(method, new, old)


def _bootstrap(new: Array, old: Array, generator: np.random.Generator) -> float:
    replicates = 199

    def logarithms(values: Array) -> Array:
        n = values.shape[-1]
        drawn = np.empty((replicates, len(values)))
        for index in range(replicates):
            chosen = np.take_along_axis(values, generator.integers(0, n, values.shape), axis=-1)
            drawn[index] = chosen.std(axis=-1)
        return np.log(np.maximum(drawn, 1e-12))

    def method(first: Array, second: Array) -> npt.NDArray[np.bool_]:
        low, high = np.quantile(logarithms(first) - logarithms(second), (0.05, 0.95), axis=0)
        return np.asarray((low > -math.log(MARGINS.spread)) & (high < math.log(MARGINS.spread)))

    return _at_spread(method, new[:1000], old[:1000])


def _normal_tails(new: Array, old: Array, generator: np.random.Generator) -> float:
    def method(first: Array, second: Array) -> npt.NDArray[np.bool_]:
        n, m, side = first.shape[-1], second.shape[-1], sample(first)
        residuals = (first - side.mean[..., None]) / np.sqrt(side.variance)[..., None]
        kurtosis = np.maximum((residuals**4).sum(axis=-1) / (n - 1), 3.0)
        error = np.sqrt((kurtosis - 1) / 4 * (1 / (n - 1) + 1 / (m - 1)))
        distance = np.abs(np.log(side.variance / sample(second).variance)) / 2
        critical = float(special.stdtrit(n + m - 2, 1 - MARGINS.error_rate))
        return np.asarray(distance + critical * error < math.log(MARGINS.spread))

    return _at_spread(method, new, old)


OTHERS: tuple[tuple[str, str, Callable[[Array, Array, np.random.Generator], float]], ...] = (
    ("Welch's t test of the mean", "false reject", _welch_alone),
    ("F test of the variances", "false reject", _bare_f),
    ("Welch and F together (each at half the rate)", "false reject", _welch_and_f),
    ("Brown-Forsythe by its t distribution", "false reject", _brown_forsythe),
    ("TOST with the margin taken for exact", "accept at mean margin", _margin_taken_for_exact),
    ("Wellek's test of the standardised difference", "accept at mean margin", _wellek),
    ("F interval of the variances", "accept at spread margin", _chi_squared_ratio),
    ("jackknife of log std (Miller)", "accept at spread margin", _jackknife),
    ("percentile bootstrap of the log ratio of std", "accept at spread margin", _bootstrap),
    ("only mean ± std: kurtosis of the new seeds, at least 3", "accept at spread margin", _normal_tails),
)


def promises(simulations: int, pilot: int = 20, known: bool = True) -> list[str]:
    """The lines of a table: the seeds each side is said to need, by pilots of true reproductions, and what they do."""
    lines = ["| shape | seeds said to be needed (median; quarter to three quarters) | then reached |", "|---|--:|--:|"]
    for index, (name, draw) in enumerate(SHAPES.items()):
        generator = np.random.default_rng((SEED, index, pilot, 1))
        needed = []
        for _ in range(max(simulations // 20, 10)):
            new, old = sample(draw(generator, (pilot,))), draw(generator, (pilot,))
            reference = sample(old) if known else _published(old)
            needed.append(planning.seeds_needed(new, reference, MARGINS, True) or planning.MOST)
        low, middle, high = (int(value) for value in np.quantile(needed, (0.25, 0.5, 0.75)))
        new, old = draw(generator, (simulations, middle)), draw(generator, (simulations, middle))
        reference = sample(old) if known else _published(old)
        side = sample(new)
        reached = 100 * _share(np.maximum(*_equivalent(side, reference)) <= MARGINS.error_rate)
        lines.append(f"| {name} | {middle} ({low} to {high}) | {reached:.0f} % |")
    return lines


def margins_table() -> list[str]:
    """The lines of a table: seeds on each side that settle a true reproduction of normal seeds, by margin."""
    means, ratios = (2.0, 1.5, 1.0, 0.75, 0.5, 0.25), (3.0, 2.5, 2.0, 1.75, 1.5, 1.25, 1.2)
    quantiles = special.ndtri((np.arange(200) + 0.5) / 200)
    typical = sample(quantiles)
    lines = ["| margin of the mean (std), spread free | seeds each | margin of the spread, mean free | seeds each |",
             "|--:|--:|--:|--:|"]  # fmt: skip
    rows = max(len(means), len(ratios))
    for index in range(rows):
        columns = []
        for values, make in (
            (means, lambda value: Margins(mean=value, spread=1e6)),
            (ratios, lambda value: Margins(mean=1e6, unit="metric", spread=value)),
        ):
            if index < len(values):
                needed = planning.seeds_needed(typical, typical, make(values[index]), True)
                columns += [f"{values[index]:g}", "more" if needed is None else f"{needed:,}"]
            else:
                columns += ["", ""]
        lines.append("| " + " | ".join(columns) + " |")
    return lines


def chances_table() -> list[str]:
    """The lines of a table: how often the published rule passes a true reproduction, by quadrature."""
    lines = ["| seeds each | mean rule | std rule | both |", "|--:|--:|--:|--:|"]
    for n in (2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 100):
        of_mean, of_std, of_both = rule.chances(n, n)
        lines.append(f"| {n} | {100 * of_mean:.1f} % | {100 * of_std:.1f} % | {100 * of_both:.1f} % |")
    return lines


def _within(new: Array, old: Array) -> bool:
    _, p = curves.equivalence_p(sample(new.T), sample(old.T), MARGINS)
    return bool((p <= MARGINS.error_rate).all())


def curves_table(simulations: int, draws: int, sizes: Sequence[int]) -> list[str]:
    """The lines of a table for whole curves of 25 points: errors in percent, by number of seeds and shape."""
    points, lines = 25, ["| seeds | shape | false reject | accept with one point at the margin | reached if true |"]
    lines.append("|--:|---|--:|--:|--:|")
    for n in sizes:
        for index, (name, draw) in enumerate(SHAPES.items()):
            generator = np.random.default_rng((SEED, index, n, points))
            among: Arrangements = arrangements(n, n, generator, draws=draws)
            rejected = accepted = reached = 0
            for _ in range(simulations):
                # A seed's own level and what changes from point to point, in equal parts.
                new, old = ((draw(generator, (n, 1)) + draw(generator, (n, points))) / math.sqrt(2) for _ in range(2))
                adjusted, _ = curves.max_t(new, old, among, MARGINS.error_rate)
                inside = _within(new, old)
                reached += inside
                rejected += bool(adjusted.min() <= MARGINS.error_rate) and not inside
                accepted += _within(new + MARGINS.mean * (np.arange(points) == points // 2), old)
            figures = " | ".join(f"{100 * count / simulations:.1f}" for count in (rejected, accepted, reached))
            lines.append(f"| {n} / {n} | {name} | {figures} |")
    return lines


def document(quick: bool) -> str:
    """The whole of the calibration in Markdown."""
    simulations, draws = (200, 199) if quick else (4_000, 999)
    sizes, unequal = (QUICK, QUICK[:1]) if quick else (SIZES, UNEQUAL)
    known, known_cells = table(sizes, simulations, draws, True)
    uneven, uneven_cells = table(unequal, simulations, draws, True)
    summary, summary_cells = table(sizes, simulations, draws, False)
    summary_uneven, summary_uneven_cells = table(unequal, simulations, draws, False)
    error = 100 * math.sqrt(0.05 * 0.95 / simulations)
    few = QUICK if quick else ((3, 3), (5, 5), (10, 10), (20, 20), (50, 50))
    parts = [
        "# Calibration of the verdict on fresh seeds",
        "",
        f"Written by `make calibrate` ({'quick' if quick else 'whole'}); what it shows is argued in "
        "[statistics.md](statistics.md).",
        f"{simulations:,} simulated pairs a cell, {draws:,} random arrangements where all are more than "
        f"{EXACT_UP_TO:,}; Monte-Carlo error of a share of 5 %: ±{error:.2f} (one standard error). Generators: NumPy's "
        f"default, seeded with ({SEED}, number of the shape, new seeds, reference seeds). Margins: mean "
        f"±{MARGINS.mean:g} std of the distribution, spread a factor of {MARGINS.spread:g}; error rate "
        f"{100 * MARGINS.error_rate:g} %. All figures in percent. *Accept* is the verdict `reached`, in the worse "
        "direction, *alone* the half in question by itself; *shown* is the verdict `not-reached`, of a higher mean or "
        "a wider spread.",
        "",
        "## The reference's values are known",
        "",
        *known,
        "",
        worst(known_cells),
        "",
        "Another number of seeds on either side (new / reference):",
        "",
        *uneven,
        "",
        worst(uneven_cells),
        "",
        "## Only mean ± std and n of the reference are known",
        "",
        *summary,
        "",
        worst(summary_cells),
        "",
        *summary_uneven,
        "",
        worst(summary_uneven_cells),
        "",
        "## What was not taken",
        "",
        "The worst error over the shapes, by size, at a rate of 5 %:",
        "",
        *alternatives(few, simulations),
        "",
        "## Whether the seeds said to be needed are enough",
        "",
        "From pilots of 20 seeds on each side; four in five is what was said. With the reference's values:",
        "",
        *promises(simulations),
        "",
        "With its mean ± std only:",
        "",
        *promises(simulations, known=False),
        "",
        "## Seeds by margin",
        "",
        "Normal seeds, four times in five:",
        "",
        *margins_table(),
        "",
        "## The published rule",
        "",
        "How often it passes a true reproduction of normal seeds (by quadrature, not simulated):",
        "",
        *chances_table(),
        "",
        "## Whole curves",
        "",
        f"{50 if quick else 1000:,} simulated pairs a cell of 25 points each:",
        "",
        *curves_table(50 if quick else 1000, 499, (5,) if quick else (5, 10, 20, 50)),
    ]
    return "\n".join(parts) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few simulations and sizes, to see that it works")
    parser.add_argument("--out", type=Path, help="write to this file instead of standard output")
    arguments = parser.parse_args()
    text = document(arguments.quick)
    if arguments.out is None:
        print(text, end="")
    else:
        arguments.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
