"""How plots look and how they are saved: colours, settings, and the same bytes for the same report.

matplotlib is imported for plots alone, and only where one was asked for. No date, no random ids, no settings of the
user's: the same report gives the same bytes with the same matplotlib.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from auditor.report.wording import plain

# Okabe and Ito's colours, which people see apart whatever their eyes.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
LINES = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY)
INK, SOFT, FAINT = "#222222", "#6b6b6b", "#dddddd"

Bounds = tuple[float, float] | None

_SETTINGS: dict[Any, Any] = {
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "figure.facecolor": "white",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "savefig.facecolor": "white",
    "svg.fonttype": "path",
    "svg.hashsalt": "auditor",
    "text.color": INK,
    "text.parse_math": False,  # what a report names is text, whatever signs are in it
    "xtick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.color": SOFT,
    "ytick.labelcolor": INK,
}


def draw(figures: Callable[[], Mapping[str, Figure]]) -> dict[str, bytes]:
    """Make figures in the auditor's style and save each, by its stem: file name to bytes, as ``.svg`` and ``.png``."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        return {name: data for stem, figure in figures().items() for name, data in _saved(stem, figure).items()}


def _saved(stem: str, figure: Figure) -> dict[str, bytes]:
    FigureCanvasAgg(figure)
    files: dict[str, bytes] = {}
    svg, png = io.BytesIO(), io.BytesIO()
    figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    figure.savefig(png, format="png", dpi=160, metadata={"Software": None})
    files[f"{stem}.svg"] = svg.getvalue()
    files[f"{stem}.png"] = png.getvalue()
    return files


def file_stem(name: str) -> str:
    """A name as part of a file's name."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower()[:60] or "metric"


def short(text: str, most: int = 28) -> str:
    """A text of the report as a label; what is too long is cut, and shown to be."""
    said = plain(text)
    return said if len(said) <= most else f"{said[: most - 1]}…"


def seed_row(axes: Any, row: float, values: Sequence[float], mean: float | None, bounds: Bounds, colour: str) -> None:
    """A row of seeds: each a point, and below them their mean and the bar that bounds it."""
    # Points are set apart by their rank, so that equal ones can be told; nothing is random.
    spread = [((7 * index) % 5 - 2) * 0.055 for index in range(len(values))]
    heights = [row + 0.16 + shift for shift in spread]
    axes.scatter(values, heights, s=15, color=colour, alpha=0.45, linewidths=0, zorder=2)
    if mean is None:
        return
    if bounds is not None:
        below = [row - 0.16, row - 0.16]
        axes.plot(list(bounds), below, color=colour, linewidth=2.2, zorder=3, solid_capstyle="round")
    axes.scatter([mean], [row - 0.16], s=34, color=colour, zorder=4, edgecolors="white", linewidths=0.8)
