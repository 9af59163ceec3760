"""The coverage of every interval over 1,000 roots, through the whole engine.

`python tests/test_calibration.py` prints the table of docs/calibration.md. The controls are the
intervals that one would otherwise use, and must fail. Roots are fixed, so the tests are
deterministic.
"""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.special import ndtr

from basin_jax import Sweep, Verdict, basin_fractions, build_kernel, paired_difference
from basin_jax.core.verdict import judge
from basin_jax.methods import Gradient
from basin_jax.organisms import DoubleWell
from basin_jax.rules import Behavior
from basin_jax.statistics.estimates import estimate
from basin_jax.statistics.intervals import clopper_pearson, confidence_sequence


ROOTS = 1000
SEEDS = np.arange(500, dtype=np.uint64)
FEW = 50
LOOKS = np.linspace(0, len(SEEDS), 41).astype(int)[1:]
# Tilt and scale of each cell, so that P(deceptive) falls from cell to cell: .98 to .02.
CELLS = [
    *((0.3, 0.165), (0.3, 0.2), (0.3, 0.5), (0.2, 1.0)),
    *((-0.2, 1.0), (-0.3, 0.5), (-0.3, 0.2), (-0.3, 0.165)),
]
MIDDLE, RARE = 3, 7
# .95 less three standard errors over 1,000 roots.
NEARLY = 0.95 - 3 * (0.95 * 0.05 / ROOTS) ** 0.5


def truth_of(tilt: float, scale: float) -> float:
    """Return the exact P(right): the start lies above the middle root of x³ - x - tilt."""
    separatrix = np.sort(np.roots([1, 0, -1, -tilt]).real)[1]
    return float(1 - ndtr(separatrix / scale))


TRUTHS = np.array([truth_of(*cell) for cell in CELLS])


@dataclass(frozen=True, kw_only=True)
class Row:
    """The coverage of an interval in a setting, and the range that is allowed."""

    interval: str
    setting: str
    nominal: float
    coverage: float
    roots: int
    least: float = 0.0
    most: float = 1.0
    control: bool = False


def train() -> np.ndarray:
    """Return whether each seed is deceptive, by cell and root."""
    found = np.zeros((len(CELLS), ROOTS, len(SEEDS)), bool)
    for n, (tilt, scale) in enumerate(CELLS):
        sweep = Sweep(
            organism=DoubleWell(tilt=tilt, scale=scale),
            method=Gradient(learning_rate=0.05),
            num_steps=100,
        )
        roots = [sweep.replace(root=root) for root in range(ROOTS)]
        kernel = build_kernel(roots, lanes=512)
        evidence = kernel(np.tile(SEEDS, ROOTS), np.repeat(np.arange(ROOTS), len(SEEDS)))
        verdicts = judge(Behavior(), {name: values[:, -1] for name, values in evidence.items()})
        found[n] = verdicts.reshape(ROOTS, -1) == Verdict.DECEPTIVE
    return found


def wald(share: np.ndarray, variance: np.ndarray, truth: float, trials: int) -> float:
    """Return the coverage of the Wald interval of a mean, given the variance of one seed."""
    return float((np.abs(share - truth) <= 1.96 * np.sqrt(variance / trials)).mean())


def fixed(found: np.ndarray) -> Iterator[Row]:
    for n in (MIDDLE, RARE):
        trials = len(SEEDS) if n == MIDDLE else FEW
        hits, truth = found[n, :, :trials].sum(axis=1), TRUTHS[n]
        exact = [estimate(k, trials) for k in hits.tolist()]
        common = {"setting": f"{truth:.4f}, {trials} seeds", "nominal": 0.95, "roots": ROOTS}
        yield Row(
            interval="fixed (Clopper-Pearson)",
            coverage=np.mean([e.low <= truth <= e.high for e in exact]),
            least=0.93 if n == MIDDLE else NEARLY,
            # At 50 seeds few counts are possible, so an exact interval exceeds its level.
            most=0.97 if n == MIDDLE else 1.0,
            **common,
        )
        if n == RARE:
            share = hits / trials
            coverage = wald(share, share * (1 - share), truth, trials)
            yield Row(interval="Wald", coverage=coverage, most=0.93, control=True, **common)


def anytime(found: np.ndarray) -> Iterator[Row]:
    hits, truth = found[MIDDLE].cumsum(axis=1)[:, LOOKS - 1], TRUTHS[MIDDLE]
    common = {"setting": f"{truth:.4f}, at all 40 looks", "nominal": 0.95, "roots": ROOTS}

    def coverage(bounds: Callable) -> float:
        @functools.cache
        def holds(count: int, trials: int) -> bool:
            low, high = bounds(count, trials, error=0.05)
            return low <= truth <= high

        runs = (zip(run, LOOKS.tolist(), strict=True) for run in hits.tolist())
        return float(np.mean([all(holds(*look) for look in run) for run in runs]))

    yield Row(
        interval="anytime (confidence sequence)",
        coverage=coverage(confidence_sequence),
        least=0.95,
        **common,
    )
    yield Row(
        interval="fixed",
        coverage=coverage(clopper_pearson),
        most=0.85,
        control=True,
        **common,
    )


