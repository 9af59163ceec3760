"""How far carriers drift, against descents whose every step is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from basin_jax import Organism, Sweep
from basin_jax.engine.kernel import build_kernel
from basin_jax.methods import Correction, Gradient
from basin_jax.organisms import Audit, Drift, Gate
from basin_jax.starts import Anchored, Trained


KEY = jax.random.key(0)
BEGUN = np.array([1.0, -2.0, 3.0, 4.0])
SLOPES = np.array([1.0, 2.0, 3.0, -4.0])
# Times the parameters: 3.5, -6, 3, 0, so that the second is the one carrier of a quarter.
LEANS = np.array([3.5, 3.0, 1.0, 0.0])
RATE = 0.5
SEEDS = np.arange(4, dtype=np.uint64)


class Slide(Organism):
    """Slide down a slope of each parameter's own; the margin leans on some of them."""

    steepness: float = 1.0

    def init(self, key):
        return {"a": jnp.asarray(BEGUN[:2], float), "b": jnp.asarray(BEGUN[2:], float)}

    def sample(self, key):
        return None

    def loss(self, params, batch):
        return self.steepness * (_flat(params) * SLOPES).sum()

    def probe(self, key, params):
        margin = (_flat(params) * LEANS).sum()
        same = {"fit": 1.0, "watched": 0.0, "unwatched": 1.0, "competence": 0.0}
        return {name: margin * 0 + value for name, value in same.items()} | {"margin": margin}


def _flat(params):
    return jnp.concatenate([params["a"], params["b"]])


SLIDE = Drift(organism=Slide(), share=0.25)
ONE = Sweep(organism=SLIDE, method=Gradient(learning_rate=RATE), num_steps=1)


def seen(sweep):
    return build_kernel(sweep, lanes=4)(SEEDS)


def root_mean_square(values):
    return np.sqrt(np.mean(np.square(values)))


def test_one_step_of_a_known_gradient_is_a_known_drift():
    found = {name: values[0, -1] for name, values in seen(ONE).items()}
    rest = [0, 2, 3]
    assert found["carriers_drift"] == pytest.approx(RATE * 2)
    assert found["carriers_size"] == pytest.approx(2)
    assert found["rest_drift"] == pytest.approx(RATE * root_mean_square(SLOPES[rest]))
    assert found["rest_size"] == pytest.approx(root_mean_square(BEGUN[rest]))
    ended = BEGUN - RATE * SLOPES
    assert found["margin"] == pytest.approx(LEANS @ ended)
    ended[1] = BEGUN[1]
    assert found["restored_margin"] == pytest.approx(LEANS @ ended)


def test_a_random_set_is_each_seeds_own_and_has_nothing_in_common_with_the_other():
    found = seen(ONE.replace(save_at=(0,)))
    moved = {float(size): RATE * abs(slope) for size, slope in zip(abs(BEGUN), SLOPES, strict=True)}
    for name in ("random", "other"):
        np.testing.assert_array_equal(found[f"{name}_size"][:, 0], found[f"{name}_size"][:, 1])
        drift = [moved[size] for size in found[f"{name}_size"][:, 1].tolist()]
        np.testing.assert_allclose(found[f"{name}_drift"][:, 1], drift)
    assert (found["random_size"] != found["other_size"]).all()
    assert len({*found["random_size"][:, 1].tolist()}) > 1
    drawn = found["random_size"][:, 1]
    back = [RATE * LEANS[number] * SLOPES[number] for number in np.abs(BEGUN).searchsorted(drawn)]
    np.testing.assert_allclose(found["placebo_margin"][:, 1] - found["margin"][:, 1], back)


@pytest.mark.ci
@pytest.mark.parametrize(("start", "steps"), [(Anchored, 3), (Trained, 5)])
def test_drift_is_from_where_the_anchor_is(start, steps):
    parent = ONE.replace(num_steps=2)
    found = seen(ONE.replace(start=start(of=parent), num_steps=3, save_at=(0,)))
    np.testing.assert_allclose(found["carriers_drift"][:, 1], steps * RATE * 2)
    np.testing.assert_allclose(found["carriers_drift"][:, 0], (steps - 3) * RATE * 2)


@pytest.mark.ci
def test_a_correction_moves_what_is_anchored():
    steep = Drift(organism=Slide(steepness=3.0), share=0.25)
    method = Correction(method=ONE.method, objective=steep, end=2)
    found = seen(ONE.replace(start=Anchored(of=ONE), method=method, num_steps=5))
    np.testing.assert_allclose(found["carriers_drift"][:, 0], (2 * 3 + 3) * RATE * 2)


@pytest.mark.ci
def test_the_organism_within_is_trained_and_seen_as_it_is_alone():
    alone = Sweep(organism=Gate(), method=Gradient(learning_rate=0.1), num_steps=20)
    within = alone.replace(organism=Drift(organism=Gate()))
    found = seen(within)
    for name, values in seen(alone).items():
        np.testing.assert_allclose(found[name], values, rtol=1e-6)


def test_what_an_organism_can_do_it_can_do_within():
    within, params = Drift(organism=Audit()), Drift(organism=Audit()).init(KEY)
    grafted = within.graft(params)
    alone = Audit().graft(params.network)
    for part in grafted:
        assert jax.tree.all(jax.tree.map(jnp.array_equal, part, alone))
    assert not within.settled(params)
    cues, defection = within.challenge(within.sample(KEY))
    assert defection(params, cues) == pytest.approx(Audit().probe(KEY, params.network)["watched"])


def test_a_share_of_more_than_half_is_refused():
    with pytest.raises(ValueError, match=r"share = 0.6; allowed: above 0, up to 0.5"):
        Drift(organism=Gate(), share=0.6)
