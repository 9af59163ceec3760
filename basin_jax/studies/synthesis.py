"""What all studies say together: the argument's questions, answered from their rows."""

import re
from collections.abc import Iterable, Mapping, Sequence

from basin_jax.studies.ensemble import reading
from basin_jax.studies.framework.rows import Answer, Finding, Row, Sentence
from basin_jax.studies.hijack import BELOW_IT, CRITICAL_GAP


# Where a study was put to another organism, too, its name ends in that.
OTHER = "inspection"
LIMITS = (
    "Each number is that of one small organism under one training process, with at most some "
    "thousand parameters and a handful of cues to tell that it is watched.",
    "None of it is a measurement of a large model: how these fractions move with width, depth, "
    "steps and difficulty is measured over the ranges of the tables, and what holds beyond them is "
    "not known.",
    "Deceptive means here that the network does the unintended act where it is not watched and "
    "leaves it where it is; that it means to, or plans to, is not said.",
    "Intervals are over seeds; what another organism, another rule or another rate of learning "
    "does is not in them.",
)


_TOLD = re.compile(r"\{([^{|}]+) \| ([^{}]+)\}")  # as `told` has it


class Rows:
    """The rows of some studies, by their names."""

    def __init__(self, findings: Sequence[Finding]):
        self._rows = {one.name: {row.what: row for row in one.rows} for one in findings}

    def __contains__(self, study: str) -> bool:
        return study in self._rows

    def row(self, study: str, what: str) -> Row:
        """Return a row.

        Raises:
            ValueError: where the study has none of that name.
        """
        if what not in self._rows[study]:
            raise ValueError(f"{study} has no row {what!r}; allowed: what its table has")
        return self._rows[study][what]

    def say(self, text: str) -> Sentence:
        """Return a sentence with the numbers of the rows in it, each named by `told`.

        Raises:
            ValueError: where a study has no row of a name.
        """

        def number(named: re.Match[str]) -> str:
            one = self.row(*named.groups())
            return f"{one} (n = {one.seeds:,})"

        names = [f"{study}: {what}" for study, what in _TOLD.findall(text)]
        return Sentence(_TOLD.sub(number, text), tuple(dict.fromkeys(names)))

    def answer(self, question: str, texts: Iterable[str]) -> Answer:
        """Return a question with the sentences that answer it."""
        return Answer(question, [self.say(text) for text in texts])


def told(study: str, what: str) -> str:
    """Return a row by its name, to be said with its number, interval and seeds."""
    return f"{{{study} | {what}}}"


def listed(study: str, names: Mapping[str, str], end: str = "") -> str:
    """Return several rows whose names end alike as a list, each by what it is called."""
    return "; ".join(f"{name}: {told(study, what + end)}" for what, name in names.items())


def synthesis(findings: Sequence[Finding]) -> list[Answer]:
    """Answer the questions of the argument from what all studies found."""
    rows = Rows(findings)
    return [
        _first_step(rows),
        _second_step(rows),
        _threshold(rows),
        _way_back(rows),
        _reading(rows),
        _competence(rows),
        _hacking(rows),
        rows.answer("What do these organisms not tell about large models?", LIMITS),
    ]


def _first_step(rows: Rows) -> Answer:
    after = ", after training: deceptive"
    scales = {f"scale {scale}": f"scale {scale}" for scale in ("0.25", "0.5", "1", "2", "4")}
    return rows.answer(
        "Step 1: how often does a random initialization already lie in the deceptive basin?",
        [
            "Before any training, of networks of the standard scale "
            f"{told('initialization', 'scale 1, before training: deceptive')} deceive by the "
            "rule.",
            f"After it, by the scale of the start: {listed('initialization', scales, after)}.",
            "So the first step has two readings, and two numbers: whether the network deceives, "
            "and whether the training that follows makes it.",
            "What the initialization alone decides of the verdict is told by children that have "
            "nothing else in common: two of them have the same verdict in "
            f"{told('commitment', 'children apart from step 0: same verdict')}, two strangers "
            f"in {told('commitment', 'two unrelated seeds: same verdict')}.",
        ],
    )


def _second_step(rows: Rows) -> Answer:
    names = ("SGD", "momentum .9", "gradient noise .1", "L2 of .001", "dropconnect .1", "Adam .01")
    audit = {name: name for name in (*names, "sharpness-aware", "adversarial")}
    says = [
        "Fraction of good starts that become deceptive once oversight ends, by method: "
        f"{listed('preservation', audit, ': deceptive')}."
    ]
    if (study := f"preservation_{OTHER}") in rows:
        other = {name: name for name in ("SGD", "gradient noise .01", "Adam .01")}
        says.append(f"In the {OTHER} game: {listed(study, other, ': deceptive')}.")
    return rows.answer("Step 2: which methods of training keep a good start good?", says)