def simultaneous(found: np.ndarray) -> Iterator[Row]:
    trials, hits = len(SEEDS), found.sum(axis=2).T.tolist()
    common = {"setting": f"all {len(CELLS)} cells", "nominal": 0.95, "roots": ROOTS}

    def coverage(cells: int) -> float:
        hold = functools.cache(lambda k: estimate(k, trials, num_intervals=cells))
        bounds = np.array([[(hold(k).low, hold(k).high) for k in row] for row in hits])
        return float(((bounds[..., 0] <= TRUTHS) & (bounds[..., 1] >= TRUTHS)).all(axis=1).mean())

    yield Row(interval="simultaneous", coverage=coverage(len(CELLS)), least=0.93, **common)
    yield Row(interval="pointwise", coverage=coverage(1), most=0.93, control=True, **common)


def classes(found: np.ndarray) -> Iterator[Row]:
    # The cells' basins are nested, so a seed's class is the number of cells where it is deceptive.
    truths = -np.diff(TRUTHS, prepend=1, append=0)
    names = range(len(truths))
    common = {"setting": f"all {len(truths)} classes", "nominal": 0.95, "roots": ROOTS}

    def coverage(level: float) -> float:
        runs = (basin_fractions(run, classes=names, level=level) for run in found.sum(axis=0))
        return float(
            np.mean([all(run[n].low <= truths[n] <= run[n].high for n in names) for run in runs])
        )

    yield Row(interval="basin_fractions", coverage=coverage(0.95), least=0.93, **common)
    alone = 1 - 0.05 * len(truths)  # undoes the Bonferroni correction
    yield Row(interval="pointwise", coverage=coverage(alone), most=0.93, control=True, **common)


def paired(found: np.ndarray) -> Iterator[Row]:
    middle, after = found[MIDDLE], found[MIDDLE + 1]
    few, rarer = found[RARE - 1][:, :FEW], found[RARE][:, :FEW]
    # Within a root seeds differ in one direction only; two roots are independent.
    for name, first, second, a, b in (
        ("losses only", middle, after, MIDDLE, MIDDLE + 1),
        ("gains and losses", middle[::2], after[1::2], MIDDLE, MIDDLE + 1),
        ("rare losses only", few, rarer, RARE - 1, RARE),
    ):
        roots, trials = first.shape
        truth = TRUTHS[b] - TRUTHS[a]
        gained, lost = (~first & second).sum(axis=1), (first & ~second).sum(axis=1)
        common = {
            "setting": f"{truth:+.4f}, {trials} seeds, {name}",
            "nominal": 0.95,
            "roots": roots,
        }
        exact = functools.cache(paired_difference)
        holds = [exact(g, k, trials) for g, k in zip(gained.tolist(), lost.tolist(), strict=True)]
        coverage = np.mean([d.low <= truth <= d.high for d in holds])
        yield Row(interval="paired (melded)", coverage=coverage, least=0.93, **common)
    share = (gained - lost) / trials
    coverage = wald(share, (gained + lost) / trials - share**2, truth, trials)
    yield Row(interval="paired Wald", coverage=coverage, most=0.93, control=True, **common)


KINDS = (fixed, anytime, simultaneous, classes, paired)


@pytest.fixture(scope="module")
def found() -> np.ndarray:
    return train()


@pytest.mark.ci
def test_the_cells_have_the_fractions_that_are_known(found):
    trials = ROOTS * len(SEEDS)
    for hits, truth in zip(found.sum(axis=(1, 2)).tolist(), TRUTHS, strict=True):
        held = estimate(hits, trials, level=0.999, num_intervals=len(CELLS))
        assert held.low <= truth <= held.high


@pytest.mark.ci
@pytest.mark.parametrize("kind", KINDS)
def test_an_interval_covers_as_often_as_it_says_and_its_control_does_not(found, kind):
    rows = list(kind(found))
    assert any(row.control for row in rows)
    for row in rows:
        assert row.least <= row.coverage <= row.most, row


def main() -> None:
    print("| interval | setting | nominal | coverage | allowed | roots |")
    print("|---|---|---|---|---|---|")
    found = train()
    for row in (row for kind in KINDS for row in kind(found)):
        name = f"control: {row.interval}" if row.control else row.interval
        allowed = f"{row.least:.3g} to {row.most:.3g}"
        print(
            f"| {name} | {row.setting} | {row.nominal} | {row.coverage:.3f} "
            f"| {allowed} | {row.roots:,} |"
        )


if __name__ == "__main__":
    main()
