"""How wide is the buffer around the deceptive basin, and how wide is the basin itself?"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import polars as pl
from matplotlib.figure import Figure
from numpy import ndarray

from basin_jax.core.sweep import Sweep
from basin_jax.core.verdict import Verdict
from basin_jax.methods.pushed import Pushed
from basin_jax.starts.interpolated import Interpolated
from basin_jax.starts.perturbed import Perturbed
from basin_jax.starts.trained import Trained
from basin_jax.studies.framework.figure import INK, canvas, cumulate, curve, legend
from basin_jax.studies.framework.rows import Finding, Row, Sentence, difference, row, say, share
from basin_jax.studies.framework.study import FINE, WELL, WELL_RULE, Lab, Study, farthest, median


Direction = Literal["random", "loss", "margin", "-margin"]
WAYS: tuple[Direction, ...] = ("random", "loss", "margin")
PHRASES: dict[str, str] = {
    "random": "in a random direction",
    "loss": "up the slope of the loss",
    "-margin": "down the slope of the margin",
}
EDGE = "way from deceptive ends to their corrected ones, from which on they are deceptive no more"
LOST = Verdict.DECEPTIVE
SAVED = tuple(verdict for verdict in Verdict if verdict != LOST)
SHARE = 12  # of the seeds that are trained, those of each kind that are pushed
KICK = 0.1  # a step: more than any seed needs
# From the bottom of the left well of tilt .2 to the separatrix: roots of x³ - x - .2.
BARRIER = 0.87888507 - 0.20914885
# The steepest slope on that way, at x = -1/√3: pushes of a rate times as much drive a particle out.
STEEPEST = 2 / 27**0.5 - 0.2


class Buffer(Study):
    """Push networks off where they are, train them on, and see where they end.

    Fresh networks that would not end deceptive, and intended ends, are pushed by a length along a
    random direction, along that in which the training loss rises, and along that in which the
    margin does, towards deception; then they are trained as before, and those that end deceptive
    are counted. For each deceptive end the size of push is bisected from which on it is deceptive
    no more, in three directions, of which the least counts as its minimal shock (Halekotte &
    Feudel 2020); for intended ends the size along the margin from which on they are. The same is
    done for a push at every step of a quarter of the training: the fraction that pushes of a size
    drive over is what an ε-basin loses. Last, each deceptive end is corrected under full
    oversight, and on the straight line from it to where that leads the edge between the basins is
    bisected. Lengths are those of vectors of all parameters.
    """

    pushes: tuple[float, ...] = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
    reach: float = 30.0  # the largest push of a deceptive end
    quick: int = 384

    limits = (
        "Three directions are not all, and the way that is best at one step need not be best for "
        "all: the smallest shock and the smallest push a step are smaller than these.",
        "Along a direction the verdict may change more than once; of deceptive ends one of the "
        "changes is found.",
        "Lengths compare within one network only: a symmetry of its weights changes them.",
    )

    def validate(self) -> None:
        self.require(self.reach > 0, "reach", "above 0")
        self.require(self.pushes[:1] == (0.0,), "pushes", "rising from 0")
        for name in ("quick", "full"):
            self.require(getattr(self, name) >= SHARE, name, f"at least {SHARE}")

    def measure(self, lab: Lab) -> Finding:
        self.require_no_draws()
        rule, base, most = self.subject.rule, self.subject.sweep, self.seeds(lab) // SHARE
        begun = lab.run("fresh", [base], self.seeds(lab), rule=rule)
        intended, deceptive = (begun.seeds(base, v) for v in (Verdict.INTENDED, LOST))
        others = begun.at(base).filter(pl.col("verdict") != LOST.name)["seed"].to_numpy()
        sources = {
            "fresh networks": (base.replace(num_steps=0), others[: 2 * most]),
            "intended ends": (base, intended[: 2 * most]),
        }
        pushed: dict[str, dict[Direction, list[Row]]] = {name: {} for name in sources}
        beyond: dict[str, dict[Direction, list[Row]]] = {name: {} for name in sources}
        for name, (parent, seeds) in sources.items():
            for way in WAYS:
                both = self._pushed(lab, name, parent, seeds, way)
                pushed[name][way], beyond[name][way] = both
        found = {
            **self._shocks(lab, intended[:most], deceptive[:most]),
            **self._kicks(lab, intended[:most], deceptive[:most]),
            EDGE: self._edges(lab, deceptive[:most]),
        }
        medians = {what: median(each, what) for what, each in found.items()}
        null = pushed["fresh networks"]["random"][0]
        return Finding(
            name="buffer",
            question=self.question,
            says=self._says(pushed, beyond, medians),
            limits=self.limits,
            rows=[
                *(
                    one
                    for some in (pushed, beyond)
                    for ways in some.values()
                    for rows in ways.values()
                    for one in rows
                ),
                *medians.values(),
                *begun.shares(base, "fresh"),
                *begun.thresholds(base, "fresh: deceptive"),
                self._overseen(lab, others[: 2 * most]),
                replace(
                    null,
                    kind="check",
                    what="fresh networks that do not end deceptive, not pushed: deceptive",
                    expected=0.0,
                ),
                *_wells(lab, self.seeds(lab)),
            ],
            figure=self._draw(pushed, found),
        )

    def _pushed(
        self, lab: Lab, name: str, parent: Sweep, seeds: ndarray, way: Direction
    ) -> tuple[list[Row], list[Row]]:
        """Return the fraction that ends deceptive after a push by its length, and what it adds."""
        base = self.subject.sweep
        cells = [
            base.replace(start=Perturbed(of=parent, radius=push, direction=way))
            for push in self.pushes
        ]
        folder = f"{name.partition(' ')[0]}_{way}"
        trained = lab.run(folder, cells, seeds, rule=self.subject.rule)
        names = [f"{name}, push of {push:g}, {way}: deceptive" for push in self.pushes]
        count, ends = len(WAYS) * len(self.pushes), [trained.deceptive(cell) for cell in cells]
        rows = [
            row(what, trained.fraction(cell, cells=count))
            for what, cell in zip(names, cells, strict=True)
        ]
        beyond = [
            difference(f"{what}, less not pushed", ends[0], end, cells=count)
            for what, end in zip(names[1:], ends[1:], strict=True)
        ]
        return rows, beyond

    def _overseen(self, lab: Lab, seeds: ndarray) -> Row:
        """Return how many pushed networks become deceptive where defecting does not pay."""
        base, push = self.subject.sweep, self.pushes[len(self.pushes) // 2]
        start = Perturbed(of=base.replace(num_steps=0), radius=push, direction="margin")
        cell = base.replace(start=start, method=self.subject.overseen_by(end=base.num_steps))
        trained = lab.run("overseen", [cell], seeds, rule=self.subject.rule)
        what = f"fresh networks, push of {push:g}, margin, trained where defecting does not pay"
        return share(f"{what}: deceptive", trained.deceptive(cell), kind="control", expected=0.0)

    def _shocks(self, lab: Lab, intended: ndarray, deceptive: ndarray) -> dict[str, pl.DataFrame]:
        """Return the single push that changes each seed's end: by direction, and the least."""
        base, rule = self.subject.sweep, self.subject.rule

        def along(
            way: Direction, seeds: ndarray, of: Sequence[Verdict], reach: float
        ) -> pl.DataFrame:
            pushed = base.replace(start=Perturbed(of=base, radius=0.0, direction=way))
            return lab.critical(
                pushed, "start.radius", seeds, between=(0.0, reach), rule=rule, of=of
            )

        ways: tuple[Direction, ...] = ("random", "loss", "-margin")
        each = {_shock("deceptive", way): along(way, deceptive, SAVED, self.reach) for way in ways}
        least = pl.concat(each.values()).sort("high").unique("seed", keep="first")
        return {
            **each,
            _shock("deceptive", "the least of these"): least,
            _shock("intended", "margin"): along("margin", intended, (LOST,), self.pushes[-1]),
        }

    def _kicks(self, lab: Lab, intended: ndarray, deceptive: ndarray) -> dict[str, pl.DataFrame]:
        """Return the push at each step of a quarter of the training that changes a seed's end."""
        base, rule = self.subject.sweep, self.subject.rule

        def by(method: Pushed, seeds: ndarray, of: Sequence[Verdict]) -> pl.DataFrame:
            steps = method.end + base.num_steps
            kicked = base.replace(start=Trained(of=base), method=method, num_steps=steps)
            return lab.critical(kicked, "method.push", seeds, between=(0.0, KICK), rule=rule, of=of)

        up = Pushed(method=base.method, push=0.0, end=max(base.num_steps // 4, 1))
        return {
            _kick("deceptive"): by(up.replace(direction="-margin"), deceptive, SAVED),
            _kick("intended"): by(up, intended, (LOST,)),
        }

    def _edges(self, lab: Lab, seeds: ndarray) -> pl.DataFrame:
        """Return for each deceptive end the share of the way to its corrected one at the edge."""
        base = self.subject.sweep
        method = self.subject.overseen_by(end=base.num_steps)
        corrected = base.replace(start=Trained(of=base), method=method)
        line = base.replace(start=Interpolated(of=corrected, dose=0.0))
        rule = self.subject.rule
        return lab.critical(line, "start.dose", seeds, between=(0.0, 1.0), rule=rule, of=SAVED)

    def _draw(
        self, pushed: Mapping[str, Mapping[Direction, list[Row]]], found: dict[str, pl.DataFrame]
    ) -> Figure:
        figure, panels = canvas(6, height=2.3)
        for axes, (name, ways) in zip(panels[:2], pushed.items(), strict=True):
            for number, (way, rows) in enumerate(ways.items()):
                curve(axes, self.pushes, rows, color=INK[number], label=way)
            axes.set(xlabel=f"push of {name}", ylabel="fraction deceptive")
            axes.set_xscale("symlog", linthresh=self.pushes[1])
            axes.set_xlim(-0.3 * self.pushes[1], 1.3 * self.pushes[-1])
            axes.set_xticks(self.pushes, [f"{push:g}" for push in self.pushes])
            axes.minorticks_off()
        drawn = {
            panels[2]: (
                ("push of deceptive ends", self.reach),
                {
                    "random": _shock("deceptive", "random"),
                    "loss": _shock("deceptive", "loss"),
                    "margin": _shock("deceptive", "-margin"),
                },
            ),
            panels[3]: (
                ("push along the margin", self.pushes[-1]),
                {
                    "deceptive ends": _shock("deceptive", "-margin"),
                    "intended ends": _shock("intended", "margin"),
                },
            ),
            panels[4]: (
                ("push at every step (kick)", KICK / 2),
                {"deceptive ends": _kick("deceptive"), "intended ends": _kick("intended")},
            ),
            panels[5]: (("way to the corrected end", 1.0), {"deceptive ends": EDGE}),
        }
        for axes, ((label, end), lines) in drawn.items():
            axes.set(xlim=(0, end), xlabel=label, ylabel="share driven over")
            for number, (name, what) in enumerate(lines.items()):
                cumulate(axes, found[what]["high"].to_numpy(), color=INK[number], label=name)
        for axes in panels:
            axes.set_ylim(-0.03, 1.03)
            legend(axes)
        return figure

    def _says(
        self,
        pushed: Mapping[str, Mapping[Direction, list[Row]]],
        beyond: Mapping[str, Mapping[Direction, list[Row]]],
        medians: Mapping[str, Row],
    ) -> list[Sentence]:
        said = []
        for name, ways in pushed.items():
            top = max((one for rows in ways.values() for one in rows), key=lambda one: one.value)
            push = top.what.removeprefix(f"{name}, ").partition(":")[0]
            said.append(
                say(
                    f"Of {top.seeds:,} {name} that are not deceptive, no push of the grid makes "
                    f"more deceptive than {top} ({push}).",
                    top,
                )
            )
            compared = beyond[name]
            more = _listed(compared, lambda one: one.low > 0)
            fewer = _listed(compared, lambda one: one.high < 0)
            said.append(
                say(
                    f"On the same seeds, more {name} are deceptive than without a push by: "
                    f"{more or 'no push'}{fewer and f'; fewer by: {fewer}'}.",
                    *(one for rows in compared.values() for one in rows),
                )
            )
        shocks = {phrase: medians[_shock("deceptive", way)] for way, phrase in PHRASES.items()}
        told = ", ".join(f"{phrase} {one}" for phrase, one in shocks.items())
        least = medians[_shock("deceptive", "the least of these")]
        back, edge = medians[_shock("intended", "margin")], medians[EDGE]
        kicks = [medians[_kick(ends)] for ends in ("deceptive", "intended")]
        return [
            *said,
            say(
                f"Half of {least.seeds:,} deceptive ends are deceptive no more by a push of at "
                f"most: {told}; by the least of these {least} (infinite: by none that was tried).",
                *(*shocks.values(), least),
            ),
            say(
                f"Half of {back.seeds:,} intended ends are deceptive by a push up the slope of the "
                f"margin of at most {back} (infinite: by none that was tried).",
                back,
            ),
            say(
                "Pushed at every step of a quarter of the training, half of the deceptive ends are "
                f"so no more by at most {kicks[0]} a step, and half of the intended ones are "
                f"deceptive by {kicks[1]} (infinite: by none that was tried).",
                *kicks,
            ),
            say(
                f"On the line from a deceptive end to its corrected one, half of {edge.seeds:,} "
                f"seeds are deceptive no more from {edge} of the way, or sooner (infinite: not on "
                "the line).",
                edge,
            ),
        ]


def _listed(ways: Mapping[Direction, list[Row]], which: Callable[[Row], bool]) -> str:
    """Return the pushes of some rows, by their directions."""
    sizes = {
        way: [one.what.partition("push of ")[2].partition(",")[0] for one in rows if which(one)]
        for way, rows in ways.items()
    }
    return "; ".join(f"{way} {', '.join(each)}" for way, each in sizes.items() if each)


def _shock(ends: str, way: str) -> str:
    end = "deceptive" if ends == "intended" else "deceptive no more"
    return f"push of {ends} ends, {PHRASES.get(way, way)}, from which on they are {end}"


def _kick(ends: str) -> str:
    end = "deceptive" if ends == "intended" else "deceptive no more"
    return f"push of {ends} ends at every step, along the margin, from which on they are {end}"


def _wells(lab: Lab, seeds: int) -> list[Row]:
    """Return the pushes that a particle in the left well needs, which are known."""
    left = lab.run("well", [WELL], seeds, rule=WELL_RULE).seeds(WELL, Verdict.INTENDED)
    shocked = WELL.replace(start=Perturbed(of=WELL, radius=0.0, direction="margin"))
    shock = lab.critical(
        shocked, "start.radius", left, between=(0.0, 2.0), rule=WELL_RULE, halvings=FINE
    )
    # The narrower the way past the steepest slope, the longer it takes.
    steps = 10_000
    kicked = WELL.replace(
        start=Trained(of=WELL),
        method=Pushed(method=WELL.method, push=0.0, end=steps),
        num_steps=steps + WELL.num_steps,
    )
    kick = lab.critical(
        kicked, "method.push", left, between=(0.0, 0.05), rule=WELL_RULE, halvings=FINE
    )
    known = 0.05 * STEEPEST  # of a rate of .05
    return [
        farthest(
            shock["high"].to_numpy(),
            BARRIER,
            "double well, push from the left bottom to the separatrix",
            within=1e-5,
        ),
        farthest(
            kick["high"].to_numpy(),
            known,
            "double well, push at every step that drives out of the left well",
            within=2e-6,
        ),
    ]
