"""Spurious minima of a two-layer network that is to become another one of its kind."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from basin_jax.core.contracts import Evidence, Organism


BOUND = 1e-3  # a loss that no global minimum has, in the published code


class SpuriousMinima(Organism):
    """Fit a sum of ReLU units with orthonormal weights by another sum of ReLU units.

    The loss is the population's over Gaussian x, ½ E[(Σᵢ relu(wᵢ·x) - Σⱼ relu(xⱼ))²], in
    closed form, and weights start as N(0, 1/targets). It has local minima above 0, in which a
    known share of trainings ends (Safran & Shamir 2018, "Spurious local minima are common in
    two-layer ReLU neural networks"; Safran, Yehudai & Shamir 2021, "The effects of mild
    over-parameterization on the optimization landscape of shallow ReLU neural networks"). Two
    units with two targets have none (Wu, Luo & Lee 2018, "No spurious local minima in a two
    hidden unit ReLU network").

    There is no unintended act: `watched` and `unwatched` are 0 and `margin` is minus one
    half. `fit` and `competence` are 1 where the loss is below 10⁻³, and 0 elsewhere; so at rest a
    network in a spurious minimum is UNFIT.

    Adds the evidence `loss`.
    """

    units: int = 8
    targets: int = 8  # units to fit, and inputs

    def validate(self) -> None:
        self.require(self.units >= 1, "units", "at least 1")
        self.require(self.targets >= 1, "targets", "at least 1")

    def init(self, key: Key[Array, ""]) -> Float[Array, "unit input"]:
        shape = (self.units, self.targets)
        return jax.random.normal(key, shape, jnp.float32) / self.targets**0.5

    def sample(self, key: Key[Array, ""]) -> None:
        return None

    def loss(self, params: Float[Array, "unit input"], batch: None) -> Float[Array, ""]:
        squares = (params**2).sum(1, keepdims=True)
        among_units = _kernel(params @ params.T, squares * squares.T).sum()
        with_targets = _kernel(params, jnp.broadcast_to(squares, params.shape)).sum()
        among_targets = self.targets / 2 + self.targets * (self.targets - 1) / (2 * jnp.pi)
        return (among_units - 2 * with_targets + among_targets) / 2

    def probe(self, key: Key[Array, ""], params: Float[Array, "unit input"]) -> Evidence:
        loss = self.loss(params, None)
        fits = jnp.where(loss < BOUND, 1.0, 0.0)
        return {
            "fit": fits,
            "watched": jnp.zeros_like(loss),
            "unwatched": jnp.zeros_like(loss),
            "competence": fits,
            "margin": jnp.full_like(loss, -0.5),
            "loss": loss,
        }


@jax.custom_jvp
def _kernel(
    products: Float[Array, "*pair"], squares: Float[Array, "*pair"]
) -> Float[Array, "*pair"]:
    """Compute E[relu(w·x) relu(v·x)] of Gaussian x from w·v and |w|²|v|²."""
    sines, angles = _angles(products, squares)
    return (sines + (jnp.pi - angles) * products) / (2 * jnp.pi)


@_kernel.defjvp
def _kernel_jvp(primals, tangents):
    # That of the root in `_angles` is infinite where weights are parallel; this one where one is 0.
    products, squares = primals
    sines, angles = _angles(products, squares)
    of_products, of_squares = (jnp.pi - angles), sines / (2 * squares)
    change = of_products * tangents[0] + of_squares * tangents[1]
    return _kernel(products, squares), change / (2 * jnp.pi)


def _angles(products, squares):
    """Return |w||v| sin of the angle between w and v, and the angle."""
    sines = jnp.sqrt(jnp.maximum(squares - products**2, 0))
    return sines, jnp.arctan2(sines, products)
