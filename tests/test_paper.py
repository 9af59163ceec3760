"""The paper: every number in it is a row of a study's table."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
from study_tables import committed

from basin_jax.studies.framework.quotes import Findings
from basin_jax.studies.overview import QUESTIONS, overview
from basin_jax.studies.published import TABLES
from basin_jax.studies.registry import STUDIES


ROOT = Path(__file__).parent.parent
PAPER = ROOT / "paper" / "paper.md"


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("paper", PAPER.with_suffix(".py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_paper_is_what_the_tables_make_it(script):
    found = script.findings(TABLES)
    text = script.text_of(found)
    assert text == PAPER.read_text(encoding="utf-8")
    assert not re.search(r"\{\w+ \|", text)


def test_the_figure_has_an_answer_of_each_study_and_none_beyond_its_axis(script):
    found = script.findings(TABLES)
    told = [answer for answers in QUESTIONS.values() for answer in answers]
    assert {study for study, *_ in told} >= {*STUDIES}
    rows = [found.row(study, key) for study, key, _ in told]
    assert all(0 <= row.low <= row.high <= 1 for row in rows)
    assert len(overview(found).axes[0].collections) == len(told)
    fewer = Findings([one for one in committed() if one.name != "volume"])
    assert len(overview(fewer).axes[0].collections) == len(told) - 4


def test_what_the_paper_cites_is_in_its_bibliography():
    cited = set(re.findall(r"@(\w+)", PAPER.read_text(encoding="utf-8").split("\n# Summary")[1]))
    entries = re.findall(r"^@\w+\{(\w+),", PAPER.with_suffix(".bib").read_text(), re.MULTILINE)
    assert cited == {*entries}
    assert len({*entries}) == len(entries)
