"""Every sentence of a study names the rows it rests on, and changes when one of them does."""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import polars as pl
import pytest
from study_tables import RESULTS, below, committed, far, finding, moved, number, unsupported

from basin_jax.methods import Gradient
from basin_jax.networks.mlp import MLP
from basin_jax.organisms import Audit
from basin_jax.starts import Implant
from basin_jax.studies import buffer, competence, definitions, ensemble, initialization
from basin_jax.studies.commitment import Commitment
from basin_jax.studies.framework.page import html, markdown, write_finding
from basin_jax.studies.framework.rows import Finding, Row, say
from basin_jax.studies.framework.study import Lab
from basin_jax.studies.framework.testbed import Subject
from basin_jax.studies.gradient_hacking import ASKED, GROUPS, PUT_BACK, GradientHacking
from basin_jax.studies.hijack import BELOW_IT, CRITICAL_GAP, Hijack, _says
from basin_jax.studies.preservation import Preservation
from basin_jax.studies.registry import STUDIES
from basin_jax.studies.simulators import PROMPTS, Simulators
from basin_jax.studies.synthesis import Rows, listed, synthesis, told
from basin_jax.studies.tickets import PAIRS, STARTS, Tickets
from basin_jax.studies.way_back import WayBack


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
    assert "| 3 | a<b | 0 [0, 0.100] | 30 | 0.5 | NO |" in text
    assert "- Half < all. [row 2]" in text
    assert text.index("**Measured**") < text.index("**Null control**")
    page = html([found], tmp_path, made="Made today.")
    assert "a&lt;b" in page
    assert "Half &lt; all." in page
    assert "Half &lt; all. [row 2]" in page
    assert page.count('class="failed"') == 1
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


def inputs_of(*names: str, around: float = 0.2) -> list[Row]:
    """Rows of these names: their numbers differ, and are clear of 0 and of 1 but not of .2."""
    places = [around + 0.011 * (place + 1) for place in range(len(names))]
    return [
        number(kind="measured", what=what, value=x, low=x - 0.15, high=x + 0.15, seeds=400 + n)
        for n, (what, x) in enumerate(zip(names, places, strict=True))
    ]


def row_of(what: str, around: float = 0.2) -> Row:
    return inputs_of(what, around=around)[0]


def unclear(*names: str) -> list[Row]:
    return [replace(one, low=-0.1) for one in inputs_of(*names)]


WAY, TICKETS, GH = WayBack(), Tickets(keeps=(0.5,), early=(0.0, 0.1)), GradientHacking()
DRIFTS = {group: 0.5 if group == ASKED else 2.0 for group in GROUPS}


def beside(who: str) -> dict[str, dict[int, Row]]:
    """Rows of how often drifts are larger than in each other group: clear of one half."""
    others = [group for group in GROUPS if group != ASKED]
    return {g: {n: row_of(f"{who}, {n} steps, than in {g}") for n in GH.lengths} for g in others}


