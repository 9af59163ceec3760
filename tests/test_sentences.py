"""What studies say: every sentence names the rows it rests on, and moves where they do."""

import math
import re
from dataclasses import replace

import polars as pl
import pytest
from study_tables import RESULTS, committed, finding, moved, number, unsupported

from basin_jax import Audit, Gradient, Implant
from basin_jax.organisms.networks import MLP
from basin_jax.studies.every import STUDIES
from basin_jax.studies.finding import Finding, Row, say
from basin_jax.studies.hijack import BELOW_IT, CRITICAL_GAP, Hijack, _says
from basin_jax.studies.page import html, markdown, write_finding
from basin_jax.studies.study import Lab
from basin_jax.studies.subject import Subject
from basin_jax.studies.synthesis import Rows, listed, synthesis, told


TINY = Subject(
    organism=Audit(network=MLP(widths=(8, 8))),
    overseen=Audit(network=MLP(widths=(8, 8)), honeypot_rate=1.0),
    method=Gradient(learning_rate=0.3),
    num_steps=600,
)


def test_the_page_has_every_number_and_what_failed(tmp_path):
    found = finding(
        number(0.0), number(0.5, kind="known", what="a<b"), number(kind="measured", what="all")
    )
    write_finding(found, tmp_path)
    assert pl.read_csv(tmp_path / "way_back.csv")["holds"].to_list() == [None, True, False]
    text = markdown([found], made="Made today.")
    assert "## Way back" in text
    assert "| 3 | a<b | 0 [0, 0.100] | 30 | 0.5 | **no** |" in text
    assert "- Half < all. [row 2]" in text
    assert text.index("**Measured**") < text.index("**Null control**")
    page = html([found], tmp_path, made="Made today.")
    assert "a&lt;b" in page
    assert "Half &lt; all." in page
    assert "Half &lt; all. [row 2]" in page
    assert page.count("class=bad") == 1
    assert page.count("data:image/png;base64,") == 1


def test_a_number_that_no_row_has_is_found():
    row = number(kind="measured", what="push of 2", value=0.25, seeds=1234)
    assert not unsupported("Of 1,234 seeds 0.250 [0, 0.100] by 2.", [row])
    assert unsupported("Of 1,234 seeds 0.251 by 3.", [row]) == {0.251, 3}
    assert unsupported("Of 1,234 seeds 0.250.", [moved(row)]) == {1234, 0.25}


def test_the_argument_rests_on_rows_and_moves_with_each():
    found = [every_row_of(one) for one in committed()]
    answers = synthesis(found)
    named = {f"{one.name}: {row.what}": row for one in found for row in one.rows}
    for at, answer in enumerate(answers):
        for place, said in enumerate(answer.says):
            assert not unsupported(said.text, [named[name] for name in said.rests_on])
            for name in said.rests_on:
                study, _, what = name.partition(": ")
                other = [one if one.name != study else swapped(one, what) for one in found]
                assert synthesis(other)[at].says[place].text != said.text, name


def every_row_of(one: Finding) -> Finding:
    """A study's committed table with the rows that a sentence asks for since it was made."""
    if one.name != "hijack":
        return one
    there = {row.what for row in one.rows}
    asked = [f"difficulty {d}: {what}" for d in (1, 2, 3) for what in (CRITICAL_GAP, BELOW_IT)]
    new = [number(kind="measured", what=what, value=0.5) for what in asked if what not in there]
    return replace(one, rows=[*one.rows, *new])


def swapped(one: Finding, what: str) -> Finding:
    return replace(one, rows=[moved(row) if row.what == what else row for row in one.rows])


def test_the_committed_page_says_what_its_tables_do():
    found = committed()
    assert {one.name for one in found} > {*STUDIES}
    assert all(one.sound for one in found)
    text = RESULTS.read_text(encoding="utf-8")
    for answer in synthesis(found):
        assert answer.question in text
        for sentence in answer.says:
            assert f"- {sentence.text}" in text
    for one in found:
        for each in one.rows:
            assert f"| {each.what} | {each} | {each.seeds:,} |" in text


def test_a_row_that_is_not_there_is_named():
    rows = Rows([finding(number())])
    said = rows.say(f"All of {told('way_back', 'none')}.")
    assert said == ("All of 0 [0, 0.100] (n = 30).", ("way_back: none",))
    said = rows.say(listed("way_back", {"no": "nothing"}, "ne"))
    assert said == ("nothing: 0 [0, 0.100] (n = 30)", ("way_back: none",))
    with pytest.raises(ValueError, match="way_back has no row 'some'"):
        rows.say(told("way_back", "some"))


