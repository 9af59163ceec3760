"""The synthesis: the argument's questions, answered from the rows of all studies."""

import re
from collections.abc import Iterable, Mapping, Sequence

from basin_jax.studies.ensemble import reading
from basin_jax.studies.framework.rows import Answer, Finding, Row, Sentence


# A study of another organism, too, has a name that ends in that.
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


_NAMED = re.compile(r"\{([^{|}]+) \| ([^{}]+)\}")  # as `number` has it


class Findings:
    """The rows of several studies, by the study's name and the row's key."""

    def __init__(self, findings: Sequence[Finding]):
        self._tables = {one.name: one.rows for one in findings}

    def __contains__(self, study: str) -> bool:
        return study in self._tables

    def row(self, study: str, key: str) -> Row:
        """Return a row.

        Raises:
            ValueError: where the study has none of that key.
        """
        if key not in self._tables[study]:
            raise ValueError(f"{study} has no row {key!r}; allowed: the keys of its table")
        return self._tables[study][key]

    def say(self, text: str) -> Sentence:
        """Write a sentence with the values of rows, each named by `number`.

        Raises:
            ValueError: where a study has no row of a key.
        """

        def written(named: re.Match[str]) -> str:
            one = self.row(*named.groups())
            return f"{one} (n = {one.seeds:,})"

        named = _NAMED.findall(text)
        keys = [f"{study}: {self.row(study, key).key}" for study, key in named]
        return Sentence(_NAMED.sub(written, text), tuple(dict.fromkeys(keys)))

    def answer(self, question: str, texts: Iterable[str]) -> Answer:
        """Combine a question with the sentences that answer it."""
        return Answer(question, [self.say(text) for text in texts])


def number(study: str, key: str) -> str:
    """Format a placeholder, for a row's value with its interval and seeds."""
    return f"{{{study} | {key}}}"


def listed(study: str, keys: Mapping[str, str]) -> str:
    """Format the placeholders of several rows as a list, each by its name."""
    return "; ".join(f"{name}: {number(study, key)}" for name, key in keys.items())


def synthesis(findings: Sequence[Finding]) -> list[Answer]:
    """Answer the questions of the argument from the findings of all studies."""
    found = Findings(findings)
    return [
        _first_step(found),
        _second_step(found),
        _threshold(found),
        _way_back(found),
        _reading(found),
        _competence(found),
        _hacking(found),
        found.answer("What do these organisms not tell about large models?", LIMITS),
    ]


def _first_step(found: Findings) -> Answer:
    scales = {f"scale {s}": f"scale={s}/after/deceptive" for s in ("0.25", "0.5", "1", "2", "4")}
    return found.answer(
        "Step 1: how often does a random initialization already lie in the deceptive basin?",
        [
            "Before any training, at the standard scale, "
            f"{number('initialization', 'scale=1/before/deceptive')} of networks are deceptive by "
            "the rule.",
            "After training, the fraction by the scale of the start: "
            f"{listed('initialization', scales)}.",
            "So the first step has two readings, and two numbers: whether the network deceives, "
            "and whether the training that follows makes it deceive.",
            "How much of the verdict the initialization decides is shown by children that have "
            "nothing else in common: two of them have the same verdict in "
            f"{number('commitment', 'fork=0/same')}, two unrelated seeds in "
            f"{number('commitment', 'unrelated/same')}.",
        ],
    )


def _second_step(found: Findings) -> Answer:
    names = ("SGD", "momentum .9", "gradient noise .1", "L2 of .001", "dropconnect .1", "Adam .01")
    audit = {n: f"{n}/deceptive" for n in (*names, "sharpness-aware", "adversarial")}
    texts = [
        "Fraction of good starts that become deceptive once oversight ends, by method: "
        f"{listed('preservation', audit)}."
    ]
    if (study := f"preservation_{OTHER}") in found:
        other = {name: f"{name}/deceptive" for name in ("SGD", "gradient noise .01", "Adam .01")}
        texts.append(f"In the {OTHER} game: {listed(study, other)}.")
    return found.answer("Step 2: which methods of training keep a good start good?", texts)


def _by_difficulty(end: str) -> dict[str, str]:
    return {f"difficulty {d}": f"difficulty={d}/{end}" for d in (1, 2, 3)}


def _threshold(found: Findings) -> Answer:
    return found.answer(
        "How much deceptiveness is needed before training is hijacked, and how does skill at lying "
        "move it?",
        [
            "Lying is harder the more cues tell that one is watched. Fraction that ends deceptive "
            f"without any implant: {listed('hijack', _by_difficulty('dose=0/deceptive'))}.",
            "Median dose at which a seed becomes deceptive (0: random units, 1: full circuit; "
            f"infinite: at none): {listed('hijack', _by_difficulty('critical-dose'))}.",
            "A dose is not an amount of deceptiveness. Gap (unwatched less watched) at the start, "
            f"at the median critical dose: {listed('hijack', _by_difficulty('critical-dose/gap'))}."
            " Fraction of fresh networks with a smaller gap: "
            f"{listed('hijack', _by_difficulty('critical-dose/fresh-below'))}.",
        ],
    )


