"""Once deceptive, is there a way back? And does oversight in time prevent what late cannot undo?"""

import polars as pl

from basin_jax.methods.correction import Correction
from basin_jax.methods.gradient import Gradient
from basin_jax.organisms.double_well import DoubleWell
from basin_jax.records import Records
from basin_jax.rules.behavior import Behavior
from basin_jax.spec import Sweep
from basin_jax.starts.trained import Trained
from basin_jax.statistics import basin_fraction, estimate
from basin_jax.studies.draw import INK, canvas, curve, forest, legend
from basin_jax.studies.finding import Finding, Row, row
from basin_jax.studies.study import Lab, Study, thresholds
from basin_jax.verdict import Verdict


# A tilt to the left under which there is a right well still: it is gone beyond 2/3^1.5 = .3849.
TILT = -0.37
SPELL = "a quarter of full oversight"


class WayBack(Study):
    """Correct networks that have become deceptive, then let them go.

    The seeds that end deceptive are trained on under a share of full oversight, the strength, for
    some steps, the length, and then as before for as long as it took to make them. A seed tracks
    where the correction never got it out, tips back where it got it out and the seed became
    deceptive again, and returns where it stays out. For hysteresis, oversight of every strength
    is laid upon fresh networks and upon deceptive ones alike. And one spell of full oversight is
    given early, late, or in turns, within the training of fresh networks.
    """

    strengths: tuple[float, ...] = (0.0, 0.1, 0.2, 0.4, 1.0)
    lengths: tuple[int, ...] = (100, 400, 1600)
    quick: int = 512  # fresh seeds, of which the deceptive ones are corrected
    full: int = 50_000

    limits = (
        "A correction that was not tried may bring back what these do not.",
        "Correction ends abruptly, and what follows is the training that made the seed deceptive; "
        "a milder one might not tip it back.",
    )

    def measure(self, lab: Lab) -> Finding:
        subject, rule = self.subject, self.subject.rule
        base = subject.sweep
        begun = lab.run("fresh", [base], self.seeds(lab), rule=rule)
        seeds = begun.seeds(Verdict.DECEPTIVE)
        figure, (a, b, c) = canvas(3, height=2.4)
        rows, grid_of_returns = [], []
        for number, length in enumerate(self.lengths):
            records = lab.run(f"corrected_{length}", self._corrected(length), seeds, rule=rule)
            returned = [
                _fate(records, cell, "returns", strength, length)
                for cell, strength in zip(records.cells, self.strengths, strict=True)
            ]
            tipped = _fate(records, [*records.cells][-1], "tips back", self.strengths[-1], length)
            curve(a, self.strengths, returned, color=INK[number], label=f"{length} steps")
            rows += [*returned, tipped]
            grid_of_returns.append(_outs(records))
        lost = pl.concat(grid_of_returns).group_by("seed").agg(pl.col("out").any())
        never = row(
            "deceptive seeds that no correction of the grid brings back",
            estimate(int((~lost["out"]).sum()), len(lost)),
        )
        up, down = self._hysteresis(lab, seeds)
        curve(b, self.strengths, up, color=INK[1], label="from fresh")
        curve(b, self.strengths, down, color=INK[0], label="from deceptive")
        timed = self._timed(lab, begun)
        forest(c, [_when(one) for one in timed], timed, color=INK[2])
        a.set(xlabel="strength of the correction", ylabel="fraction that returns")
        b.set(xlabel="strength of oversight, kept", ylabel="fraction deceptive")
        c.set(xlabel="fraction deceptive at the end", xlim=(-0.03, 1.03))
        for axes in (a, b):
            axes.set_ylim(-0.03, 1.03)
            legend(axes)
        control = self._control(lab, seeds)
        loose = thresholds(begun, rule, "fresh: deceptive")
        strongest = rows[len(self.strengths) - 1 :: len(self.strengths) + 1]
        says = [
            f"Of {len(seeds):,} deceptive seeds, {strongest[-1]} return after {self.lengths[-1]} "
            f"steps of full oversight, and {strongest[0]} after {self.lengths[0]}.",
            f"No correction of the grid brings back {never} of them.",
            f"Under oversight of strength {self.strengths[2]:g}, {up[2]} of fresh seeds end "
            f"deceptive, and {down[2]} of the deceptive ones remain so.",
            "A spell of full oversight in fresh training leaves deceptive: "
            + "; ".join(f"{_when(one)} {one}" for one in timed)
            + ".",
        ]
        return Finding(
            name="way_back",
            question=(__doc__ or "").strip(),
            says=says,
            limits=self.limits,
            rows=[*rows, never, *up, *down, *timed, *loose, control, _well(lab, self.seeds(lab))],
            figure=figure,
        )

    def _corrected(self, length: int) -> list[Sweep]:
        """Return a cell for each strength: a correction, and then training as it was."""
        base, steps = self.subject.sweep, self.subject.num_steps
        onward = base.replace(start=Trained(of=base), num_steps=length + steps, save_at=(length,))
        return [
            onward.replace(
                method=Correction(
                    method=base.method, objective=self.subject.under(strength), end=length
                )
            )
            for strength in self.strengths
        ]

    def _hysteresis(self, lab: Lab, seeds) -> tuple[list[Row], list[Row]]:
        """Return the fraction deceptive under oversight that is kept, from fresh and from lost."""
        base, rule = self.subject.sweep, self.subject.rule
        cells = [base.replace(organism=self.subject.under(s)) for s in self.strengths]
        fresh = lab.run("kept_fresh", cells, self.seeds(lab), rule=rule)
        children = [cell.replace(start=Trained(of=base)) for cell in cells]
        lost = lab.run("kept_deceptive", children, seeds, rule=rule)
        return self._kept(fresh, "fresh"), self._kept(lost, "deceptive")

    def _kept(self, records: Records, name: str) -> list[Row]:
        return [
            row(
                f"oversight {strength:g} kept, from {name}: deceptive",
                basin_fraction(records.frame.filter(cell=cell)["verdict"]),
            )
            for cell, strength in zip(records.cells, self.strengths, strict=True)
        ]

    def _timed(self, lab: Lab, begun: Records) -> list[Row]:
        """Return the fraction deceptive after one quarter of full oversight, by when it came."""
        base, steps = self.subject.sweep, self.subject.num_steps
        spell = steps // 4
        spells = {
            "first quarter": (0, spell, None),
            "second quarter": (spell, 2 * spell, None),
            "last quarter": (steps - spell, steps, None),
            "in turns": (0, max(spell // 10, 1), max(4 * (spell // 10), 4)),
        }
        rows = [row(f"{SPELL}, never: deceptive", basin_fraction(begun.frame["verdict"]))]
        for name, (begin, end, period) in spells.items():
            method = Correction(
                method=base.method,
                objective=self.subject.overseen,
                begin=begin,
                end=end,
                period=period,
            )
            cell = base.replace(method=method)
            records = lab.run(
                f"spell_{name.replace(' ', '_')}", [cell], self.seeds(lab), rule=self.subject.rule
            )
            found = basin_fraction(records.frame["verdict"])
            rows.append(row(f"{SPELL}, {name}: deceptive", found))
        return rows

    def _control(self, lab: Lab, seeds) -> Row:
        """Return how many remain deceptive where nothing is corrected."""
        base = self.subject.sweep
        records = lab.run(
            "uncorrected", [base.replace(start=Trained(of=base))], seeds, rule=self.subject.rule
        )
        what = "not corrected, trained on: deceptive still"
        found = basin_fraction(records.frame["verdict"])
        return row(what, found, kind="control", expected=1.0)


def _when(one: Row) -> str:
    return one.what.removeprefix(f"{SPELL}, ").partition(":")[0]


def _stops(records: Records, cell: str) -> pl.DataFrame:
    """Return for each seed whether it is deceptive after the correction, and at the end."""
    frame = records.history.filter(cell=cell).sort("seed", "step")
    deceives = pl.col("verdict") == Verdict.DECEPTIVE.name
    return frame.group_by("seed", maintain_order=True).agg(
        then=deceives.first(), last=deceives.last()
    )


def _outs(records: Records) -> pl.DataFrame:
    return pl.concat(
        _stops(records, cell).select("seed", out=~pl.col("last")) for cell in records.cells
    )


def _fate(records: Records, cell: str, fate: str, strength: float, length: int) -> Row:
    stops = _stops(records, cell)
    hits = ~stops["last"] if fate == "returns" else ~stops["then"] & stops["last"]
    what = f"correction of strength {strength:g} for {length} steps: {fate}"
    return row(what, estimate(int(hits.sum()), len(stops)))


def _well(lab: Lab, seeds: int) -> Row:
    """Return how many particles are brought back from the right well while there is one."""
    parent = Sweep(organism=DoubleWell(), method=Gradient(learning_rate=0.3), num_steps=200)
    right = lab.run("well", [parent], seeds, rule=Behavior()).seeds(Verdict.DECEPTIVE)
    method = Correction(method=parent.method, objective=DoubleWell(tilt=TILT), end=400)
    child = parent.replace(start=Trained(of=parent), num_steps=800, method=method)
    records = lab.run("well_tilted", [child], right, rule=Behavior())
    what = f"double well: back from the right under a tilt of {TILT:g}"
    found = basin_fraction(records.frame["verdict"], Verdict.INTENDED)
    return row(what, found, kind="known", expected=0.0)
