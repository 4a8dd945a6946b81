"""Whatever in the tree is generated from code: ``--write`` makes it anew, without it the differences are listed."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from auditor.cli import catalogue, rules  # noqa: E402  (the checkout's own package, not an installed one)
from auditor.report import schema  # noqa: E402  (as above)
from auditor.rulebook import own_rules  # noqa: E402  (as above)

RULES = ROOT / "docs" / "rules"
LABELS = ROOT / "benchmarks" / "checks" / "labels.csv"
HELP = re.compile(r"(<!-- help: begin -->\n```\n)(.*?)(```\n<!-- help: end -->)", re.DOTALL)


def help_text() -> str:
    """What ``auditor run --help`` prints, 80 columns wide."""
    environment = {**os.environ, "COLUMNS": "80", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "auditor", "run", "--help"], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def labelled() -> dict[str, list[bool]]:
    """Of each rule, whether the findings that it makes and shows by now were right, by those who read them."""
    found: dict[str, list[bool]] = defaultdict(list)
    with LABELS.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["now"] in ("high", "medium"):
                found[row["rule"]].append(row["label"] == "true")
    return found


def texts() -> dict[Path, str]:
    """Every generated file's path and what it should hold."""
    pages = ROOT / "docs" / "errors"
    wanted = {pages / f"{slug}.md": catalogue.page(slug) for slug in catalogue.PAGES}
    wanted[pages / "README.md"] = catalogue.index()
    # Whatever else is installed here may add rules of its own, which are no part of this tree.
    wanted.update({RULES / f"{check.rule.id}.md": rules.page(check) for check in own_rules()})
    wanted[RULES / "README.md"] = rules.index(own_rules(), labelled())
    wanted.update({ROOT / "auditor" / "report" / file: schema.generate(file) for file in schema.DOCUMENTS})
    readme = ROOT / "README.md"
    wanted[readme] = HELP.sub(lambda found: found[1] + help_text() + found[3], readme.read_text(encoding="utf-8"))
    return wanted


def stale() -> list[Path]:
    """The files that are not what they should be, or should not be there."""
    wanted = texts()
    wrong = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    there = [*sorted((ROOT / "docs" / "errors").glob("*.md")), *sorted(RULES.glob("*.md"))]
    return wrong + [path for path in there if path not in wanted]


def main(arguments: list[str]) -> int:
    """Write what is stale (``--write``) or name it."""
    wrong = stale()
    if arguments == ["--write"]:
        wanted = texts()
        for path in wrong:
            if path in wanted:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(wanted[path], encoding="utf-8")
            else:
                path.unlink()
        return 0
    for path in wrong:
        sys.stdout.write(f"{path.relative_to(ROOT)} is stale: python tools/generated.py --write\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