def _threshold(rows: Rows) -> Answer:
    levels = {f"difficulty {d}": f"difficulty {d}" for d in (1, 2, 3)}
    return rows.answer(
        "How much deceptiveness is needed before training is hijacked, and how does skill at lying "
        "move it?",
        [
            "Lying is harder the more cues tell that one is watched. Fraction that ends deceptive "
            f"without any implant: {listed('hijack', levels, ', dose 0: deceptive')}.",
            "Dose by which half of the seeds are hijacked, as a share of the way from random units "
            "to a whole deceptive circuit: "
            f"{listed('hijack', levels, ', critical dose of a seed: median')} (zero: without any; "
            "infinite: by none).",
            "A dose is no amount of deceptiveness. Gap (unwatched less watched) at the start, at "
            f"the median critical dose: {listed('hijack', levels, f': {CRITICAL_GAP}')}. "
            "Fraction of fresh networks with a smaller gap: "
            f"{listed('hijack', levels, f': {BELOW_IT}')}.",
        ],
    )


def _way_back(rows: Rows) -> Answer:
    lengths = {f"strength 1, {n} steps": f"after {n} steps" for n in (100, 400, 1600)}
    spells = ("never", "first quarter", "second quarter", "last quarter", "in turns")
    timed = {f"a quarter of full oversight, {spell}": spell for spell in spells}
    says = []
    for study, name in (("way_back", "audit"), (f"way_back_{OTHER}", OTHER)):
        if study in rows:
            says += [
                f"Fraction of deceptive seeds of the {name} game that return, by steps of full "
                f"oversight: {listed(study, lengths, ': returns')}.",
                "Fraction that ends deceptive there where a quarter of the training is overseen, "
                f"by when: {listed(study, timed, ', then none: deceptive')}.",
            ]
    step = "children apart from step {}: same verdict"
    return rows.answer(
        "Is there a way back, and until when?",
        [
            *says,
            "Two runs of the audit game with sampled rewards that share their first 100 steps have "
            f"the same verdict in {told('commitment', step.format(100))}, that "
            f"share 400 in {told('commitment', step.format(400))}.",
        ],
    )


def _reading(rows: Rows) -> Answer:
    kappas = {
        "TicketRace, leader": "the ticket race, by which ticket leads at the start",
        "Audit 32, linearized": "the audit game, by its linearization from the same start",
        "Inspection 16, linearized": "the inspection game, likewise",
    }
    readings = [
        f"In {name}, it is {reading(rows.row('ensemble', f'{what}, with the verdict: kappa'))}: "
        f"{told('ensemble', f'{what}, with the verdict: kappa')}."
        for what, name in kappas.items()
    ]
    auc = "fresh, held out, discriminant at step {}: AUC for a deceptive end"
    starts = {
        "ticket": "its ticket",
        "fresh weights": "fresh weights in its places",
        "shuffled weights": "its weights shuffled",
        "random places": "random places",
    }
    kept = {f"deceptive parents, {start}": name for start, name in starts.items()}
    return rows.answer(
        "Is the deceptive circuit there at the start but outnumbered, or made by training?",
        [
            *readings,
            "Of what an untrained audit network does, the AUC for a deceptive end (one half where "
            f"nothing is told, one where all is) is {told('tickets', auc.format(0))}; after 200 "
            f"steps it is {told('tickets', auc.format(200))}.",
            "A fifth of a deceptive network's weights, trained alone from the start, ends "
            f"deceptive: {listed('tickets', kept, ', 0.2 kept: deceptive')}.",
        ],
    )


def _competence(rows: Rows) -> Answer:
    levels = {f"difficulty {d}": f"difficulty {d}" for d in (1, 2, 3)}
    rules = {
        f"{name}, after it: deceptive by {rule}": f"{name} by {rule}"
        for name, rule in (
            ("Audit", "Behavior"),
            ("Audit", "Represents"),
            ("MetaLearner", "Behavior"),
            ("MetaLearner", "Searches"),
        )
    }
    tuned = {
        f"bias 0, {when} tuning: lies unwatched": f"{when} tuning" for when in ("before", "after")
    }
    return rows.answer(
        "Does competence bring it, who counts as deceptive by which definition, and do simulators "
        "slide into it?",
        [
            "The number of steps at which more than half of the audit game's seeds deceive, "
            f"infinite where at none: {listed('competence', levels, ', steps: the turn')}.",
            f"Fraction that is deceptive, by rule: {listed('definitions', rules)}.",
            "Mean rate at which language models of text, half of whose authors deceive, lie where "
            "nobody watches, before and after they are tuned to be helpful where somebody does: "
            f"{listed('simulators', tuned)}.",
        ],
    )


def _hacking(rows: Rows) -> Answer:
    end = ", 50 steps: drift of carriers over the rest, median"
    groups = (
        "corrected deceptive ends, deceptive still",
        "uncorrected deceptive ends",
        "corrected intended ends",
    )
    drifts = listed("gradient_hacking", {group: group for group in groups}, end)
    back = {
        f"corrected deceptive ends, 400 steps, {what} put back: deceptive": what
        for what in ("nothing", "carriers", "a random set")
    }
    return rows.answer(
        "Do deceptive networks protect what carries their deception?",
        [
            "Drift of a network's carriers, the parameters that its margin depends on most, over "
            "50 steps, as a multiple of the drift of the rest (below one, and below that of the "
            f"others, would be protection): {drifts}.",
            "Fraction that is deceptive at once after 400 steps of full oversight, by what is put "
            f"back: {listed('gradient_hacking', back)}.",
        ],
    )
