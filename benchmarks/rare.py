"""Measure searches for rare basins: against exact fractions, and against the speed of fresh seeds.

    uv run python benchmarks/rare.py calibration [--only NAME] [--out TABLE.csv]
    uv run python benchmarks/rare.py draw TABLE.csv FIGURE.png
    uv run python benchmarks/rare.py speed

`calibration` runs the whole procedure (eight replications and their interval) again and again on
fractions that are known, and prints the ratio to the truth, the share of intervals that cover it,
and the share of estimates that their diagnostics trust. `draw` draws its table. `speed` times
chains against as many fresh seeds of the same sweep by the engine's kernel, in turns.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import matplotlib.pyplot as plt
import numpy as np
import polars as pl
import typer
from scipy.stats import beta, norm

from basin_jax import Rule, Sweep, Verdict, build_kernel, rare
from basin_jax.core.verdict import judge
from basin_jax.methods import Gradient
from basin_jax.organisms import Audit, DoubleWell, Perceptron, ReluXor, TicketRace
from basin_jax.rare.estimate import rare_estimate
from basin_jax.rare.particles import Particles
from basin_jax.rare.problem import Attempt, Problem
from basin_jax.report.figures import STYLE
from basin_jax.rules import Behavior
from basin_jax.statistics.estimates import estimate
from basin_jax.studies.framework.figure import INK


class AllOnes(Rule):
    """Find perceptrons that answer 1 to all inputs but the origin."""

    def judge(self, evidence):
        ones = evidence["ones"] >= evidence["ones"].dtype.type(2**12 - 1)
        return np.where(ones, Verdict.DECEPTIVE, Verdict.INTENDED)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A known fraction, and how it is searched for.

    `procedures` is how often the whole of it is run.
    """

    name: str
    sweep: Sweep
    rule: Rule
    of: Verdict
    truth: float
    method: rare.Search
    score: rare.Score
    procedures: int


SEARCHES = {
    rare.SubsetSimulation: "subset",
    rare.Splitting: "splitting",
    rare.ImportanceSampling: "importance",
}
EARLY = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16)  # steps in which units of ReluXor take sides
XOR_SCORE = rare.SettlingTime(evidence="fit", harmful="below", threshold=0.5)
ANY_FIT = Behavior(min_fit=None)


def xor(units: int, rate: float, particles: int, procedures: int) -> Case:
    """Return networks of which all units lean to one side."""
    organism = ReluXor(units=units, scale=0.01)
    return Case(
        name=f"ReluXor, K = {units}",
        sweep=Sweep(
            organism=organism,
            method=Gradient(learning_rate=rate),
            num_steps=int(5 / rate),
            save_at=EARLY,
        ),
        rule=Behavior(),
        of=Verdict.UNFIT,
        truth=2.0 ** (1 - units),
        method=rare.SubsetSimulation(particles=particles),
        score=XOR_SCORE,
        procedures=procedures,
    )


def race(share: float, honest: int, particles: int, procedures: int) -> Case:
    """Return a path that holds nearly all of the output against many: shares are conserved."""
    return Case(
        name=f"TicketRace, 1 of {honest + 1}",
        sweep=Sweep(
            organism=TicketRace(deceptive=1, honest=honest, depth=2),
            method=Gradient(learning_rate=0.05),
            num_steps=200,
        ),
        rule=ANY_FIT,
        of=Verdict.DECEPTIVE,
        truth=float(beta.sf(share, 0.5, honest / 2)),
        method=rare.SubsetSimulation(particles=particles),
        score=rare.At(step=200),
        procedures=procedures,
    )


def well(method: rare.Search, procedures: int) -> Case:
    """Return a particle beyond the ridge at its start."""
    organism = DoubleWell(tilt=-0.2, scale=0.045)
    separatrix = 0.2091488242149353
    return Case(
        name=f"DoubleWell, {type(method).__name__}",
        sweep=Sweep(
            organism=organism, method=Gradient(learning_rate=0.3), num_steps=40, save_at=(0,)
        ),
        rule=ANY_FIT,
        of=Verdict.DECEPTIVE,
        truth=float(norm.sf(separatrix / organism.scale)),
        method=method,
        score=rare.At(step=0),
        procedures=procedures,
    )


