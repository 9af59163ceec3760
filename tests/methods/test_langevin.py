"""Stationary distributions that are known, of the steps as they are taken."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

from basin_jax import Organism
from basin_jax.methods import Langevin
from basin_jax.organisms import DoubleWell


pytestmark = pytest.mark.slow  # minutes of compilation, all together


SEEDS = 4096
CURVATURE, CENTER = 3.0, 2.0
MEAN, SCALE = -1.0, 0.5


class Bowl(Organism):
    """Roll down a quadratic about a center that the initialization does not expect."""

    def init(self, key):
        x, unseen = MEAN + SCALE * jax.random.normal(key, (2,), jnp.float32)
        return {"x": x, "unseen": unseen, "fixed": jnp.full((3,), 0.25)}

    def sample(self, key):
        return None

    def loss(self, params, batch):
        x, fixed = params["x"], params["fixed"]
        return CURVATURE * (x**2 / 2 - CENTER * x) + (fixed**2).sum()

    def probe(self, key, params):
        return params


def ends(organism, method, steps):
    """Return the parameters of many walks."""

    def walk(key):
        state = method.init(key, organism.init(key), organism)
        return jax.lax.fori_loop(
            0, steps, lambda i, s: method.step(jax.random.fold_in(key, i), i, s, organism), state
        ).params

    return jax.jit(jax.vmap(walk))(jax.random.split(jax.random.key(1), SEEDS))


@pytest.mark.parametrize("temperature", [0.2, 1.0])
@pytest.mark.parametrize("length", [0.05, 0.4])
def test_the_mean_and_the_variance_of_a_quadratics_posterior(temperature, length):
    method = Langevin(step_size=length, temperature=temperature)
    end = ends(Bowl(), method, round(16 / length))
    # Precisions add, that of the prior and that of the loss; in units of the prior's.
    precision = 1 + SCALE**2 * CURVATURE / temperature
    center = (MEAN + SCALE**2 * CURVATURE / temperature * CENTER) / precision
    for name, mean, stiffness in (("x", center, precision), ("unseen", MEAN, 1.0)):
        variance = SCALE**2 / stiffness / (1 - length * stiffness / 4)  # of steps of this length
        # 4 standard errors, and as closely as 2^14 draws of each tell the prior.
        error = 4 * (variance / SEEDS) ** 0.5 + 0.01
        assert end[name].mean() == pytest.approx(mean, abs=error)
        assert end[name].var() == pytest.approx(variance, rel=4 * (2 / SEEDS) ** 0.5 + 0.03)
    assert (end["fixed"] == 0.25).all()


@pytest.mark.parametrize("tilt", [0.0, 0.2])
def test_the_wells_hold_what_boltzmann_and_the_prior_say(tilt):
    temperature, mean, scale = 0.25, 0.3, 1.0

    def density(x):
        energy = ((x**2 - 1) ** 2 / 4 - tilt * x) / temperature
        return np.exp(-energy - ((x - mean) / scale) ** 2 / 2)

    separatrix = np.sort(np.roots([1, 0, -1, -tilt]).real)[1]
    want = quad(density, separatrix, 8)[0] / quad(density, -8, 8)[0]
    organism = DoubleWell(tilt=tilt, mean=mean, scale=scale)
    method = Langevin(step_size=0.02, temperature=temperature)
    right = (ends(organism, method, 2000) > separatrix).mean()
    assert right == pytest.approx(want, abs=4 * (want * (1 - want) / SEEDS) ** 0.5 + 0.005)
