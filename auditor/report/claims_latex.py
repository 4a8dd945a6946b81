"""The results as a LaTeX table for a paper: mean ± std and n, bold only what the seeds support."""

from __future__ import annotations

from auditor.records.claims import Cell, ClaimsReport
from auditor.report import claims
from auditor.report.wording import plain

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


def render(report: ClaimsReport) -> str:
    """One ``table`` per metric, with a column for each group; needs the package booktabs. Ends with a line break."""
    found = claims.groups(report)
    metrics = list(dict.fromkeys(metric for metric, _ in found))
    return "\n\n".join(_table(report, metric) for metric in metrics) + "\n" if metrics else "% no results\n"


def _table(report: ClaimsReport, metric: str) -> str:
    columns = {group: cells for (name, group), cells in claims.groups(report).items() if name == metric}
    methods = list(dict.fromkeys(cell.method for cells in columns.values() for cell in cells))
    counts = {cell.n for cells in columns.values() for cell in cells}
    n = f"$n = {counts.pop()}$ seeds each" if len(counts) == 1 else "$n$ seeds in parentheses"
    better = "lower" if metric in report.lower_is_better else "higher"
    bold = any(cell.best for cells in columns.values() for cell in cells)
    caption = f"{escaped(metric)} ({better} is better): mean $\\pm$ standard deviation ($n - 1$), {n}. "
    caption += (
        f"Bold: better than every other method of its column at {report.alpha:g} (Welch's test, Holm's correction)."
        if bold
        else f"No method is better than every other one at {report.alpha:g} (Welch's test, Holm's correction)."
    )
    lines = [
        r"\begin{table}",
        r"  \centering",
        f"  \\caption{{{caption}}}",
        f"  \\begin{{tabular}}{{l{'r' * len(columns)}}}",
        r"    \toprule",
        f"    Method & {' & '.join(escaped(group) or escaped(metric) for group in columns)} \\\\",
        r"    \midrule",
    ]
    for method in methods:
        row = []
        for cells in columns.values():
            cell = next((one for one in cells if one.method == method), None)
            row.append(_cell(cell, claims.common_decimals(cells), " " if len(counts) else ""))
        lines.append(f"    {escaped(method)} & {' & '.join(row)} \\\\")
    lines += [r"    \bottomrule", r"  \end{tabular}", r"\end{table}"]
    return "\n".join(lines)


def _cell(cell: Cell | None, digits: int, with_n: str) -> str:
    if cell is None or cell.mean is None:
        return "--"
    inside = claims.mean_std(cell, r" \pm ", digits)
    text = f"$\\mathbf{{{inside}}}$" if cell.best else f"${inside}$"
    return f"{text}{with_n}({cell.n})" if with_n else text


def escaped(text: str) -> str:
    """Text that LaTeX prints as it stands."""
    return "".join(_SPECIAL.get(character, character) for character in plain(text))
