"""The lowest versions that are declared are those that `.ci/run` tests."""

import re
import tomllib
from pathlib import Path

import pytest


ROOT = Path(__file__).parents[1]
DECLARED = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
TESTED = dict(re.findall(r"^([\w-]+)==(\S+)$", (ROOT / ".ci/lowest.txt").read_text(), re.MULTILINE))


@pytest.mark.parametrize("declared", DECLARED)
def test_the_lowest_version_that_is_declared_is_the_one_that_is_tested(declared):
    name, lowest = declared.split(">=")
    assert f"{TESTED[name]}.".startswith(f"{lowest}.")
