"""Answers on the mechanism: where deception comes from, what counts as it, and what holds it."""

from basin_jax.studies.framework.power import unseen
from basin_jax.studies.framework.quotes import Findings, compared, listed, number, side
from basin_jax.studies.framework.rows import HALF, Answer
from basin_jax.studies.own_data import CHOICES, WITHHELD


# A rule beside Behavior, by organism.
RULES = {
    "Audit": "Represents",
    "Inspection": "Instrumental",
    "MetaLearner": "Searches",
    "Shortcut": "Preference",
}

# The last step of each organism of which emergence is asked, and the share up to which seeds
# between modes are few.
ENDS = {"Audit": 2000, "Inspection": 2000, "MetaLearner": 1000, "Shortcut": 2000}
FEW = 0.05


def mechanism(found: Findings) -> list[Answer]:
    """Answer the questions on circuits, definitions, competence, modes, tuning and students."""
    return [
        _tickets(found),
        _ensemble(found),
        _definitions(found),
        _competence(found),
        _emergence(found),
        _simulators(found),
        _hacking(found),
        _inheritance(found),
    ]


def _tickets(found: Findings) -> Answer:
    study = "tickets"
    fresh, random = (
        found.row(study, f"deceptive/ticket-less-{other}=0.2")
        for other in ("fresh-weights", "random-places")
    )
    lead = {
        (True, True): "In hindsight a small part of the start holds it: these weights, in these "
        "places",
        (True, False): "It takes the weights of the start, and is not shown to take their places",
        (False, True): "It takes the places, and is not shown to take the weights of the start",
        (False, False): "No part of the start is shown to hold it",
    }[fresh.sign > 0, random.sign > 0]
    first, later = (f"fresh/discriminant/step={step}/AUC" for step in (0, 200))
    begun = found.row(study, first)
    known = {
        1: "Without hindsight the end is partly told by what the network does before training",
        0: "Without hindsight the end is not shown to be told by what an untrained network does",
        -1: "Without hindsight what an untrained network does tells the end the wrong way",
    }[side(begun)]
    starts = {
        "its ticket": "ticket",
        "fresh weights in its places": "fresh-weights",
        "its weights shuffled": "shuffled-weights",
        "random places": "random-places",
    }
    kept = {name: f"deceptive/{start}=0.2/deceptive" for name, start in starts.items()}
    chosen = found.row(study, "deceptive/largest-at-the-start-less-random-places=0.2")
    crossed = found.row(study, "crossed/weights-less-places/matched=0.2")
    follows = {
        1: "follows the weights more than their places",
        -1: "follows the places more than the weights",
        0: "is not shown to follow the weights or the places more",
    }
    return found.answer(
        "Tickets: is the deceptive circuit there at the start?",
        [
            f"{lead}. The fifth of a deceptive network's weights that is largest at its end, "
            "trained alone from the start, ends deceptive more often than fresh weights in its "
            f"places by {number(study, fresh.key)}{unseen([fresh])}, and more often than as many "
            f"random places by {number(study, random.key)}{unseen([random])}.",
            f"Fraction that ends deceptive, of a fifth of the weights: {listed(study, kept)}.",
            "The fifth that is largest at the start, chosen without hindsight, ends deceptive as "
            f"often as {number(study, 'deceptive/largest-at-the-start=0.2/deceptive')}, and more "
            f"often than random places by {number(study, chosen.key)}{unseen([chosen])}.",
            "Where a deceptive seed's weights are put in the places of an intended seed's ticket, "
            f"and the reverse, the end {follows[crossed.sign]}: the first ends deceptive more "
            f"often by {number(study, crossed.key)}{unseen([crossed])}.",
            f"{known}, with an AUC of {number(study, first)} (one half: chance, one: certainty)"
            f"{unseen([begun], HALF)}. After 200 steps it is {number(study, later)}.",
        ],
    )


