"""The pages that say what could be wrong, and what is promised, name tests that exist."""

import re
from pathlib import Path

import pytest


TESTS = Path(__file__).parent
DOCS = TESTS.parent / "docs"


@pytest.mark.parametrize(("page", "most"), [("trust.md", 30), ("reliability.md", 10)])
def test_every_test_that_a_page_names_exists_and_every_row_names_one(page, most):
    defined = {
        name
        for file in TESTS.rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)
    }
    rows = [line for line in (DOCS / page).read_text().splitlines() if line.startswith("| ")]
    rows = [row for row in rows if not row.startswith(("| what could be wrong", "| promise"))]
    assert len(rows) > most
    for row in rows:
        named = re.findall(r"`(test_\w+)`", row)
        files = re.findall(r"`(tests/[\w/.]+)`", row)
        assert named or files, row
        assert all((TESTS.parent / file).exists() for file in files), row
        assert {*named} <= defined, {*named} - defined
