"""The tables that the package ships, of its own studies."""

import re
from pathlib import Path

import pytest
from study_tables import studies

import basin_jax as bj


PAGE = Path(__file__).parents[2] / "docs/results.md"


def test_the_published_studies_are_those_of_the_page_of_results():
    made = bj.published()
    assert dict(made.select("study", "question").iter_rows()) == {
        name: study.question for name, study in studies().items()
    }
    for name, *by in made.select("study", "size", "version", "device", "jax").iter_rows():
        table = bj.published(name)
        own = (PAGE.with_suffix("") / f"{name}.md").read_text()
        assert "Made at the size --{} with basin_jax {} on {}, JAX {}.".format(*by) in own
        numbers = re.findall(r"^\| (\d+) \|", own, re.MULTILINE)
        assert [*map(int, numbers)] == table["row"].to_list()
        assert set(table["version"]) == {by[1]}


def test_an_unknown_study_gets_the_nearest():
    with pytest.raises(ValueError, match=r"study = 'hijak'; allowed: .*did you mean 'hijack'"):
        bj.published("hijak")