def said_of(one: Finding, text: str) -> list[tuple[str, list[Row]]]:
    """The sentences of a study in a page, each with the rows it names."""
    section = text.partition(f"## {one.name.replace('_', ' ').capitalize()}\n")[2]
    section = section.partition("\n![")[0]
    found = []
    for said, names in re.findall(r"^- (.*) \[rows? ([^\]]*)\]$", section, re.MULTILINE):
        runs = [[int(end) for end in run.split("-")] for run in names.split(", ")]
        places = [place for run in runs for place in range(run[0], run[-1] + 1)]
        found.append((said, [one.table[place - 1] for place in places]))
    return found


def test_a_sentence_of_a_page_names_its_rows_and_is_found_out_when_one_moves():
    few = number(kind="measured", what="few", value=0.25, low=0.125, high=0.5)
    many = number(kind="measured", what="many", value=0.75, low=0.625, high=0.875)
    told = say(f"{few} of {few.seeds} are few, and {many} are many.", few, many)
    found = replace(finding(number(0.0), many, few), says=[told])
    ((said, rows),) = said_of(found, markdown([found], made=""))
    assert said == told.text
    assert [one.what for one in rows] == ["many", "few"]
    assert not unsupported(said, rows)
    for one in rows:
        assert unsupported(said, [moved(one) if each is one else each for each in rows])
    assert unsupported(said, rows[:1])


def test_every_sentence_of_the_committed_page_rests_on_its_rows():
    text = RESULTS.read_text(encoding="utf-8")
    for one in committed():
        assert said_of(one, text), one.name
        for said, rows in said_of(one, text):
            assert not unsupported(said, rows), said
            for moving in rows:
                others = [moved(each) if each is moving else each for each in rows]
                alone = not any(str(moving) == str(each) for each in rows if each is not moving)
                assert str(moving) not in said or not alone or unsupported(said, others), said


def test_a_dose_is_told_as_a_gap_of_behavior_and_where_fresh_networks_have_it():
    name = "difficulty 2"

    def one(what, value, low, high):
        return number(kind="measured", what=f"{name}{what}", value=value, low=low, high=high)

    half = one(", critical dose of a seed: median", 0.627, 0.582, 0.648)
    measured, natural = [one(", dose 0: deceptive", 0.2, 0.1, 0.3)], [one("", 0.2, 0.1, 0.3)] * 2
    at_half = [
        one(f": {CRITICAL_GAP}", 0.062, 0.05, 0.07),
        one(f": {BELOW_IT}", 0.95, 0.9, 0.98),
        one(": gap at the start of fresh networks, 90th percentile", 0.043, 0.03, 0.05),
    ]
    rates = [
        one(", dose 0: unwatched at the start, mean", 0.345, 0.34, 0.35),
        one(", dose 0.25: unwatched at the start, mean", 0.233, 0.23, 0.24),
    ]
    said = _says(name, measured, half, natural, at_half, rates)
    told = " ".join(each.text for each in said)
    assert "is a gap of behavior, unwatched less watched, of 0.062 [0.05, 0.07], above" in told
    assert "that of 0.950 [0.900, 0.980] of fresh networks, whose 90th percentile is 0.043" in told
    assert "it is 0.345 [0.340, 0.350] unwatched without it, and 0.233" in told
    rows = {each.what: each for each in (half, *measured, *at_half, *rates)}
    for each in said:
        assert not unsupported(each.text, [rows[what] for what in each.rests_on])
    # Where the rate is not shown to fall nothing is said of it.
    assert "lowers" not in str(_says(name, measured, half, natural, at_half, rates[:1]))


def test_the_gap_of_the_critical_dose_is_that_of_networks_with_that_dose(tmp_path):
    study = Hijack(subject=TINY, difficulties=(2,), quick=40)
    lab = Lab(folder=tmp_path, quick=True)
    base = TINY.sweep.replace(start=Implant(dose=0.0))
    half = number(kind="measured", what="dose", value=1.0, low=0.5, high=1.0)
    at, below, most = study._at_half(lab, base, half, "difficulty 2")
    # The whole circuit tells that it is watched, and no fresh network does as much.
    assert at.low <= at.value <= at.high
    assert at.value > 0.5 > most.value > 0
    assert below.value == 1
    none = replace(half, value=math.inf, low=0.5, high=math.inf)
    at, below, _ = study._at_half(lab, base, none, "difficulty 2")
    assert (at.value, at.high, below.value) == (math.inf, math.inf, 1)