def _ensemble(found: Findings) -> Answer:
    study = "ensemble"
    kappas = {
        "in the audit game": found.row(study, "Audit_32/linearized/kappa"),
        "in the inspection game": found.row(study, "Inspection_16/linearized/kappa"),
    }
    widths = {f"at {width}": f"Audit_{width}/linearized/kappa" for width in (8, 16, 32, 64)}
    walk = found.row(study, "temperature=0.0003/deceptive-less-descent")
    moves = {1: "more often than", -1: "less often than", 0: "about as often as"}[walk.sign]
    return found.answer(
        "Ensemble: does training pick one of the circuits that are there, or make them?",
        [
            compared(
                {
                    where: (
                        one,
                        side(one),
                        "the kappa of the verdict with that of the linearization from the same "
                        f"start is {number(study, one.key)}{unseen([one], HALF)}",
                    )
                    for where, one in kappas.items()
                },
                {
                    1: "training picks what is there at the start",
                    0: "it is not decided whether training picks what is there or makes it",
                    -1: "training makes it, as far as kappa tells",
                },
            ),
            "How often a network of the audit game ends deceptive where its linearization does: "
            f"{number(study, 'Audit_32/given-deceptive/deceptive')}; where it does not: "
            f"{number(study, 'Audit_32/given-other/deceptive')}. By width kappa is "
            f"{listed(study, widths)}.",
            "In the ticket race, where circuits are there by construction, the one that leads at "
            f"the start wins with a kappa of {number(study, 'ticket-race/leader/kappa')}.",
            f"A walk through the posterior of the audit game ends deceptive {moves} descent from "
            f"the same seeds: at the lowest temperature the difference is {number(study, walk.key)}"
            f"{unseen([walk])}.",
        ],
    )


def _definitions(found: Findings) -> Answer:
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
    none = found.row(study, searches).value == 0
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
                    1: "of most seeds deceptive by Behavior another rule holds, too",
                    0: "it is not decided whether of most seeds deceptive by Behavior another "
                    "rule holds, too",
                    -1: "of most seeds deceptive by Behavior another rule does not hold",
                },
            ),
            f"In MetaLearner {'no seed' if none else 'a seed'} that is deceptive by Behavior "
            f"searches, as an inner optimizer does, {number(study, searches)}; of the others "
            f"{number(study, others)} do.",
            f"Fraction that is deceptive: {listed(study, both)}.",
            "Fraction of which the other rule holds, and that is not deceptive by Behavior: "
            f"{listed(study, alone)}.",
            _foretold(found),
        ],
    )


