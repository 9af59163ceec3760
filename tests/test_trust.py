"""The page that says what could be wrong in silence names tests that exist."""

import re
from pathlib import Path


TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "trust.md"


def test_every_test_that_the_page_names_exists_and_every_row_names_one():
    defined = {
        name
        for file in TESTS.rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)
    }
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    rows = [row for row in rows if not row.startswith("| what could be wrong")]
    assert len(rows) > 30
    for row in rows:
        named = re.findall(r"`(test_\w+)`", row)
        assert named, row
        assert {*named} <= defined, {*named} - defined
