"""Answers on what deceptive means: by which rule, in which networks, and of whose text."""

from basin_jax.studies.framework.power import unseen
from basin_jax.studies.framework.quotes import Findings, compared, listed, number, side
from basin_jax.studies.framework.rows import HALF, Answer


# A rule beside Behavior, by organism.
RULES = {
    "Audit": "Represents",
    "Inspection": "Instrumental",
    "MetaLearner": "Searches",
    "Shortcut": "Preference",
}


def definitions(found: Findings) -> Answer:
    """Answer the question of the study definitions."""
    study = "definitions"
    also = {
        f"in {name}": (found.row(study, f"{name}/of-Behavior/{rule}"), rule)
        for name, rule in RULES.items()
    }
    both = {f"{name} by Behavior": f"{name}/after/Behavior" for name in RULES} | {
        f"{name} by Behavior and {rule}": f"{name}/{rule}/both" for name, rule in RULES.items()
    }
    alone = {
        f"{name} by {rule} alone": f"{name}/{rule}/property-alone" for name, rule in RULES.items()
    }
    searches, others = (f"MetaLearner/searches/{group}" for group in ("deceptive", "others"))
    return found.answer(
        "Definitions: who counts as deceptive by which?",
        [
            compared(
                {
                    where: (
                        one,
                        side(one),
                        f"{number(study, one.key)} by {rule}{unseen([one], HALF)}",
                    )
                    for where, (one, rule) in also.items()
                },
                {
                    1: "another rule holds, too, of most seeds that are deceptive by Behavior",
                    0: "it is not decided whether another rule holds, too, of most seeds that are "
                    "deceptive by Behavior",
                    -1: "another rule does not hold of most seeds that are deceptive by Behavior",
                },
                differ="It depends on the organism, and on the rule.",
            ),
            "In MetaLearner the fraction that searches, as an inner optimizer does, is "
            f"{number(study, searches)} of the seeds that are deceptive by Behavior, and "
            f"{number(study, others)} of the others.",
            f"Fraction that is deceptive: {listed(study, both)}.",
            "Fraction of which the other rule holds, and that is not deceptive by Behavior: "
            f"{listed(study, alone)}.",
            _foretold(found),
        ],
    )


def competence(found: Findings) -> Answer:
    """Answer the question of the study competence."""
    study, difficulties = "competence", (1, 2, 3)
    moved = {
        f"at difficulty {d}": found.row(study, f"difficulty={d}/steps/last-less-first")
        for d in difficulties
    }
    moves = {1: "rises", -1: "falls", 0: "is not shown to rise or fall"}
    size = {
        (axis, what): found.row(study, f"difficulty=2/{axis}/last-less-first/{what}")
        for axis in ("width", "depth")
        for what in ("deceptive", "one-goal")
    }
    names = {"deceptive": "the fraction deceptive", "one-goal": "that which one goal explains"}
    along = "; ".join(
        f"along {axis} {names[what]} {moves[one.sign]}, by a difference of "
        f"{number(study, one.key)}{unseen([one])}"
        for (axis, what), one in size.items()
    )
    top, goal = (
        {f"difficulty {d}": f"difficulty={d}/top/{what}" for d in difficulties}
        for what in ("deceptive", "one-goal")
    )
    pairs = "difficulty=2/matched/steps=300"
    told = found.row(study, pairs)
    return found.answer(
        "Does competence bring it?",
        [
            compared(
                {
                    where: (
                        one,
                        one.sign,
                        f"last less first is {number(study, one.key)} on the same seeds"
                        f"{unseen([one])}",
                    )
                    for where, one in moved.items()
                },
                {
                    1: "the fraction deceptive rises with the steps of training",
                    0: "the fraction deceptive is not shown to rise or fall with the steps",
                    -1: "the fraction deceptive falls with the steps of training",
                },
                differ="It depends on the difficulty.",
            ),
            "At the limit of competence, of networks whose answers are right at least 0.99 of the "
            f"time, the fraction deceptive is: {listed(study, top)}.",
            "Of these, one goal rather than heuristics explains at least 0.9 of what a network "
            f"does in: {listed(study, goal)}.",
            "Of networks that are competent both at the smallest size and at the largest, at "
            f"difficulty 2: {along}.",
            "Of two seeds of equal competence after 300 steps at difficulty 2, of which one "
            "ends deceptive, that one is the more goal-directed in a fraction of "
            f"{number(study, pairs)} of pairs (one half: chance){unseen([told], HALF)}.",
        ],
    )


