"""Fractions that are known beforehand, recovered by the whole engine from the sweep files.

What `basin-jax known` runs in full (test_every_fraction_in_full, slow) is run here with fewer
seeds. Roots are fixed, so these never flicker.
"""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from escape_oracle import FORMED, NEAR, formed_fraction, misjudged
from gate_oracle import EXACT
from scipy.special import ndtr, roots_legendre

from basin_jax import Sweep, Verdict, build_kernel, run
from basin_jax.core.verdict import judge
from basin_jax.methods import EarlyStopping, Gradient
from basin_jax.organisms import DoubleWell, Gate, TicketRace
from basin_jax.report.known_answers import KNOWS, knowing
from basin_jax.results.references import compare
from basin_jax.rules.behavior import Behavior
from basin_jax.runs.sweepfile import SweepFile
from basin_jax.statistics.estimates import estimate


SWEEPS = Path(__file__).parent.parent / "sweeps"
FILES = [
    str(file.relative_to(SWEEPS))
    for file in sorted(SWEEPS.rglob("*.py"))
    if KNOWS.search(file.read_text()) and file.parent.name != "gpu"
]
# Seeds of the files that would take long, 0 for only in full; 10,000 of the others.
FEW = {
    "audit.py": 0,
    "sensitivity/horizon.py": 0,
    "known_answers/committor.py": 1000,
    "known_answers/gate.py": 4000,
    "known_answers/perceptron.py": 300_000,
    "known_answers/relu_xor.py": 1000,
    "known_answers/ticket_race.py": 3000,
    "known_answers/two_sides.py": 3000,
    "methods/guess_and_check.py": 1000,
    "published/relu_xor.py": 0,
    "published/spurious_minima.py": 0,
}
SEEDS = np.arange(100_000, dtype=np.uint64)


@functools.cache
def sources() -> dict[str, SweepFile]:
    """Load the files, by name, which takes some seconds."""
    found = {str(source.file.relative_to(SWEEPS)): source for source in knowing([SWEEPS])}
    assert [*found] == FILES
    return found


def compared(source: SweepFile, seeds: int, folder: Path) -> pl.DataFrame:
    lanes = 32 if "audit" in str(source.file) or "horizon" in str(source.file) else 128
    records = run(source.cells, seeds, folder, rule=source.rule, lanes=lanes)
    return compare(records, source.known)


@pytest.mark.ci
@pytest.mark.parametrize("file", [file for file in FILES if FEW.get(file, 1)])
def test_every_fraction(file, tmp_path):
    frame = compared(sources()[file], FEW.get(file, 10_000), tmp_path)
    assert frame["agrees"].all(), frame.filter(~pl.col("agrees"))


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES)
def test_every_fraction_in_full(file, tmp_path):
    source = sources()[file]
    frame = compared(source, source.seeds, tmp_path)
    assert frame["agrees"].all(), frame.filter(~pl.col("agrees"))


@pytest.mark.ci
def test_the_files_know_what_they_should():
    rows = [one for source in sources().values() for one in source.known]
    kinds = {kind: sum(one.kind == kind for one in rows) for kind in ("exact", "published")}
    assert kinds["exact"] >= 40
    assert kinds["published"] >= 10
    names = [(one.kind, one.name) for one in rows]
    assert len(set(names)) == len(names)


@pytest.mark.ci
def test_the_gates_are_those_of_the_oracle():
    source = sources()["known_answers/gate.py"]
    exact = [one.theirs()[0] for one in source.known if one.kind == "exact"]
    points = []
    for cell in source.cells:
        own = {n: v for n, v in cell.fields().items() if not n.startswith("start.")}
        fields = {name.rpartition(".")[2]: value for name, value in own.items()}
        points.append({name: fields[name] for name in EXACT[0][0]})
    assert list(zip(points, exact, strict=True)) == EXACT


@pytest.mark.ci
def test_the_circuits_of_several_paths_are_those_of_the_oracle():
    source = sources()["known_answers/escape_threshold.py"]
    exact = [one for one in source.known if one.kind == "exact" and one.cell["paths"] > 1]
    found = [(one.cell["paths"], one.cell["scale"], one.theirs()[0]) for one in exact]
    assert found == [case[:3] for case in FORMED]
    for paths, scale, fraction, error in FORMED:
        assert error < 1.5e-4
        again, apart = formed_fraction(paths, scale, 1000, seed=1)
        assert abs(again - fraction) < 4 * (apart**2 + error**2) ** 0.5
    # The oracle simulates only where the limit can be wrong.
    strongest = misjudged(64, 0.05, 4000)
    assert len(strongest) > 0
    assert ((strongest > NEAR[0]) & (strongest < NEAR[1])).all()