RATES = {
    f"bias {bias}": tuple(
        {prompt: row_of(f"bias {bias}, {when}: lies {prompt}", at) for prompt in PROMPTS}
        for when, at in (("before", 0.2), ("after", 0.5))
    )
    for bias in (0, -2)
}
SHIFTS = [
    *(buffer._shock("deceptive", way) for way in (*buffer.PHRASES, "the least of these")),
    *(buffer._shock("intended", "margin"), buffer._kick("deceptive"), buffer._kick("intended")),
    buffer.EDGE,
]
# What says the sentences of each study, and rows in the place of what it measures.
SAYING: dict[str, tuple[Callable[..., Any], list[Any]]] = {
    "initialization": (
        initialization._says,
        [
            (inputs_of("scale 1, before: deceptive", "scale 2, before: deceptive"), []),
            (inputs_of("scale 1, after"), inputs_of("MLP 8-8, after", around=0.4)),
            inputs_of("scale 2, less scale 1", "MLP 32, less MLP 8-8", around=0.5),
            inputs_of("scale 1, after: partial", "scale 2, after: partial"),
            row_of("perceptron guessed: errs", 0.7),
            inputs_of("trained from scale 1: errs", "trained from scale 2: errs", around=0.6),
        ],
    ),
    "preservation": (
        Preservation()._says,
        [
            inputs_of("SGD: deceptive", *(f"{name}: deceptive" for name in "abc")),
            inputs_of("SGD: partial", "a: partial"),
            {(0, 1): row_of("a: less under SGD", 0.5), (0, 2): unclear("b: less under SGD")[0]},
        ],
    ),
    "hijack": (
        _says,
        [
            "difficulty 2",
            inputs_of("difficulty 2, dose 0: deceptive"),
            row_of("difficulty 2, dose", 0.6),
            [row_of("in the least quarter", 0.0), row_of("in the most quarter", 0.8)],
            inputs_of("gap", "below", "90th percentile", around=0.4),
            [row_of("dose 0: rate", 0.8), row_of("dose 0.25: rate", 0.3)],
        ],
    ),
    "way_back": (
        WAY._says,
        [
            [inputs_of("strength 1, 100 steps"), inputs_of("strength 1, 1600 steps", around=0.5)],
            row_of("never", 0.6),
            tuple([inputs_of(*[f"oversight {s:g}, {w}" for s in WAY.strengths]) for w in "abc"]),
            dict(zip("ab", inputs_of("spell a", "spell b", around=0.7), strict=True)),
            {"b": unclear("spell b, less a")[0]},
            inputs_of("top", "none again", around=0.75),
        ],
    ),
    "buffer": (
        buffer.Buffer()._says,
        [
            {"fresh": {"random": inputs_of("fresh, push of 1, random: deceptive")}},
            {"fresh": {"random": unclear("fresh, push of 1, random, less not pushed")}},
            {what: row_of(what, 0.2 + n / 20) for n, what in enumerate(SHIFTS)},
        ],
    ),
    "commitment": (
        Commitment()._says,
        [
            [0, 100],
            row_of("strangers"),
            inputs_of("apart from step 0", "apart from step 100", around=0.75),
            inputs_of("apart from step 0, less others", "apart from step 100, less others"),
            row_of("probability above 0.9", 0.6),
            inputs_of("between", "orders", "another", around=0.3),
            inputs_of(*[f"push of 1 at step {n}" for n in (0, 100, 400)], around=0.1),
        ],
    ),
    "tickets": (
        TICKETS._says,
        [
            dict(
                zip(
                    [(start, 0.5) for start in STARTS],
                    inputs_of(*[f"{start}, 0.5 kept" for start in STARTS]),
                    strict=True,
                )
            ),
            {("ticket", 0.5): row_of("intended parents, 0.5 kept", 0.5)},
            unclear(*[f"{a} less {b}, 0.5 kept" for a, b in PAIRS]),
            inputs_of("before training, 0.5 kept", "AUC of the gap, 0.5 kept", around=0.6),
            {"gap": inputs_of("gap at step 0", "gap at step 200", around=0.4)},
        ],
    ),
    "ensemble": (
        lambda wins, full, linear, wider, kappas, walks, beyond, same: [
            *ensemble._says(wins, full, linear, wider),
            *ensemble._readings(kappas),
            ensemble._says_of_walks(full[0], walks, beyond, same),
        ],
        [
            inputs_of("race, 1 against 1: wins", "race, 1 against 3: wins"),
            inputs_of("Audit 8: deceptive", around=0.4),
            inputs_of("Audit 8, linearized: deceptive", around=0.6),
            unclear("wider")[0],
            {"Audit 8": row_of("Audit 8: kappa", 0.7), "other": unclear("other: kappa")[0]},
            inputs_of("temperature of 1: deceptive", around=0.75),
            unclear("temperature of 1, less descent"),
            inputs_of("as at half", around=0.5),
        ],
    ),
    "definitions": (
        definitions._says,
        [
            {f"Audit, {r}": tuple(inputs_of(f"{r} before", f"{r} after")) for r in "ab"},
            {
                f"Audit, {r}": tuple(inputs_of(f"{r} same", f"{r} kappa", around=x))
                for r, x in (("a", 0.3), ("b", 0.6))
            },
            {"Audit, b": row_of("b of a", 0.6)},
            inputs_of("x: search, of all", around=0.7),
        ],
    ),
    "competence": (
        lambda half, measured, change, then: [
            competence._says("Here", "steps", (10, 30), measured, half, change),
            competence._told(half, then),
        ],
        [
            number(kind="measured", what="turn", value=30.0, low=10.0, high=30.0),
            inputs_of("10 steps", "30 steps"),
            row_of("30 steps, less at 10 steps", 0.4),
            inputs_of("competence", "fit", "intended", "median", around=0.5),
        ],
    ),
    "simulators": (
        Simulators(biases=(0.0, -2.0))._says,
        [
            RATES,
            inputs_of("share before", "share after", around=0.6),
            row_of("change", 0.7),
            number(0.45, kind="known", what="Bayes"),
            {"polish 0": tuple(unclear("polish 0, before", "polish 0, after"))},
            {"bias 0": tuple(inputs_of("bias 0: deceptive", "partial", "0.5 apart", around=0.8))},
        ],
    ),
    "gradient_hacking": (
        GH._says,
        [
            {g: {n: row_of(f"{g}, {n} steps", x) for n in GH.lengths} for g, x in DRIFTS.items()},
            beside("ends"),
            ({n: row_of(f"still, {n} steps") for n in GH.lengths}, beside("still")),
            {w: {n: row_of(f"{w}, {n} steps", 0.5) for n in GH.lengths} for w in PUT_BACK},
            {n: row_of(f"{n} steps, 0.05 of parameters", 0.7) for n in GH.lengths},
        ],
    ),
}


