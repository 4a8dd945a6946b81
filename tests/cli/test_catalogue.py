from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from auditor import errors
from auditor.cli import catalogue, remarks
from auditor.diagnose import attribute, remedies
from auditor.rulebook import rulebook

ROOT = Path(__file__).resolve().parents[2]
CLASSES = {
    name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.AuditorError)
}


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted((ROOT / "auditor").rglob("*.py")):
        if "probe" not in path.parts and path.name != "catalogue.py":
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def raised_slugs() -> dict[str, Path]:
    found = {}
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CLASSES and node.args:
                slug = node.args[0]
                if isinstance(slug, ast.Constant) and isinstance(slug.value, str):
                    found[slug.value] = path
    return found


def test_every_slug_that_is_raised_has_a_page() -> None:
    missing = {
        slug: str(path.relative_to(ROOT)) for slug, path in raised_slugs().items() if slug not in catalogue.PAGES
    }
    assert not missing


def test_every_page_is_of_a_slug_in_use() -> None:
    constants = {
        node.value
        for _, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    # The fault's slug stands inside of the sentence that names it.
    assert {slug for slug in catalogue.PAGES if slug not in constants} <= {"fault"}


def test_exit_codes_are_those_of_the_product() -> None:
    codes = set(errors.ExitCode)
    assert all(page.exit_code in codes for page in catalogue.PAGES.values())


def test_pages_speak_plainly() -> None:
    for slug, page in catalogue.PAGES.items():
        assert page.meaning.endswith("."), slug
        assert page.remedy.endswith("."), slug
        assert "auditor " in page.example, slug


def test_whatever_a_report_names_has_a_page() -> None:
    """Causes of a diagnosis and findings beside the rules' own; ``auditor explain`` knows them all."""
    found = {
        node.args[0].value
        for _, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Finding"
        if isinstance(node.args[0], ast.Constant)
    }
    causes = {*remedies._TEXT, *attribute.FACTOR_OF}
    known = {*rulebook(), *remarks.REMARKS}
    assert found | causes <= known, sorted((found | causes) - known)
    assert set(remarks.REMARKS) <= found | causes
    assert not set(remarks.REMARKS) & set(rulebook())


def test_what_is_generated_is_in_sync() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "generated.py")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