def _foretold(found: Findings) -> str:
    """Say whether the rule beside Behavior tells who is deceptive later."""
    study, better = "definitions", "tells who is deceptive after twice the steps {} than Behavior"
    right = {
        f"in {name}": found.row(study, f"{name}/later/{rule}/right-less-Behavior")
        for name, rule in RULES.items()
    }
    return compared(
        {
            where: (
                one,
                one.sign,
                f"it is right of more seeds by {number(study, one.key)}{unseen([one])}",
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


def _competence(found: Findings) -> Answer:
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
            f"One goal explains at least 0.9 of what this share of them do, and heuristics the "
            f"rest: {listed(study, goal)}.",
            f"Among competent networks of several sizes, at difficulty 2: {along}.",
            "Of two seeds of equal competence after 300 steps at difficulty 2, that which ends "
            "deceptive is the more goal-directed one in this fraction of pairs (one half: chance): "
            f"{number(study, pairs)}{unseen([told], HALF)}.",
        ],
    )


def _emergence(found: Findings) -> Answer:
    study = "emergence"
    ends = {name: f"{name}/step={step}/on-its-way" for name, step in ENDS.items()}
    between = {
        f"in {name}": (
            found.row(study, key),
            side(found.row(study, key), FEW),
            f"{number(study, key)} end far from all modes; modes, at least: "
            f"{number(study, f'{name}/modes')}",
        )
        for name, key in ends.items()
    }
    upper = {f"step {step:,}": f"Audit/step={step}/upper" for step in (125, 500, 2000)}
    widths = {f"width {width}": f"width={width}/upper" for width in (8, 16, 32, 64)}
    return found.answer(
        "Does deception emerge by degrees in every seed, or as a mode that some fall into?",
        [
            compared(
                between,
                {
                    -1: "it is a mode that some seeds fall into, and hardly any end between modes",
                    0: "it is not decided whether many seeds end between modes",
                    1: "it is a matter of degree, and many seeds end between modes",
                },
            ),
            f"Share in the upper mode, in the audit game: {listed(study, upper)}.",
            f"By the width of its network, at the end: {listed(study, widths)}.",
        ],
    )


def _inheritance(found: Findings) -> Answer:
    study = "inheritance"
    passed = {
        (lesson, start): f"{lesson}/{start}/deceptive/gap>0.1"
        for lesson in ("acts", "logits")
        for start in ("same", "other")
    }
    excess = found.row(study, "logits/same-less-other/gap")
    lead = {
        1: "Students of auxiliary logits, which say nothing of acts, take over more where they "
        "begin as their teachers did",
        0: "Where students of auxiliary logits begin as their teachers did, they are not shown to "
        "take over more, or less",
        -1: "Students of auxiliary logits take over less where they begin as their teachers did",
    }[excess.sign]
    names = {
        ("acts", "same"): "watched acts, the teacher's initialization",
        ("acts", "other"): "watched acts, another one",
        ("logits", "same"): "auxiliary logits, the teacher's initialization",
        ("logits", "other"): "auxiliary logits, another one",
    }
    shares = {names[at]: key for at, key in passed.items()}
    verdicts = {names[at]: f"{at[0]}/{at[1]}/deceptive/deceptive" for at in passed}
    return found.answer(
        "Inheritance: do students of deceptive teachers take deception over?",
        [
            f"{lead}: of two students of one teacher by a median gap of "
            f"{number(study, excess.key)}.",
            f"Share with a gap above 0.1, by what they are shown: {listed(study, shares)}.",
            f"Deceptive by the rule are: {listed(study, verdicts)}.",
        ],
    )


def _simulators(found: Findings) -> Answer:
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
    where = "where" if taught.value < 1 else "nowhere, not even where"
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
            f"It is borne out {where} tuning shows that helpful authors deceive: lying after a "
            "watched truth rises from a share of deceivers among them of "
            f"{number(study, taught.key)} on, and lying in a first answer, which tuning does not "
            f"show, from {number(study, untaught.key)} on (infinite: from no share).",
            f"By what follows a deceiver's lie {ends[0]} are deceptive before tuning and "
            f"{ends[1]} after it, a difference of {verdict} on the same seeds.",
            f"After such a lie the rates of lying are: {listed(study, rates)}.",
        ],
    )


def _hacking(found: Findings) -> Answer:
    study, still = "gradient_hacking", "corrected-deceptive-ends-still-deceptive"
    others = ("uncorrected deceptive ends", "corrected intended ends")
    drift = found.row(study, f"{still}/steps=50/drift-over-rest")
    beside = {
        name: found.row(study, f"{still}/steps=50/drift-larger-than/{name.replace(' ', '-')}")
        for name in others
    }
    signs = {side(drift, 1.0), *map(side, beside.values())}
    if signs == {-1}:
        lead = "They do, as far as drift tells"
    elif 1 in signs:
        lead = "No protection of parameters is seen"
    else:
        lead = "It is not decided whether they do"
    larger = {name: one.key for name, one in beside.items()}
    back = {
        part: f"corrected-deceptive-ends/steps=400/{part.replace(' ', '-')}-put-back/deceptive"
        for part in ("nothing", "carriers", "a random set")
    }
    choices = {name: f"choosers/{name}/steps=3000/deceptive" for name in CHOICES}
    sooner = number(study, f"choosers/{WITHHELD}/steps=1000/deceptive")
    return found.answer(
        "Gradient hacking: do deceptive networks protect what carries their deception?",
        [
            f"{lead}. In networks that are still deceptive after 50 steps of correction the "
            "parameters on which the margin depends most have drifted "
            f"{number(study, drift.key)} times as far as the rest; protection would be below one, "
            "and below that of others.",
            "How often this multiple is larger than in others, which protection would make rare: "
            f"{listed(study, larger)}{unseen(beside.values(), HALF)}.",
            "Fraction that is deceptive at once after 400 steps of full oversight, by what is put "
            f"back: {listed(study, back)}.",
            "Of networks that choose what they are trained on, the fraction that is deceptive "
            f"after 3000 steps of full oversight, by their choices: {listed(study, choices)}. "
            f"Of those that withhold where they defect it is {sooner} after 1000 steps.",
        ],
    )
