"""A rule is explained by its own docstring, and by that of no other."""

import folders
import polars as pl
import pytest

import basin_jax as bj
from basin_jax import Records
from basin_jax.report.explain import explain
from basin_jax.report.page import report_files
from basin_jax.results.rule import words_of
from basin_jax.rules import Behavior, Searches


class Strict(Behavior):
    """Judge as `Behavior`, but <strictly>.

    - UNFIT: never.
    - OTHER: what is
      left.

    Attributes:
        patience: how long
            it waits, in `seconds`.
    """

    patience: float = 2.0


class Silent(Behavior):
    least: float = 0.5


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder whose rule has the name of the package's own, and is another."""
    cells = dict([folders.cell_of({}, (10,))])
    return folders.new_store(tmp_path_factory.mktemp("explain") / "sweep", cells).folder


def test_it_is_explained_by_its_own_words(folder):
    told = explain(Records(folder, rule=Strict()))
    assert (told.name, told.known) == ("Strict", True)
    assert told.first == "Judge as <code>Behavior</code>, but &lt;strictly&gt;."
    assert told.paragraphs == [["UNFIT: never.", "OTHER: what is left."]]
    meanings = {field.name: (field.value, field.meaning) for field in told.fields}
    assert meanings["patience"] == (2.0, "how long it waits, in <code>seconds</code>.")
    assert meanings["min_fit"][1].startswith("least fit, at most 1;")


def test_a_rule_without_words_has_none_of_another(folder):
    told = explain(Records(folder, rule=Silent()))
    assert (told.name, told.known, told.first, told.paragraphs) == ("Silent", True, "", [])


def test_a_rule_that_is_not_here_has_its_name_alone(folder):
    told = explain(Records(folder))
    assert (told.name, told.known, told.first, told.paragraphs) == ("Behavior", False, "", [])


def test_a_folder_keeps_the_words_of_a_users_own_rule(wells, tmp_path):
    records = bj.run(wells[:1], 8, tmp_path, rule=Strict(), lanes=8)
    told = explain(records)
    here = explain(Records(tmp_path, rule=Strict()))
    assert (told.known, told[2:]) == (False, here[2:])
    assert told.first == "Judge as <code>Behavior</code>, but &lt;strictly&gt;."
    page = report_files(records)["report.html"].decode()
    assert "but &lt;strictly&gt;." in page
    assert "not known here" in page  # its thresholds
    assert "words are not known here" not in page


@pytest.mark.parametrize("words", ["a\x1b[31mb", "a" * 10_001])
def test_words_that_no_manifest_can_hold_are_left_out(words):
    class Odd(Behavior):
        __doc__ = words

    assert words_of(Odd()) is None


@pytest.mark.parametrize("kind", [Behavior, Searches])
def test_every_field_of_the_packages_own_rules_is_explained(folder, kind):
    told = explain(Records(folder, rule=kind()))
    assert all(field.meaning for field in told.fields)


class Brittle(Behavior):
    """Stand no other value of a threshold."""

    exact: float = 0.5

    def judge(self, evidence):
        if self.exact != 0.5:
            raise RuntimeError(f"no {self.exact:g}")
        return super().judge(evidence)


def test_a_rule_that_fails_at_other_thresholds_is_told_and_costs_no_report(wells_folder):
    near = Records(wells_folder, rule=Brittle()).near_thresholds().filter(threshold="exact")
    assert near["reason"].to_list() == ["RuntimeError: no 0.49"] * 2
    assert near.select("near", "share").null_count().row(0) == (2, 2)
    assert near["trials"].to_list() == [100, 100]
    others = Records(wells_folder, rule=Brittle()).near_thresholds()
    others = others.filter(pl.col("threshold") != "exact")
    same = Records(wells_folder, rule=Behavior()).near_thresholds()
    assert others.equals(same)
    page = report_files(Records(wells_folder, rule=Brittle()))["report.html"].decode()
    said = "how many seeds lie near Brittle.exact = 0.5 is not known, since the rule fails"
    assert page.count(said) == 1
    assert "RuntimeError: no 0.49" in page
