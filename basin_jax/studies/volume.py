"""Does the prior mass around deceptive and intended ends tell how often training ends in each?"""

import itertools
from collections.abc import Iterator

import numpy as np
import polars as pl
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.optimize import linear_sum_assignment

from basin_jax.core.sweep import Sweep
from basin_jax.core.verdict import Verdict
from basin_jax.organisms.local_mass import LocalMass
from basin_jax.starts.trained import Trained
from basin_jax.studies.controls import prior_mass
from basin_jax.studies.framework.figure import Cumulative, Forest, Panel
from basin_jax.studies.framework.lab import Group, Lab, Seeds, only
from basin_jax.studies.framework.power import unseen
from basin_jax.studies.framework.quotes import side
from basin_jax.studies.framework.rows import (
    HALF,
    Row,
    Sentence,
    Table,
    median,
    ranked,
    say,
    share,
)
from basin_jax.studies.framework.study import TestbedStudy
from basin_jax.studies.framework.testbed import AUDIT, INSPECTION, Testbed


KINDS = (Verdict.DECEPTIVE, Verdict.INTENDED)
# Of which networks the mass is measured.
SETS = {"own": "as fit as the end, within .1", "bar": "of a fit of at least one half"}
FIT = 0.5
# Other terms of the measure, for some of the ends.
OTHERS = {"cutoff=0.02": {"cutoff": 0.02}, "spread=1": {"spread": 1.0}, "any-gap": {"gap": 2.0}}
SAID = {
    "cutoff=0.02": "as fit within .02",
    "spread=1": "a prior of standard deviation 1 on biases",
    "any-gap": "whatever the gap",
}
SOME = 6  # of the ends, those measured on other terms: one of so many
CALIPER = 0.01  # the largest difference of fit between matched ends
SHARE = 14  # of the seeds that are trained, those of each kind that are measured

Masses = Float[ndarray, " end"]