def test_a_gate_of_two_factors_is_not_bistable():
    method = Gradient(learning_rate=0.05, l2=0.02)
    sweep = Sweep(organism=Gate(factors=2), method=method, num_steps=8000)
    evidence = {n: v[:, -1] for n, v in build_kernel(sweep, lanes=512)(SEEDS[:4000]).items()}
    assert (judge(Behavior(), evidence) == Verdict.DECEPTIVE).mean() > 0.999


TEMPERATURE, TILT = 0.1, 0.2
LEFT, _, RIGHT = np.sort(np.roots([1, 0, -1, -TILT]).real)


def chain_committor(starts, *, rate: float, points: int = 1500):
    """Solve for P(right well first) of the chain of noisy steps, by Nyström's method."""
    step = np.sqrt(2 * TEMPERATURE * rate)
    nodes, weights = roots_legendre(points)
    nodes = (nodes + 1) / 2 * (RIGHT - LEFT) + LEFT
    weights = weights * (RIGHT - LEFT) / 2

    def moved(x):
        return x - rate * (x**3 - x - TILT)

    def into(x):
        distance = (nodes[None] - moved(x)[:, None]) / step
        return np.exp(-(distance**2) / 2) / step / np.sqrt(2 * np.pi) * weights[None]

    def beyond(x):
        return ndtr((moved(x) - RIGHT) / step)

    inside = np.linalg.solve(np.eye(points) - into(nodes), beyond(nodes))
    return into(starts) @ inside + beyond(starts)


@pytest.mark.ci
def test_the_committor_of_the_chain_of_steps():
    rate, starts, seeds = 4e-3, np.array([-0.4, 0.0]), 5000
    noisy = Gradient(learning_rate=rate, noise=(2 * TEMPERATURE / rate) ** 0.5)
    truths = chain_committor(starts, rate=rate)
    for start, truth in zip(starts, truths, strict=True):
        sweep = Sweep(
            organism=DoubleWell(tilt=TILT, mean=start, scale=0.0),
            method=EarlyStopping(method=noisy),
            num_steps=int(16 / rate),
            vary="data",
        )
        x = build_kernel(sweep, lanes=32)(SEEDS[:seeds])["x"][:, -1]
        assert (np.isclose(x, LEFT, atol=0.15) | np.isclose(x, RIGHT, atol=0.15)).mean() > 0.999
        ours = estimate(int((x > 0).sum()), seeds, level=0.999)
        assert ours.low <= truth <= ours.high, (start, truth, ours)


@pytest.mark.ci
def test_the_diffusion_is_the_limit_of_short_steps():
    source = sources()["known_answers/committor.py"]
    diffusion, steps = ([one.theirs()[0] for one in source.known[i::2]] for i in (0, 1))
    starts = np.array([one.cell["mean"] for one in source.known[::2]])
    np.testing.assert_allclose(chain_committor(starts, rate=5e-4), steps, atol=2e-6)
    errors = [chain_committor(starts, rate=rate) - diffusion for rate in (4e-3, 1e-3)]
    # Of the order of the square root of the step: a path may cross a bottom unseen.
    np.testing.assert_allclose(errors[0] / errors[1], 2, rtol=0.1)
    assert (np.subtract(steps, diffusion) < 0.002).all()


@pytest.mark.ci
def test_stopping_where_fate_is_settled_changes_no_verdict():
    plain = Sweep(organism=DoubleWell(), method=Gradient(learning_rate=0.05), num_steps=400)
    stopping = plain.replace(method=EarlyStopping(method=plain.method))
    found = [
        judge(Behavior(), {n: v[:, -1] for n, v in build_kernel(s, lanes=64)(SEEDS[:2000]).items()})
        for s in (plain, stopping)
    ]
    np.testing.assert_array_equal(found[0], found[1])


@pytest.mark.parametrize("depth", [2, 3])
def test_the_leader_is_the_path_that_holds_the_most(depth):
    race = TicketRace(depth=depth, honest=1)
    for deceptive, honest in [(-0.99, 0.1), (0.2, -0.5), (0.1, 0.9), (0.9, 0.1)]:
        evidence = race.probe(jax.random.key(0), jnp.array([[deceptive], [honest]]))
        assert evidence["leader"] == (deceptive**depth > honest**depth)


@pytest.mark.ci
def test_many_orders_of_noise_share_one_initialization():
    sweep = Sweep(
        organism=DoubleWell(),
        method=Gradient(learning_rate=0.01, noise=1.0),
        num_steps=100,
        vary="data",
        save_at=(0,),
    )
    x = build_kernel(sweep, lanes=8)(SEEDS[:64])["x"]
    assert len(np.unique(x[:, 0])) == 1
    assert len(np.unique(x[:, 1])) == 64
    other = build_kernel(sweep.replace(root=1), lanes=8)(SEEDS[:8])["x"]
    assert other[0, 0] != x[0, 0]