def noisy(procedures: int) -> Case:
    """Return a particle that noise carries over the ridge."""
    rate, noise, steps = 0.1, 1.0, 200
    grid = np.linspace(-3, 3, 2401)
    after = grid - rate * (grid**3 - grid + 0.2)
    density = norm.pdf((grid[None] - after[:, None]) / (rate * noise)) / (rate * noise)
    beyond = (grid > 0.2091488242149353).astype(float)
    for _ in range(steps):
        beyond = density @ beyond * (grid[1] - grid[0])
    return Case(
        name="DoubleWell, Splitting",
        sweep=Sweep(
            organism=DoubleWell(tilt=-0.2, mean=-1.0, scale=0.0),
            method=Gradient(learning_rate=rate, noise=noise),
            num_steps=steps,
            save_at=tuple(range(0, steps, 10)),
        ),
        rule=ANY_FIT,
        of=Verdict.DECEPTIVE,
        truth=float(np.interp(-1.0, grid, beyond)),
        method=rare.Splitting(particles=500),
        score=rare.Peak(),
        procedures=procedures,
    )


def cases() -> list[Case]:
    """Return all cases: cheap ones 200 times, the others 20 times."""
    perceptron = Case(
        name="Perceptron, 12 bits",
        sweep=Sweep(organism=Perceptron(bits=12), method=Gradient(learning_rate=0.1), num_steps=0),
        rule=AllOnes(),
        of=Verdict.DECEPTIVE,
        truth=2.0**-12,
        method=rare.SubsetSimulation(particles=100),
        score=rare.At(evidence="ones", step=0),
        procedures=200,
    )
    return [
        xor(12, 0.05, 100, 200),
        race(0.75, 12, 100, 200),
        perceptron,
        xor(20, 0.05, 500, 20),
        xor(30, 0.03, 500, 20),
        race(0.75, 24, 500, 20),
        well(rare.SubsetSimulation(), 20),
        well(rare.ImportanceSampling(), 20),
        noisy(20),
    ]


def calibrate(case: Case) -> dict[str, object]:
    """Run a case's procedure many times, and compare with the truth."""
    problem = Problem(particles=Particles(case.sweep), rule=case.rule, of=case.of, score=case.score)
    began, found = time.perf_counter(), []
    each = case.method.replications
    # Many at once, as on an accelerator; an importance sampler's tilt is a procedure's own.
    at_once = 1 if isinstance(case.method, rare.ImportanceSampling) else 20
    for first in range(0, case.procedures, at_once):
        numbers = range(first, min(first + at_once, case.procedures))
        rngs = [np.random.default_rng([n, 1, r]) for n in numbers for r in range(each)]
        ended = dict(case.method.replicate(problem, [Attempt(rng=rng) for rng in rngs]))
        replications = [ended[place] for place in range(len(rngs))]
        for place in range(0, len(replications), each):
            own = replications[place : place + each]
            hits, fresh = sum(r.hits for r in own), sum(r.fresh for r in own)
            given = {"method": "", "score": "", "bracket": estimate(hits, fresh)}
            found.append(rare_estimate(own, **given))
    ratios = np.array([e.fraction for e in found]) / case.truth
    covers = [e.low <= case.truth <= e.high for e in found]
    return {
        "case": case.name,
        "search": SEARCHES[type(case.method)],
        "truth": case.truth,
        "runs": len(found),
        "trainings": round(float(np.mean([e.trainings for e in found]))),
        "ratio": float(np.exp(np.log(np.maximum(ratios, 1e-9)).mean())),
        "spread": float(np.log(np.maximum(ratios, 1e-9)).std(ddof=1)),
        "coverage": float(np.mean(covers)),
        "width": float(np.median([e.high / e.low if e.low else np.inf for e in found])),
        "trusted": float(np.mean([e.trusted for e in found])),
        "seconds": round(time.perf_counter() - began, 1),
    }


app = typer.Typer(help=__doc__)