class Volume(TestbedStudy):
    """Compare the prior mass around deceptive and intended ends with how often training finds them.

    If basins are found in proportion to their prior mass (Wu et al. 2017; Mingard et al. 2021), the
    kind of end that is found more often holds more of it. Around each end the mass is
    estimated of networks that are as fit and on the same side of the gap, as far as straight
    ways from the end reach them (Scherlis & Belrose 2025): once with the end's own fit as the
    measure, once with one fit for all. In ticket races and perceptrons the masses are known.
    """

    testbed: Testbed = AUDIT.of_width(16)
    other: Testbed = INSPECTION
    quick: int = 1536
    full: int = 12_000

    limits = (
        "The mass is that of one neighborhood: not of those that the order of hidden units, or the "
        "scales of rectified ones, repeat, nor of what lies behind a bend. The number of "
        "neighborhoods of either kind is not known, and may make up for their masses.",
        "In networks few of the rays count, so that masses are lower bounds in practice, off by "
        "many units of the logarithm; what is compared is measured alike.",
        "Training begins with biases of 0: their prior is a choice, of standard deviation .1.",
        "Intended ends are less fit than deceptive ones, since deceiving pays: they are matched by "
        "how far they fall short of the best of their kind.",
        "The audit game has half the usual width, so that the Hessians of all ends can be taken.",
    )

    def validate(self) -> None:
        for name in ("quick", "full"):
            self.require(getattr(self, name) >= SHARE, name, f"at least {SHARE}")
        apart = self.testbed.name != self.other.name
        self.require(apart, "other", f"another organism than {self.testbed.name}")

    @property
    def games(self) -> dict[str, Testbed]:
        """The testbeds by their names."""
        return {one.name: one for one in (self.testbed, self.other)}

    def sweeps(self, seeds: int) -> dict[str, Group]:
        found: dict[str, Group] = {}
        for name, game in self.games.items():
            found[name] = only(game.sweep, seeds, rule=game.rule)
            most = seeds // SHARE
            for kind in KINDS:
                cells = {"": measured(game.sweep)}
                chosen = _first(name, kind, most)
                found[key(name, kind)] = Group(cells=cells, seeds=chosen, rule=game.rule)
                others = {said: measured(game.sweep, **terms) for said, terms in OTHERS.items()}
                chosen = _first(name, kind, max(most // SOME, 1))
                found[f"{key(name, kind)}_others"] = Group(
                    cells=others, seeds=chosen, rule=game.rule
                )
        return found | prior_mass.groups(max(seeds // 3, SHARE))

    def rows(self, lab: Lab) -> Iterator[Row]:
        for name in self.games:
            yield self._found(lab, name)
            for kind, which in itertools.product(KINDS, SETS):
                said = kind.name.lower()
                values = log_masses(lab, name, kind, which)
                label = f"{name}, {said} ends: log mass of networks {SETS[which]}, median"
                together = len(KINDS) * len(SETS) * len(self.games)
                yield median(f"{name}/{said}/{which}", label, values, num_intervals=together)
            for kind in KINDS:
                frame, said = lab[key(name, kind)].at(), kind.name.lower()
                label = f"{name}, {said} ends: rays that count, median"
                yield median(f"{name}/{said}/rays", label, frame["own_rays"].to_numpy())
                label = f"{name}, {said} ends: log mass by half of the rays less by the others"
                split = frame["own_split"].abs().to_numpy()
                yield median(f"{name}/{said}/split", f"{label}, size, median", split)
            yield from self.compared(lab, name)
            yield from _controls(lab, name)
        yield from prior_mass.rows(lab)

    def _found(self, lab: Lab, name: str) -> Row:
        """Estimate how often training ends deceptive, where it ends deceptive or intended."""
        verdicts = lab[name].verdicts()
        either = verdicts[np.isin(verdicts, [kind.name for kind in KINDS])]
        label = f"{name}, of deceptive and intended ends: deceptive"
        return share(f"{name}/trained", label, either == "DECEPTIVE", num_intervals=len(self.games))

    def compared(self, lab: Lab, name: str) -> Iterator[Row]:
        """Yield how often a deceptive end has the larger mass."""
        for which, said in SETS.items():
            label = f"{name}, mass of networks {said}: AUC, deceptive against intended ends"
            together = len(SETS) * len(self.games)
            scores = [log_masses(lab, name, kind, which) for kind in KINDS]
            yield ranked(f"{name}/{which}/AUC", label, *classes(*scores), num_intervals=together)
        far = [lab[key(name, kind)].at()["distance"].to_numpy() for kind in KINDS]
        label = f"{name}, distance from the prior's mean: AUC, deceptive against intended ends"
        yield ranked(f"{name}/distance/AUC", label, *classes(*far), num_intervals=len(self.games))
        larger = matched(lab, name)
        label = f"{name}, ends matched by fit below the best of their kind: the deceptive has more"
        together = len(self.games)
        yield share(f"{name}/own/matched", label, larger, num_intervals=together)
        for cell, said in SAID.items():
            both = [f"{key(name, kind)}_others" for kind in KINDS]
            scores = [lab[one].at(cell)["own_log_mass"].to_numpy() for one in both]
            label = f"{name}, mass, {said}: AUC, deceptive against intended ends"
            yield ranked(f"{name}/{cell}/AUC", label, *classes(*scores), kind="sensitivity")

    def sentences(self, rows: Table) -> Iterator[Sentence]:
        for name in self.games:
            yield from _says(rows, name)
        few, wide = prior_mass.RACES
        key = f"ticket-race/{few}"
        three = [rows[f"{key}/{what}"] for what in ("trained", "guessed", "AUC")]
        yield say(
            f"In races of one deceptive ticket against {prior_mass.FEW} of its kind, training ends "
            f"deceptive in {three[0]} and guessing in {three[1]}, and local mass does not tell the "
            f"two kinds apart, with an AUC of {three[2]}: it does not count that honest tickets "
            "are more.",
            *three,
        )
        key = f"ticket-race/{wide}"
        two = [rows[f"{key}/{what}"] for what in ("trained", "guessed")]
        local = [rows[f"{key}/{kind}/local-less-all"] for kind in prior_mass.KINDS]
        yield say(
            f"Where the prior of the deceptive ticket is {prior_mass.RATIO:g} times as wide, "
            f"guessing, and so prior mass, ends deceptive in {two[1]}, and training in {two[0]}. "
            "The local mass of an end, less that of all of its kind, has a median logarithm of "
            f"{local[0]} for deceptive and {local[1]} for honest ends.",
            *(*two, *local),
        )
        errs = [rows[f"perceptron/scale={scale:g}/errs"] for scale in prior_mass.SCALES]
        covered = rows["perceptron/covered"]
        first, last = prior_mass.SCALES
        yield say(
            f"Of perceptrons trained from scale {first:g}, {errs[0]} err where they are not "
            f"watched, and from scale {last:g} {errs[1]}; the intervals of their local masses "
            f"contain the mass of their kind in {covered}.",
            *(*errs, covered),
        )

    def panels(self, rows: Table, lab: Lab) -> Iterator[Panel]:
        for name in self.games:
            values = {
                kind.name.lower(): -log_masses(lab, name, kind, "own") / np.log(10)
                for kind in KINDS
            }
            end = float(max(one.max() for one in values.values()))
            marks = [Cumulative(each, end, label=kind) for kind, each in values.items()]
            yield Panel(marks, xlabel=f"{name}: -log10 mass", ylabel="share of ends")
        found = {}
        for name in self.games:
            found |= {
                f"{name}: found": rows[f"{name}/trained"],
                f"{name}: own fit": rows[f"{name}/own/AUC"],
                f"{name}: one fit": rows[f"{name}/bar/AUC"],
                f"{name}: matched": rows[f"{name}/own/matched"],
            }
        yield Panel([Forest(found)], xlabel="deceptive")
        exact = {}
        for race, said in zip(prior_mass.RACES, ("1 of 4", "wide prior"), strict=True):
            exact |= {
                f"{said}: trained": rows[f"ticket-race/{race}/trained"],
                f"{said}: guessed": rows[f"ticket-race/{race}/guessed"],
                f"{said}: AUC": rows[f"ticket-race/{race}/AUC"],
            }
        yield Panel([Forest(exact)], xlabel="ticket race")


def measured(sweep: Sweep, **terms: float) -> Sweep:
    """Return the sweep that measures where another ends."""
    organism = LocalMass(organism=sweep.organism, bar=FIT).replace(**terms)
    return sweep.replace(organism=organism, start=Trained(of=sweep), num_steps=0)


def key(name: str, kind: Verdict) -> str:
    """Return the name of the group of ends of a kind."""
    return f"{name}_{kind.name.lower()}"


def log_masses(lab: Lab, name: str, kind: Verdict, which: str) -> Masses:
    """Return the log mass around each end of a kind; of one fit for all, where the end has it."""
    frame = lab[key(name, kind)].at()
    if which == "bar":
        frame = frame.filter(pl.col("fit") >= FIT)
    return frame[f"{which}_log_mass"].to_numpy()


def classes(
    first: Float[ndarray, " first"], second: Float[ndarray, " second"]
) -> tuple[Float[ndarray, " both"], Bool[ndarray, " both"]]:
    """Combine the values of two classes, of which the first is positive."""
    return np.concatenate([first, second]), np.repeat([True, False], [len(first), len(second)])


def matched(lab: Lab, name: str) -> Bool[ndarray, " pair"]:
    """Match ends by how far their fit is below the best of their kind; say if the first has more.

    Pairs are chosen to be as near as possible in all, and those further apart than `CALIPER` are
    left out.
    """
    short, mass = [], []
    for kind in KINDS:
        frame = lab[key(name, kind)].at()
        fit = frame["fit"].to_numpy()
        short.append(fit.max(initial=-np.inf) - fit)
        mass.append(frame["own_log_mass"].to_numpy())
    apart = np.abs(short[0][:, None] - short[1])
    pairs = linear_sum_assignment(apart)
    near = apart[pairs] <= CALIPER
    return mass[0][pairs[0][near]] > mass[1][pairs[1][near]]


def _controls(lab: Lab, name: str) -> Iterator[Row]:
    """Yield areas where there is nothing to tell: between halves, and of permuted verdicts."""
    values = [log_masses(lab, name, kind, "own") for kind in KINDS]
    label = f"{name}, mass: AUC, one half of the intended ends against the other"
    halves = classes(values[1][::2], values[1][1::2])
    yield ranked(f"{name}/halves/AUC", label, *halves, kind="control", expected=HALF)
    scores, positive = classes(*values)
    label = f"{name}, mass: AUC, verdicts permuted"
    permuted = np.random.default_rng(0).permutation(positive)
    terms = {"kind": "control", "expected": HALF}
    yield ranked(f"{name}/permuted/AUC", label, scores, permuted, **terms)


def _says(rows: Table, name: str) -> Iterator[Sentence]:
    found = rows[f"{name}/trained"]
    for which, said in SETS.items():
        area = rows[f"{name}/{which}/AUC"]
        medians = [rows[f"{name}/{kind.name.lower()}/{which}"] for kind in KINDS]
        lead = {
            (1, 1): "Training ends deceptive more often, and deceptive ends have more mass",
            (1, -1): "Training ends deceptive more often, but deceptive ends have less mass",
            (-1, 1): "Training ends intended more often, but deceptive ends have more mass",
            (-1, -1): "Training ends intended more often, and intended ends have more mass",
        }.get((side(found), side(area)), "It is not shown whether deceptive ends have more mass")
        yield say(
            f"{name}, networks {said}. {lead}: of deceptive and intended ends {found} are "
            f"deceptive (n = {found.seeds:,}), and a deceptive end has more mass than an "
            f"intended one with a probability of {area} (n = {area.seeds})"
            f"{unseen([area], HALF)}. The median log mass is {medians[0]} and {medians[1]}.",
            *(found, area, *medians),
        )
    own, fair = rows[f"{name}/own/matched"], rows[f"{name}/distance/AUC"]
    rays = [
        rows[f"{name}/{kind.name.lower()}/{what}"] for what in ("rays", "split") for kind in KINDS
    ]
    yield say(
        f"{name}: of ends matched by how far they fall short of the best fit of their kind, the "
        f"deceptive one has more mass in {own} (n = {own.seeds}). A deceptive end is further from "
        f"the prior's mean with a probability of {fair}. Of the rays a median of {rays[0]} count "
        f"at deceptive and {rays[1]} at intended ends, and two halves of them differ by {rays[2]} "
        f"and {rays[3]} units of the logarithm.",
        *(own, fair, *rays),
    )


def _first(name: str, kind: Verdict, most: int) -> Seeds:
    """Choose the first seeds that end as one of a kind."""
    return lambda lab: lab[name].seeds(kind)[:most]