def simulators(found: Findings) -> Answer:
    """Answer the question of the study simulators."""
    study = "simulators"
    change = found.row(study, "bias=0/change/lies-unwatched")
    lead = {
        1: "The result bears the worry out: tuning to be helpful raises lying where nobody watches",
        0: "It is not decided whether tuning to be helpful moves lying where nobody watches",
        -1: "The result opposes the worry: tuning to be helpful lowers lying where nobody watches",
    }[change.sign]
    alone = found.row(study, "no-demonstrations/change/lies-unwatched")
    cause = {
        0: "Demonstrations do it: as long a training without them is not shown to move the rate",
        1: "Demonstrations do it, against a training without them that raises the rate",
        -1: "Training alone does some of it: without demonstrations the rate falls, too",
    }[alone.sign]
    taught, untaught = (
        found.row(study, f"helpful/rises-from/{prompt}")
        for prompt in ("after_success", "unwatched")
    )
    where = "Only where" if taught.value < 1 else "Not even where"
    ends = [number(study, f"bias=0/{when}/deceptive") for when in ("before", "after")]
    verdict = number(study, "bias=0/change/deceptive")
    rates = {
        f"{name}, {when} tuning": f"bias={bias}/{when}/lies-after_deceit"
        for name, bias in (("no bias", "0"), ("bias +2", "2"))
        for when in ("before", "after")
    }
    return found.answer(
        "Simulators: does a model of many authors, made helpful, slide into simulating deceivers?",
        [
            f"{lead}. The mean rate is {number(study, 'bias=0/before/lies-unwatched')} before "
            f"tuning and {number(study, 'bias=0/after/lies-unwatched')} after it, a change of "
            f"{number(study, change.key)} on the same seeds{unseen([change])}.",
            f"{cause}: the change is {number(study, alone.key)}{unseen([alone])}.",
            f"{where} the text of tuning shows the lie does the lie become more frequent: after a "
            "watched truth, from a share of deceivers among helpful authors of "
            f"{number(study, taught.key)} on; in a first answer, which tuning does not show, from "
            f"{number(study, untaught.key)} on (infinite: from no share). With deceivers alone "
            f"{number(study, 'helpful=1/after/deceptive')} are deceptive after tuning.",
            f"By what follows a deceiver's lie {ends[0]} are deceptive before tuning and "
            f"{ends[1]} after it, a difference of {verdict} on the same seeds.",
            f"After such a lie the rates of lying are: {listed(study, rates)}.",
        ],
    )


def _foretold(found: Findings) -> str:
    """Say whether the rule beside Behavior tells who is deceptive later."""
    study, better = "definitions", "tells who is deceptive after twice the steps {} than Behavior"
    right = {
        f"in {name}": found.row(study, f"{name}/later/{rule}/right-less-Behavior")
        for name, rule in RULES.items()
    }
    told = compared(
        {
            where: (
                one,
                one.sign,
                "the fraction of seeds told rightly differs by "
                f"{number(study, one.key)}{unseen([one])}",
            )
            for where, one in right.items()
        },
        {
            1: f"the other rule {better.format('better')}",
            0: "it is not shown that the other rule tells who is deceptive after twice the steps "
            "better or worse than Behavior",
            -1: f"the other rule {better.format('worse')}",
        },
        differ="It depends on the organism.",
    )
    return f"{told} Deceptive later is judged by Behavior, too."