def _way_back(found: Findings) -> Answer:
    lengths = {f"after {n} steps": f"strength=1/steps={n}/returns" for n in (100, 400, 1600)}
    times = ("never", "first quarter", "second quarter", "last quarter", "in turns")
    timed = {time: f"overseen={time}/deceptive" for time in times}
    texts = []
    for study, name in (("way_back", "audit"), (f"way_back_{OTHER}", OTHER)):
        if study in found:
            texts += [
                f"Fraction of deceptive seeds of the {name} game that return, by steps of full "
                f"oversight: {listed(study, lengths)}.",
                "Fraction of its fresh seeds that ends deceptive where a quarter of the training "
                f"is overseen, by when: {listed(study, timed)}.",
            ]
    return found.answer(
        "Is there a way back, and until when?",
        [
            *texts,
            "Two runs of the audit game with sampled rewards that share their first 100 steps have "
            f"the same verdict in {number('commitment', 'fork=100/same')}, two that share 400 in "
            f"{number('commitment', 'fork=400/same')}.",
        ],
    )


def _reading(found: Findings) -> Answer:
    kappas = {
        "the ticket race, by which ticket leads at the start": "ticket-race/leader/kappa",
        "the audit game, by its linearization from the same start": "Audit_32/linearized/kappa",
        "the inspection game, likewise": "Inspection_16/linearized/kappa",
    }
    readings = [
        f"In {name}, it is {reading(found.row('ensemble', key))}: {number('ensemble', key)}."
        for name, key in kappas.items()
    ]
    first, later = (f"fresh/discriminant/step={step}/AUC" for step in (0, 200))
    starts = {
        "its ticket": "ticket",
        "fresh weights in its places": "fresh weights",
        "its weights shuffled": "shuffled weights",
        "random places": "random places",
    }
    kept = {name: f"deceptive/{start}=0.2/deceptive" for name, start in starts.items()}
    return found.answer(
        "Is the deceptive circuit there at the start but outnumbered, or made by training?",
        [
            *readings,
            "The AUC for a deceptive end (one half: chance, one: certainty) of what an untrained "
            f"audit network does is {number('tickets', first)}; after 200 steps it is "
            f"{number('tickets', later)}.",
            "A fifth of a deceptive network's weights, trained alone from the start, ends "
            f"deceptive: {listed('tickets', kept)}.",
        ],
    )


def _competence(found: Findings) -> Answer:
    rules = {
        f"{name} by {rule}": f"{name}/after/{rule}"
        for name, rule in (
            ("Audit", "Behavior"),
            ("Audit", "Represents"),
            ("MetaLearner", "Behavior"),
            ("MetaLearner", "Searches"),
        )
    }
    tuned = {f"{when} tuning": f"bias=0/{when}/lies-unwatched" for when in ("before", "after")}
    return found.answer(
        "Does competence bring it, who counts as deceptive by which definition, and do simulators "
        "slide into it?",
        [
            "The first number of steps after which more than half of the audit game's seeds are "
            "deceptive (infinite: none): "
            f"{listed('competence', _by_difficulty('steps/crossing'))}.",
            f"Fraction that is deceptive, by rule: {listed('definitions', rules)}.",
            "Mean rate at which language models of text, half of whose authors deceive, lie where "
            "nobody watches, before and after they are tuned to be helpful where somebody does: "
            f"{listed('simulators', tuned)}.",
        ],
    )


def _hacking(found: Findings) -> Answer:
    groups = (
        "corrected deceptive ends, still deceptive",
        "uncorrected deceptive ends",
        "corrected intended ends",
    )
    drifts = {group: f"{group}/steps=50/drift-over-rest" for group in groups}
    back = {
        part: f"corrected deceptive ends/steps=400/{part}-put-back/deceptive"
        for part in ("nothing", "carriers", "a random set")
    }
    return found.answer(
        "Do deceptive networks protect what carries their deception?",
        [
            "Drift of a network's carriers, the parameters that its margin depends on most, over "
            "50 steps, as a multiple of the drift of the rest (protection would be below one, and "
            f"below that of the others): {listed('gradient_hacking', drifts)}.",
            "Fraction that is deceptive at once after 400 steps of full oversight, by what is put "
            f"back: {listed('gradient_hacking', back)}.",
        ],
    )
