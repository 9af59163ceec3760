"""Edges that are tracked to where they lead, and the curvature there, against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from basin_jax import Organism, Sweep, Verdict, build_kernel
from basin_jax.engine.edge import track_edge
from basin_jax.engine.stability import losses, stability
from basin_jax.methods import Correction, Gradient
from basin_jax.rules import Behavior
from basin_jax.starts import Interpolated, Trained


SADDLE = -0.20914885  # a root of x³ - x - .2


class Valleys(Organism):
    """Roll into one of two wells of V(x, y) = (x² - 1)²/4 - tilt·x + (y - x)²/4.

    Its saddle is at (s, s), with s the `SADDLE`, and its separatrix bends.
    """

    tilt: float = 0.2

    def init(self, key):
        return jax.random.normal(key, (2,), jnp.float32) + jnp.array([-1.0, 0.5])

    def sample(self, key):
        return None

    def loss(self, params, batch):
        x, y = params
        return (x**2 - 1) ** 2 / 4 - self.tilt * x + (y - x) ** 2 / 4

    def probe(self, key, params):
        right = jnp.where(params[0] > SADDLE, 1.0, 0.0)
        return {"fit": jnp.ones(()), "watched": jnp.zeros(()), "unwatched": right}


WELLS = Sweep(organism=Valleys(), method=Gradient(learning_rate=0.1), num_steps=400)
# From where a seed begins to the right well, the only one under a steeper tilt.
ACROSS = WELLS.replace(method=Correction(method=WELLS.method, objective=Valleys(tilt=1.0), end=400))
LINE = WELLS.replace(start=Interpolated(of=ACROSS, dose=0.0))


@pytest.fixture(scope="module")
def left():
    """The seeds that roll into the left well."""
    ends = build_kernel(WELLS, lanes=8)(np.arange(16, dtype=np.uint64))
    seeds = np.flatnonzero(ends["unwatched"][:, -1] == 0).astype(np.uint64)
    assert 2 < len(seeds) < 14
    return seeds


def tracked(seeds, sweep=LINE, **changes):
    given = {"rule": Behavior(), "of": (Verdict.DECEPTIVE,), "close": 1e-4, "apart": 1e-2}
    given |= {"rounds": 6, "stride": 10, "lanes": 8}
    return track_edge(sweep, seeds, **{**given, **changes})


@pytest.mark.slow
def test_an_edge_leads_to_the_saddle_which_has_one_unstable_direction(left):
    edge = tracked(left)
    assert edge.held.all()
    np.testing.assert_allclose(edge.state, SADDLE, atol=2e-4)
    assert (np.linalg.norm(edge.beyond - edge.before, axis=-1) <= 1.01e-4).all()
    # On the line the edge is met elsewhere.
    met = tracked(left, rounds=1)
    assert np.abs(met.state[:, 1] - SADDLE).max() > 0.3
    assert not met.steps.any()
    found = stability(WELLS, edge.state)
    well = (SADDLE**2 - 1) ** 2 / 4 - 0.2 * SADDLE
    np.testing.assert_allclose(found.loss, well, atol=1e-7)
    # The Hessian is [[3s² - 1/2, -1/2], [-1/2, 1/2]].
    trace, det = 3 * SADDLE**2, (3 * SADDLE**2 - 0.5) / 2 - 0.25
    roots = (trace + np.array([-1, 1]) * np.sqrt(trace**2 - 4 * det)) / 2
    known = np.tile(1 - 0.1 * roots[::-1], (len(left), 1))
    np.testing.assert_allclose(found.multipliers, known, atol=1e-4)
    assert (found.unstable(400) == 1).all()
    assert (found.step < 1e-4).all()


@pytest.mark.ci
def test_the_ends_of_both_sides_are_the_bottoms_of_the_wells(left):
    ends = tracked(left, rounds=1).ends
    np.testing.assert_allclose(ends[:, 0], -0.87888507, atol=1e-4)
    np.testing.assert_allclose(ends[:, 1], 1.08803391, atol=1e-4)
    assert not stability(WELLS, ends[:, 0]).unstable(400).any()
    assert (losses(WELLS, ends[:, 0]) > losses(WELLS, ends[:, 1])).all()


def test_what_lies_on_one_side_has_no_edge(left):
    right = np.setdiff1d(np.arange(16, dtype=np.uint64), left)
    edge = tracked(right)
    assert not edge.held.any()
    assert not edge.steps.any()


def test_a_direction_is_unstable_if_a_deviation_grows_by_e_in_the_steps_asked_for():
    class Bowl(Valleys):
        def loss(self, params, batch):
            x, y = params
            return 10 * x**2 - y**2 / 4

    descent = Gradient(learning_rate=0.1, l2=0.3)
    bowl = WELLS.replace(organism=Bowl(), method=descent)
    found = stability(bowl, np.array([[0.0, 2.0]]))
    np.testing.assert_allclose(found.multipliers, [[1 - 0.1 * 20.3, 1 + 0.1 * 0.2]], atol=1e-12)
    # ln 1.02 is 0.0198, and ln 1.03 is 0.0296: the step is too long for x.
    counts = [found.unstable(steps).tolist() for steps in (33, 34, 50, 51)]
    assert counts == [[0], [1], [1], [2]]
    assert found.loss == pytest.approx(-1 + 0.3 / 2 * 4)
    assert found.step == pytest.approx(0.1 * 0.2 * 2)


def test_steps_that_follow_no_gradient_have_no_multipliers():
    turning = Gradient(optimizer=optax.chain(optax.normalize_by_update_norm(), optax.sgd(0.1)))
    with pytest.raises(
        ValueError, match=r"method has a Jacobian .* allowed: one whose steps follow"
    ):
        stability(WELLS.replace(method=turning), np.array([[0.5, 0.1]]))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sweep": WELLS.replace(start=Trained(of=WELLS))}, "allowed: Interpolated"),
        ({"close": 0.1}, "close, apart = 0.1, 0.01; allowed: rising, above 0"),
        ({"rounds": 0}, "rounds = 0; allowed: at least 1"),
        ({"stride": 0}, "stride = 0; allowed: at least 1"),
    ],
)
def test_what_cannot_be_tracked_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        tracked(2, **changes)
