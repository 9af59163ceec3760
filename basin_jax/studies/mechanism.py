"""Answers on the mechanism: where deception comes from, what counts as it, and what holds it."""

from basin_jax.studies.controls.prior_mass import RATIO
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
    """Answer the questions on circuits, definitions, competence, modes, students and mass."""
    return [
        _tickets(found),
        _ensemble(found),
        _definitions(found),
        _competence(found),
        _emergence(found),
        _simulators(found),
        _hacking(found),
        _inheritance(found),
        _volume(found),
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
    return found.answer(
        "Tickets: is the deceptive circuit there at the start?",
        [
            f"{lead}. The fifth of a deceptive network's weights that is largest at its end, "
            "trained alone from the start, ends deceptive more often than fresh weights in its "
            f"places by {number(study, fresh.key)}{unseen([fresh])}, and more often than as many "
            f"random places by {number(study, random.key)}{unseen([random])}.",
            f"Fraction that ends deceptive, of a fifth of the weights: {listed(study, kept)}.",
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
    rules = {
        f"{name} by {rule}": f"{name}/after/{rule}"
        for name, other in RULES.items()
        for rule in ("Behavior", other)
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
                    1: "most seeds deceptive by Behavior are so by another rule, too",
                    0: "it is not decided whether most seeds deceptive by Behavior are so by "
                    "another rule, too",
                    -1: "most seeds deceptive by Behavior are not so by another rule",
                },
            ),
            f"In MetaLearner {'no seed' if none else 'a seed'} that is deceptive by Behavior "
            f"searches, as an inner optimizer does, {number(study, searches)}; of the others "
            f"{number(study, others)} do.",
            f"Fraction that is deceptive, by rule: {listed(study, rules)}.",
        ],
    )


def _competence(found: Findings) -> Answer:
    study = "competence"
    moved = {
        f"at difficulty {d}": found.row(study, f"difficulty={d}/steps/last-less-first")
        for d in (1, 2, 3)
    }
    size = {
        axis: found.row(study, f"difficulty=1/{axis}/last-less-first")
        for axis in ("width", "depth")
    }
    moves = {1: "rises", -1: "falls", 0: "is not shown to rise or fall"}
    along = "; ".join(
        f"it {moves[one.sign]} along {axis}, by a difference of {number(study, one.key)}"
        f"{unseen([one])}"
        for axis, one in size.items()
    )
    crossings = {f"difficulty {d}": f"difficulty={d}/steps/crossing" for d in (1, 2, 3)}
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
            f"By the size of the network, at difficulty 1: {along}.",
            "The first number of steps after which more than half of the audit game's seeds are "
            f"deceptive (infinite: none): {listed(study, crossings)}.",
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


def _volume(found: Findings) -> Answer:
    study = "volume"
    trained = {game: found.row(study, f"{game}/trained") for game in ("Audit", "Inspection")}
    areas = {game: found.row(study, f"{game}/own/AUC") for game in trained}
    # 1 where the kind of end that is found more often has more mass.
    agree = {side(one) * side(areas[game]) for game, one in trained.items()}
    lead = "It is not decided in both games whether prior mass tells it"
    if agree == {1}:
        lead = "The kind of end that training finds more often has more prior mass around it"
    elif agree == {-1}:
        lead = "The kind of end that training finds more often has less prior mass around it"
    elif agree == {1, -1}:
        lead = (
            "Prior mass does not tell it: the kind of end that training finds more often has more "
            "of it around its ends in one game, and less in the other"
        )
    race = f"ticket-race/ratio={RATIO:g}"
    shares, larger = (
        {f"in {game}": one.key for game, one in rows.items()} for rows in (trained, areas)
    )
    return found.answer(
        "Does the prior mass around its ends tell how often training ends deceptive?",
        [
            f"{lead}. Of deceptive and intended ends, deceptive are: {listed(study, shares)}"
            f"{unseen(trained.values(), HALF)}.",
            "Probability that a deceptive end has more mass than an intended one: "
            f"{listed(study, larger)}{unseen(areas.values(), HALF)}.",
            "Where the prior of a deceptive ticket is wider than that of an honest one, "
            f"{number(study, f'{race}/guessed')} of the prior's mass is deceptive, and "
            f"{number(study, f'{race}/trained')} of the races that are trained.",
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
    rates = {
        f"{name}, {when} tuning": f"{cell}/{when}/lies-unwatched"
        for name, cell in (("bias +2", "bias=2"), ("bias -2", "bias=-2"))
        for when in ("before", "after")
    }
    return found.answer(
        "Simulators: does a model of many authors, made helpful, slide into simulating deceivers?",
        [
            f"{lead}. The mean rate is {number(study, 'bias=0/before/lies-unwatched')} before "
            f"tuning and {number(study, 'bias=0/after/lies-unwatched')} after it, a change of "
            f"{number(study, change.key)} on the same seeds{unseen([change])}.",
            f"{cause}: the change is {number(study, alone.key)}{unseen([alone])}.",
            f"With a bias on the logit of the lie the rates are: {listed(study, rates)}.",
            f"By the rule {number(study, 'bias=0/after/deceptive')} are deceptive after tuning, "
            "which no mixture of these authors could be.",
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
