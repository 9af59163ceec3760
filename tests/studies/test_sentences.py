"""Every sentence of a study names the rows it rests on, and changes when one of them does."""

import itertools
import re
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from study_tables import (
    RESULTS,
    below,
    but_slow,
    committed,
    far,
    finding,
    moved,
    number,
    results,
    studies,
    unclear,
    unsupported,
)

from basin_jax.studies.framework import power
from basin_jax.studies.framework.page import html, markdown, write_finding
from basin_jax.studies.framework.quotes import Findings, compared, listed, side
from basin_jax.studies.framework.quotes import number as place
from basin_jax.studies.framework.rows import Finding, Row, Table
from basin_jax.studies.framework.study import Study
from basin_jax.studies.registry import STUDIES
from basin_jax.studies.synthesis import ANSWERS, synthesis


SHIFTS = (moved, far, below, unclear)


def with_row(one: Finding, row: Row) -> Finding:
    """The finding with another row of this key."""
    return replace(one, rows=Table((one.rows | {row.key: row}).values()))


def test_the_page_has_every_number_and_what_failed(tmp_path):
    found = finding(
        number(0.0),
        number(0.5, kind="known", key="less", label="a<b", num_intervals=4),
        number(kind="measured", key="all"),
    )
    write_finding(found, tmp_path)
    assert pl.read_csv(tmp_path / "way_back.csv")["holds"].to_list() == [None, True, False]
    text = markdown([found], made="Made today.")
    assert "## Way back" in text
    assert "| 3 | a<b | 0 [0, 0.100] | 4 | 30 | 0.5 | NO |" in text
    assert "- Half < all. [row 2]" in text
    assert text.index("**Measured**") < text.index("**Null control**")
    page = html([found], tmp_path, made="Made today.")
    assert "a&lt;b" in page
    assert "Half &lt; all." in page
    assert "Half &lt; all. [row 2]" in page
    assert page.count('class="failed"') == 1
    assert page.count("data:image/png;base64,") == 1
    assert '<a href="#way_back">Way back</a>' in page
    assert "95 % intervals. Controls and known answers, at 99.9 %: rows 2-3 (failed: 3)." in page
    # A column that no row needs is left out.
    assert "<th>at once</th>" in page
    without = html([finding(number(0.0))], tmp_path, made="Made today.")
    assert "<th>at once</th>" not in without
    assert "<th>expected</th>" in without


def test_a_number_that_no_row_has_is_found():
    row = number(kind="measured", label="push of 2", value=0.25, seeds=1234)
    assert not unsupported("Of 1,234 seeds 0.250 [0, 0.100] by 2.", [row])
    assert unsupported("Of 1,234 seeds 0.251 by 3.", [row]) == {0.251, 3}
    assert unsupported("Of 1,234 seeds 0.250.", [moved(row)]) == {1234, 0.25}


@pytest.mark.ci
def test_the_argument_rests_on_rows_and_moves_with_each(monkeypatch):
    found = {one.name: one for one in committed()}
    monkeypatch.setattr(power, "CHEAP", 0)  # what would have been seen, approximately
    for answer in ANSWERS:
        for which, said in enumerate(answer(Findings([*found.values()])).sentences):
            names = [name.split(": ") for name in said.rests_on]
            assert not unsupported(said.text, [found[study].rows[key] for study, key in names])
            for study, key in names:
                other = with_row(found[study], moved(found[study].rows[key]))
                others = Findings([*(found | {study: other}).values()])
                assert answer(others).sentences[which].text != said.text, key


def answered(question: str, *changed: tuple[str, str, Any]) -> str:
    """The answer to a question where rows, by study and key, are others."""
    found = {one.name: one for one in committed()}
    for study, key, change in changed:
        found[study] = with_row(found[study], change(found[study].rows[key]))
    (said,) = (one for one in synthesis([*found.values()]) if question in one.question)
    return said.sentences[0].text


