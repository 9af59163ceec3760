"""Barriers on the line to the origin, against their closed form on a quadratic."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from basin_jax import Organism
from basin_jax.methods import Disconnected, Gradient, GuessAndCheck
from basin_jax.methods.disconnected import DisconnectedState


KEY = jax.random.key(0)
CURVATURES = np.array([0.5, 1.0, 3.0], np.float32)
START = np.array([1.0, 2.0, -0.5], np.float32)
RATE = 0.1
INSIDE = Gradient(learning_rate=RATE)


class Bowl(Organism):
    """Roll down a quadratic, ½ Σ curvature · (w - center)²."""

    center: float = 0.0

    def init(self, key):
        return jnp.asarray(START)

    def sample(self, key):
        return None

    def loss(self, params, batch):
        return 0.5 * (CURVATURES * (params - self.center) ** 2).sum()

    def probe(self, key, params):
        return {"fit": params.sum()}


class Nowhere(Bowl):
    """Have a loss that is no number."""

    def loss(self, params, batch):
        return jnp.nan * params.sum()


def raised(rate, *, height=1e6, near=0.5, far=0.5, end=1000):
    along = Bowl(center=0.25)
    fields = {"height": height, "near": near, "far": far, "end": end}
    return Disconnected(method=INSIDE, along=along, rate=rate, **fields)


def after(method, steps=1, start=START, key=KEY):
    @jax.jit
    def step(number, state):
        return method.step(jax.random.fold_in(key, number), number, state, Bowl())

    state = method.init(key, jnp.asarray(start), Bowl())
    return np.asarray(jax.lax.fori_loop(0, steps, step, state).params)


def expected(steps, rate, share, height):
    at = START
    for _ in range(steps):
        inside = at - RATE * CURVATURES * at
        point = START + share * (inside - START) - 0.25
        below = 0.5 * (CURVATURES * point**2).sum() < height
        at = inside + (1 if below else -1) * rate * share * CURVATURES * point
    return at


@pytest.mark.parametrize("height", [1e6, 0.5, 0.0])
@pytest.mark.parametrize(("rate", "share"), [(0.05, 0.5), (0.3, 0.25), (-0.2, 1.0)])
def test_steps_climb_at_the_point_of_the_line_up_to_the_height(rate, share, height):
    method = raised(rate, near=share, far=share, height=height)
    want = expected(3, rate, share, height)
    np.testing.assert_allclose(after(method, 3), want, rtol=1e-5)


def test_at_a_rate_of_zero_and_after_its_end_it_is_the_method_inside():
    # To rounding: XLA joins the products of a step in another way.
    np.testing.assert_allclose(after(raised(0.0), 20), after(INSIDE, 20), rtol=1e-6)
    # Also where the loss on the line has no gradient.
    assert np.isfinite(after(raised(0.0).replace(along=Nowhere()), 3)).all()
    begun = after(raised(0.3, end=5), 5)
    assert not np.allclose(begun, after(INSIDE, 5), atol=1e-3)
    found = after(raised(0.3, end=5), 25)
    np.testing.assert_allclose(found, begun * (1 - RATE * CURVATURES) ** 20, rtol=1e-5)


@pytest.mark.parametrize(("over", "leaves"), [(0.98, False), (1.02, True)])
@pytest.mark.parametrize("share", [0.4, 1.0])
def test_it_leaves_a_minimum_from_the_known_rate_on(share, over, leaves):
    # Of one curvature k, a step multiplies the distance by (1 - ηk)·(1 + rate·t²·k).
    flat = raised(over * RATE / share**2 / (1 - RATE), near=share, far=share)
    method = flat.replace(along=Bowl())
    inside = INSIDE.init(KEY, jnp.array([0.0, 1e-3, 0.0]), Bowl())
    moved = DisconnectedState(inside, jnp.zeros(3))
    found = jax.lax.fori_loop(0, 400, lambda n, s: method.step(KEY, n, s, Bowl()), moved)
    factor = (1 - RATE) * (1 + method.rate * share**2)
    assert (found.params[1] > 1e-3) == leaves
    np.testing.assert_allclose(found.params[1], 1e-3 * factor**400, rtol=1e-3)


@pytest.mark.slow
def test_points_are_drawn_anew_between_near_and_far():
    def share(number):
        method = raised(0.1, near=0.25, far=0.75)
        found = after(method, key=jax.random.fold_in(KEY, number))
        inside = after(INSIDE)
        # (found - inside) / (rate·k) is t·(o + t·(q - o) - c), here solved for t.
        climbed = (found - inside)[0] / (0.1 * CURVATURES[0])
        roots = np.roots([inside[0] - START[0], START[0] - 0.25, -climbed])
        return float(min(roots[roots > 0]))

    shares = np.array([share(number) for number in range(40)])
    assert 0.25 <= shares.min() < 0.35
    assert 0.65 < shares.max() <= 0.7501


def test_a_state_that_may_stop_is_refused():
    method = raised(0.1).replace(method=GuessAndCheck(threshold=0.1))
    with pytest.raises(ValueError, match="no state whose parameters can be replaced"):
        after(method)
