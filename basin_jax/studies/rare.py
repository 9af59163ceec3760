"""How rare can a deceptive basin be, and still be found?"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.stats import chi2

from basin_jax.core.sweep import Sweep, override
from basin_jax.core.verdict import Verdict
from basin_jax.methods.gradient import Gradient
from basin_jax.organisms.relu_xor import ReluXor
from basin_jax.rare.estimate import RareEstimate
from basin_jax.rare.scores import Mean, SettlingTime
from basin_jax.rare.subset import SubsetSimulation
from basin_jax.rules.behavior import Behavior
from basin_jax.studies.framework.figure import INK, Curve, Line, Panel
from basin_jax.studies.framework.lab import Group, Lab, Quest
from basin_jax.studies.framework.rows import Row, Sentence, Table, level_of, numbers, row, say
from basin_jax.studies.framework.study import TestbedStudy


# The factor within which a fraction is to be known, by an interval of 95 %.
FACTOR = 1.5
# The fraction from which on searching is not worth its trouble.
RARE = 0.05
# What the label of a search says against which a diagnostic speaks.
UNTRUSTED = "not to be trusted"
# Steps in which the units of ReluXor take sides, at a rate of .05 or so.
EARLY = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16)


class Known(NamedTuple):
    """Networks whose units all lean to one side, and how fast they are trained."""

    units: int
    rate: float


class Rare(TestbedStudy):
    """Search for basins that few seeds fall into, where their fraction is known and where not.

    XOR by K units fails if all lean to one side, with the probability 2^(1 - K): subset simulation
    has to find it, and its replications say what a given precision costs. Then the testbed's
    difficulty is raised until brute force sees nothing.
    """

    difficulties: tuple[int, ...] = (1, 2, 3, 4)
    searched: tuple[int, ...] = (3, 4)
    known: tuple[Known, ...] = (Known(8, 0.05), Known(12, 0.05), Known(16, 0.05), Known(20, 0.05))
    quick: int = 800
    full: int = 100_000

    limits = (
        "A search finds the ways into a basin that its score leads to, or that fresh particles "
        "have come upon; a rarer way that the score does not show stays hidden, and its "
        "replications may agree without it.",
        "Each level keeps the prior of the initialization; the order of the data is drawn anew "
        "with every move, which matters where training draws.",
    )

    def validate(self) -> None:
        super().validate()
        there = set(self.searched) <= set(self.difficulties)
        self.require(there, "searched", "difficulties of the study")

    def _cells(self) -> dict[int, Sweep]:
        """Return the testbed's sweep at each difficulty."""
        sweep = self.testbed.sweep
        return {d: override(sweep, "organism.difficulty", d) for d in self.difficulties}

    def sweeps(self, seeds: int) -> dict[str, Group]:
        cells = {f"difficulty={d}": cell for d, cell in self._cells().items()}
        return {"counted": Group(cells=cells, seeds=seeds, rule=self.testbed.rule)}

    def quests(self, seeds: int) -> dict[str, Quest]:
        particles = min(max(seeds // 8, 20), 500)
        chains, steps = SubsetSimulation(particles=particles), self.testbed.num_steps
        along = tuple(sorted({max(steps * tenth // 10, 1) for tenth in range(1, 10)}))
        audits = {
            f"difficulty={d}": Quest(
                sweep=self._cells()[d].replace(save_at=along),
                rule=self.testbed.rule,
                method=chains,
                score=Mean(),
            )
            for d in self.searched
        }
        units = {
            f"units={one.units}": Quest(
                sweep=Sweep(
                    organism=ReluXor(units=one.units, scale=0.01),
                    method=Gradient(learning_rate=one.rate),
                    num_steps=int(5 / one.rate),
                    save_at=EARLY,
                ),
                rule=Behavior(),
                of=Verdict.UNFIT,
                method=chains.replace(particles=min(5 * particles, 500)),
                score=SettlingTime(evidence="fit", harmful="below", threshold=0.5),
                level=level_of("known"),
            )
            for one in self.known
        }
        return audits | units

    def rows(self, lab: Lab) -> Iterator[Row]:
        count = len(self.difficulties)
        for d in self.difficulties:
            cell = f"difficulty={d}"
            found = lab["counted"].fraction(cell, num_intervals=count)
            yield row(f"{cell}/counted", f"difficulty {d}, counted: deceptive", found)
        for d in self.searched:
            found = lab.found[f"difficulty={d}"]
            yield _searched(
                f"difficulty={d}/searched", f"difficulty {d}, searched{_told(found)}", found
            )
            if found.trusted:
                yield from _costs(f"difficulty={d}", f"difficulty {d}", found)
        for one in self.known:
            found, key = lab.found[f"units={one.units}"], f"units={one.units}"
            label = f"XOR by {one.units} units: all lean to one side"
            known = {"kind": "known", "expected": 2.0 ** (1 - one.units)}
            yield _searched(f"{key}/searched", f"{label}{_told(found)}", found, **known)
            yield from _costs(key, f"XOR by {one.units} units", found)

    def sentences(self, rows: Table) -> Iterator[Sentence]:
        rarest = max(self.known)
        found = rows[f"units={rarest.units}/searched"]
        cost, saving = (rows[f"units={rarest.units}/{kind}"] for kind in ("cost", "saving"))
        yield say(
            f"XOR by {rarest.units} units fails with the probability "
            f"{2.0 ** (1 - rarest.units):.2g}; subset simulation finds {found}. To know it within "
            f"a factor {FACTOR:g} takes {cost} trainings; counting takes {saving} times as many.",
            *(found, cost, saving),
        )
        for d in self.searched:
            counted, searched = (rows[f"difficulty={d}/{how}"] for how in ("counted", "searched"))
            trust = f", which is {UNTRUSTED}" if UNTRUSTED in searched.label else ""
            yield say(
                f"At difficulty {d} the search finds that {searched} end deceptive{trust}; of "
                f"{counted.seeds:,} seeds that were counted, {counted} did.",
                *(searched, counted),
            )

    def panels(self, rows: Table, lab: Lab) -> Iterator[Panel]:
        places = {one.units: 2.0 ** (1 - one.units) for one in self.known}
        costs = {p: rows[f"units={units}/cost"] for units, p in places.items()}
        counting = {p: (1 - p) / p / (math.log(FACTOR) / 1.96) ** 2 for p in places.values()}
        others = {
            found.fraction: rows[f"difficulty={d}/cost"]
            for d in self.searched
            if (found := lab.found[f"difficulty={d}"]).trusted and 0 < found.fraction < RARE
        }
        marks = [
            Line(counting, label="by counting", color=INK[6]),
            Curve(costs, label="XOR, by subset simulation", color=INK[1]),
        ]
        if others:
            marks.append(Curve(others, label="the testbed", color=INK[0], linestyle=""))
        yield Panel(
            marks,
            xlabel="fraction",
            ylabel=f"trainings to ± a factor {FACTOR:g}",
            xscale="log",
            yscale="log",
        )
        counted = rows.along("difficulty=*/counted", self.difficulties)
        searched = rows.along("difficulty=*/searched", self.searched)
        doubted = any(UNTRUSTED in one.label for one in searched.values())
        label = f"searched, {UNTRUSTED}" if doubted else "searched"
        yield Panel(
            [
                Curve(counted, label="counted", color=INK[6], linestyle=""),
                Curve(searched, label=label, color=INK[0], linestyle=""),
            ],
            xlabel="difficulty of noticing oversight",
            ticks=self.difficulties,
            yscale="log",
        )


def _searched(key: str, label: str, found: RareEstimate, **terms) -> Row:
    bounds = (found.fraction, found.low, found.high)
    return numbers(key, label, bounds, found.trainings, **terms)


def _told(found: RareEstimate) -> str:
    return "" if found.trusted else f" ({UNTRUSTED}: {'; '.join(found.warnings)})"


def _costs(key: str, label: str, found: RareEstimate) -> Iterator[Row]:
    """Return the rows of the trainings that a precision takes, by the search and by counting."""
    fractions = np.array([r.fraction for r in found.replications if r.fraction])
    if len(fractions) < 2:
        return
    # An interval from 1/FACTOR to FACTOR times the fraction, by the spread of replications.
    wanted = math.log(FACTOR) / 1.96
    each, free = found.trainings / len(found.replications), len(fractions) - 1
    variance = float(np.log(fractions).var(ddof=1))
    spread = [variance, *(variance * free / chi2.ppf(q, free) for q in (0.975, 0.025))]
    cost, low, high = (_rounded(each * one / wanted**2) for one in spread)
    said = f"{label}: trainings of a search to within a factor {FACTOR:g}"
    yield numbers(f"{key}/cost", said, (cost, low, high), found.trainings)
    brute = _rounded((1 - found.fraction) / found.fraction / wanted**2)
    said = f"{label}: as many times more to count to within a factor {FACTOR:g}"
    saving = (_rounded(brute / cost), _rounded(brute / high), _rounded(brute / low))
    yield numbers(f"{key}/saving", said, saving, found.trainings)


def _rounded(value: float) -> float:
    """Round to the two digits that a spread of some replications carries."""
    return float(f"{value:.2g}")