@pytest.mark.parametrize("study", STUDIES)
def test_every_sentence_moves_with_each_row_that_it_rests_on(study):
    says, given = SAYING[study]
    said = says(*given)
    rows = {one.what: one for one in jax.tree.leaves(given) if isinstance(one, Row)}
    assert all(each.rests_on for each in said)
    for place, each in enumerate(said):
        assert not unsupported(each.text, [rows[what] for what in each.rests_on])
        for what in each.rests_on:
            shifts = (replaced(given, rows[what], by) for by in (moved, far, below))
            texts = [[one.text for one in says(*other)] for other in shifts]
            assert any(each.text not in text for text in texts), (place, what)


def replaced(given: list[Any], one: Row, by: Callable[[Row], Row]) -> list[Any]:
    return jax.tree.map(lambda leaf: by(one) if leaf is one else leaf, given)


def test_every_sentence_of_the_committed_page_rests_on_its_rows():
    text = RESULTS.read_text(encoding="utf-8")
    for one in committed():
        assert said_of(one, text), one.name
        for said, rows in said_of(one, text):
            assert not unsupported(said, rows), said
            for moving in rows:
                others = [moved(each) if each is moving else each for each in rows]
                # Where other rows have all of its numbers, the sentence may rest on these.
                alone = unsupported(str(moving), [each for each in rows if each is not moving])
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
    doses = pl.DataFrame({"low": [0.5] * 4 + [1.0] * 16, "high": [0.5] * 4 + [1.0] * 16})
    at, below, most = study._at_half(lab, base, doses, "difficulty 2")
    # The whole circuit tells that it is watched, and no fresh network does as much.
    assert at.low <= at.value <= at.high
    assert at.value > 0.5 > most.value > 0
    assert below.value == 1
    none = pl.DataFrame({"low": [0.5] * 4 + [math.inf] * 16, "high": [0.5] * 4 + [math.inf] * 16})
    at, below, _ = study._at_half(lab, base, none, "difficulty 2")
    assert (at.value, at.high, below.value) == (math.inf, math.inf, 1)


def test_the_intervals_that_readme_quotes_from_studies_are_those_of_rows():
    readme = (RESULTS.parents[1] / "README.md").read_text(encoding="utf-8")
    text = readme[readme.index("The organisms differ") : readme.index("## Your own organism")]
    quoted = re.findall(r"(\.\d+) \[(\.?\d[\d.]*), (\.?\d[\d.]*)\]", " ".join(text.split()))
    assert len(quoted) == 3
    measured = [row for one in committed() for row in one.rows]
    for numbers in quoted:
        told = [float(number) for number in numbers]
        assert any(
            [round(each, 3) for each in (row.value, row.low, row.high)] == told for row in measured
        ), numbers