@pytest.mark.parametrize(
    ("question", "rows", "said"),
    [
        ("Step 1", [], "No seed is deceptive before training, judged by behavior alone, 0 ["),
        ("Step 1", [("initialization", "scale=1/before/deceptive", moved)], "Some seeds are dec"),
        ("Simulators", [], "The result opposes the worry: "),
        ("Simulators", [("simulators", "bias=0/change/lies-unwatched", far)], "The result bears "),
        ("Simulators", [("simulators", "bias=0/change/lies-unwatched", unclear)], "It is not dec"),
        (
            "way back",
            [],
            "The organisms disagree. In the audit game full oversight for 0.8 of the ",
        ),
        (
            "way back",
            [
                ("way_back_inspection", "window=0.8/returns", far),
                ("way_back_inspection", "overseen=last-quarter-less-never", below),
            ],
            "In both organisms full oversight for 0.8 of the training brings most deceptive seed",
        ),
        (
            "Ensemble",
            [],
            "In both organisms the linearization at the start foretells the verdict, s",
        ),
        ("Ensemble", [("ensemble", "Audit_32/linearized/kappa", below)], "The organisms disagree."),
        (
            "Definitions",
            [],
            "It depends on the organism, and on the rule. In Audit another rule hold",
        ),
        ("fate", [], "Mostly the initialization decides"),
        ("fate", [("commitment", "variance/initializations", moved)], "The initialization alone d"),
        ("emerge", [], "It depends on the organism. In Audit, MetaLearner it is a mode that some"),
        (
            "emerge",
            [
                ("emergence", f"{name}/on-its-way", unclear)
                for name in (
                    *("Inspection/step=2000", "Shortcut/step=2000"),
                    *("AbsentSupervisor/step=6000", "Guarded/step=2000"),
                )
            ],
            "Only some decide.",
        ),
        ("Inheritance", [], "Students of auxiliary logits, which say nothing of acts, take over m"),
        (
            "Inheritance",
            [("inheritance", "logits/same-less-other/gap", unclear)],
            "Where students of auxiliary logits begin as their teachers did, they are not shown",
        ),
        ("buffer", [], "The buffer is wide in random directions and narrow in one."),
        ("Tickets", [("tickets", "deceptive/ticket-less-random-places=0.2", unclear)], "It takes "),
        ("hijacked", [("hijack", "difficulty=3/critical-dose", moved)], "A harder lie does not "),
        ("competence", [], "It depends on the difficulty. At difficulty 1 the fraction deceptive"),
        ("Gradient hacking", [], "No protection of parameters is seen."),
    ],
)
def test_an_answer_begins_with_what_the_intervals_decide(question, rows, said):
    assert answered(question, *rows).startswith(said)


def test_organisms_that_are_not_apart_do_not_disagree():
    claims = {1: "it rises", 0: "it is not shown to", -1: "it falls"}
    near, up, down = (
        (number(kind="measured", low=low, high=low + 1.0), sign, f"by {sign}")
        for low, sign in ((-0.5, 0), (0.4, 1), (-3.0, -1))
    )
    assert compared({"here": up}, claims) == "It rises. Here, by 1."
    assert compared({"a": up, "b": up, "c": up}, claims).startswith("In all of these it rises. A, ")
    assert compared({"here": near, "there": up}, claims).startswith("Only some decide. Here it is ")
    assert compared({"here": near, "there": down}, claims).endswith(" There it falls: by -1.")
    assert compared({"here": up, "there": down}, claims).startswith("The organisms disagree. Here ")
    first = Findings([]).answer("?", ["One.", compared({"here": up, "there": down}, claims)])
    assert [said.text.partition(".")[0] for said in first.sentences][1] == "One"
    assert [side(number(low=low, high=low + 0.2), 1.0) for low in (0.5, 0.9, 1.1)] == [-1, 0, 1]


def test_the_committed_pages_say_what_their_tables_do():
    found = [*committed()]
    assert {one.name for one in found} > {*STUDIES}
    assert all(one.sound for one in found)
    for name, page in results().pages(found).items():
        assert page == (RESULTS.parent / name).read_text(encoding="utf-8"), name


def test_a_row_that_is_not_there_is_named():
    found = Findings([finding(number())])
    said = found.say(f"All of {place('way_back', 'none')}.")
    assert said == ("All of 0 [0, 0.100] (n = 30).", ("way_back: none",))
    said = found.say(listed("way_back", {"nothing": "none"}))
    assert said == ("nothing: 0 [0, 0.100] (n = 30)", ("way_back: none",))
    with pytest.raises(ValueError, match="way_back has no row 'some'"):
        found.say(place("way_back", "some"))


def same(one: Row) -> Row:
    """The row as it is."""
    return one


def texts_on(study: Study, rows: Table, keys: tuple[str, ...]) -> list[str]:
    """The sentences that rest on some rows, and on no others."""
    return [one.text for one in study.sentences(rows) if one.rests_on == keys]


@pytest.mark.ci
@pytest.mark.parametrize("name", but_slow(studies(), "competence", "ensemble", "simulators"))
def test_every_sentence_moves_with_each_row_that_it_rests_on(name):
    study = studies()[name]
    found = next(one for one in committed() if one.name == name)
    for said in found.sentences:
        keys = said.rests_on
        assert keys
        assert not unsupported(said.text, [found.rows[key] for key in keys])
        for key in keys:
            # What one row alone does not change it may change beside others.
            for others, by in itertools.product((same, *SHIFTS), SHIFTS):
                rest = {each: others(found.rows[each]) for each in keys if each != key}
                before = Table((found.rows | rest).values())
                after = Table((before | {key: by(found.rows[key])}).values())
                if texts_on(study, before, keys) != texts_on(study, after, keys):
                    break
            else:
                raise AssertionError((said.text, key))


def test_the_intervals_that_readme_quotes_from_studies_are_those_of_rows():
    readme = (RESULTS.parents[1] / "README.md").read_text(encoding="utf-8")
    text = readme[readme.index("The organisms differ") : readme.index("## Your own organism")]
    quoted = re.findall(r"(\.\d+) \[(\.?\d[\d.]*), (\.?\d[\d.]*)\]", " ".join(text.split()))
    assert len(quoted) == 5
    measured = [row for one in committed() for row in one.rows.values()]
    for numbers in quoted:
        told = [float(number) for number in numbers]
        assert any(
            [round(each, 3) for each in (row.value, row.low, row.high)] == told for row in measured
        ), numbers