@app.command()
def calibration(
    only: Annotated[str, typer.Option(help="Part of a case's name.")] = "",
    out: Annotated[Path | None, typer.Option(help="A file for the table.")] = None,
) -> None:
    """Compare the whole procedure with exact fractions."""
    rows = []
    for case in cases():
        if only in case.name:
            rows.append(calibrate(case))
            print(rows[-1], flush=True)
    with pl.Config(tbl_rows=-1, tbl_cols=-1, tbl_width_chars=200, float_precision=3):
        print(pl.DataFrame(rows))
    if out is not None:
        pl.DataFrame(rows).write_csv(out)


@app.command()
def draw(table: Path, figure: Path) -> None:
    """Draw ratios to the truth, and coverage, of a table by `calibration`."""
    rows = pl.read_csv(table)
    plt.rcParams.update(STYLE)
    shown, axes = plt.subplots(1, 2, figsize=(7, 2.6), layout="constrained")
    for place, (name, marker) in enumerate(zip(SEARCHES.values(), "osD", strict=True)):
        own = rows.filter(pl.col("search") == name)
        truth, ratio, spread = (own[column].to_numpy() for column in ("truth", "ratio", "spread"))
        truth = truth * 1.3**place  # beside each other
        looks = {"fmt": marker, "color": INK[place], "markersize": 4, "label": name}
        bounds = ratio - ratio * np.exp(-1.96 * spread), ratio * np.exp(1.96 * spread) - ratio
        axes[0].errorbar(truth, ratio, bounds, **looks, elinewidth=1)
        hits = np.rint(own["coverage"].to_numpy() * own["runs"].to_numpy()).astype(int)
        found = [estimate(h, n) for h, n in zip(hits, own["runs"], strict=True)]
        middle = np.array([each.fraction for each in found])
        ends = middle - [each.low for each in found], [each.high for each in found] - middle
        axes[1].errorbar(truth, middle, ends, **looks, elinewidth=1)
    axes[0].axhspan(1 / 1.5, 1.5, color="0.93", zorder=0)
    axes[0].set(yscale="log", ylabel="estimate / truth", ylim=(0.4, 2.5))
    axes[0].set_yticks([0.5, 1 / 1.5, 1, 1.5, 2], ["1/2", "1/1.5", "1", "1.5", "2"])
    axes[0].minorticks_off()
    axes[1].axhline(0.95, color="0.5", linestyle="--", linewidth=1)
    axes[1].set(ylabel="intervals that cover the truth", ylim=(0.6, 1.01))
    for each in axes:
        each.set(xscale="log", xlabel="known fraction")
    shown.legend(*axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=3)
    shown.savefig(figure, dpi=200)


@app.command()
def speed(rounds: Annotated[int, typer.Option(help="Turns of each.")] = 5) -> None:
    """Time chains against as many fresh seeds, in turns."""
    audit = Sweep(
        organism=Audit(difficulty=4),
        method=Gradient(learning_rate=0.1),
        num_steps=2000,
        save_at=(200, 500, 1000),
    )
    for name, sweep, count in (
        ("Audit", audit, 256),
        ("ReluXor", xor(20, 0.05, 500, 1).sweep, 4000),
    ):
        print(name, compare(sweep, count, rounds))


def compare(sweep: Sweep, count: int, rounds: int) -> str:
    """Return the ratio of the speeds of moves and of fresh seeds."""
    particles = Particles(sweep)
    problem = Problem(
        particles=particles, rule=Behavior(), of=Verdict.UNFIT, score=rare.Peak(evidence="fit")
    )
    kernel = build_kernel(sweep, lanes=particles.lanes)
    seeds = np.arange(count, dtype=np.uint64)

    def fresh() -> None:
        evidence = kernel(seeds)
        judge(problem.rule, {name: x[:, -1] for name, x in evidence.items()})

    population, rng = problem.fresh(count, np.random.default_rng(0)), np.random.default_rng(0)
    chains = rare.SubsetSimulation()

    def moves() -> None:
        problem.scores(chains.move(population, 0.5, rng))

    for compiled in (moves, fresh):
        compiled()
    ratios = [1 / timed(moves) * timed(fresh) for _ in range(rounds)]
    return (
        f"{count} chains at {statistics.median(ratios):.2f} [{min(ratios):.2f}, "
        f"{max(ratios):.2f}] of the speed of fresh seeds"
    )


def timed(action: Callable[[], None]) -> float:
    """Return the seconds that an action takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


if __name__ == "__main__":
    app()
