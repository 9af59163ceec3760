"""The Gaussian mass of a set around a point, by rays along which it is integrated exactly."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from jaxtyping import Array, Bool, Float, Int, Key


# Nodes of the quadrature along a ray, over the places where the integrand is above e^-DROP of its
# largest value: it is accurate to the last digits of a float.
NODES, WEIGHTS = np.polynomial.legendre.leggauss(48)
DROP = 40.0
HALVINGS = 30
# Radii at which a ray is tried before its exit is bisected: each √2 times the last. An exit's error
# counts as many times as there are dimensions.
TRIED, BISECTED = 13, 13
# No integral is taken over nothing.
LEAST = 1e-30
Z = 1.96  # of a two-sided interval of 95 %
MARKOV = 0.025  # the probability of a mean 1 / MARKOV times as large as what it estimates, at most


class Proposal(NamedTuple):
    """A Gaussian distribution of displacements, whose directions are those of the rays.

    A displacement is `axes @ (scales * (mean + noise))`, with standard normal noise.
    """

    axes: Float[Array, "dim dim"]  # orthogonal
    scales: Float[Array, " dim"]
    mean: Float[Array, " dim"]


class LogMass(NamedTuple):
    """The logarithm of a mean of weights, its interval of 95 %, and how many rays count.

    Its high end is that of a normal approximation. The low end is no lower than Markov's inequality
    lets it be, which holds for any distribution of the weights.
    """

    value: Float[Array, ""]
    low: Float[Array, ""]
    high: Float[Array, ""]
    rays: Float[Array, ""]  # effective


def log_radial(
    dim: int,
    slope: Float[Array, "*ray"],
    curvature: Float[Array, "*ray"],
    end: Float[Array, "*ray"],
) -> Float[Array, "*ray"]:
    """Compute the logarithm of ∫ r^(dim - 1) exp(-slope r - curvature r²/2) dr from 0 to `end`.

    The integrand is log-concave. It is integrated where it is not negligible, around its peak or
    up to the end, by Gauss and Legendre.
    """
    peak = jnp.maximum(jnp.minimum(_mode(dim, slope, curvature), end), LEAST)

    def fall(x: Float[Array, "*ray"]) -> Float[Array, "*ray"]:
        """Compute by how much the logarithm falls from the peak to a distance from it."""
        bent = curvature * x * x / 2 - (dim - 1) * jnp.log1p(x / peak)
        return (slope + curvature * peak) * x + bent

    before = _first(lambda x: fall(-x) > DROP, peak * (1 - 1e-6))
    after = _first(lambda x: fall(x) > DROP, _tail(curvature))
    after = jnp.minimum(after, end - peak)
    middle, half = (after - before) / 2, (after + before) / 2
    falls = jnp.stack([fall(middle + node * half) for node in NODES.tolist()])
    weights = jnp.asarray(WEIGHTS, falls.dtype).reshape(-1, *[1] * peak.ndim)
    top = (dim - 1) * jnp.log(peak) - slope * peak - curvature * peak * peak / 2
    return top + jnp.log(jnp.maximum(half, LEAST)) + logsumexp(-falls, axis=0, b=weights)


def log_weights(
    key: Key[Array, ""],
    inside: Callable[[Float[Array, " dim"]], Bool[Array, ""]],
    center: Float[Array, " dim"],
    proposal: Proposal,
    rays: int,
) -> Float[Array, " ray"]:
    """Draw rays from a point, and compute the logarithm of the weight of each.

    The mean of the weights estimates, without bias, the standard normal mass of what the rays see
    of a set: all that lies between the point and where a ray first leaves the set. Along a
    ray the mass is integrated; which directions are drawn more often by the proposal is undone.
    With the whole space as the set, and the prior as the proposal, each weight is 1.

    Args:
        key: of the directions.
        inside: whether a displacement from the point is in the set.
        center: the point.
        proposal: of the displacements.
        rays: their number.
    """
    dim = center.size
    noise = jax.random.normal(key, (rays, dim), jnp.float32).astype(center.dtype)
    drawn = proposal.mean[None] + noise
    unit = drawn / jnp.linalg.norm(drawn, axis=1, keepdims=True)
    steps = unit * proposal.scales[None]  # in the proposal's axes, for each unit of the radius
    slope, curvature = steps @ (proposal.axes.T @ center), (steps * steps).sum(1)
    reach = _mode(dim, slope, curvature) + _tail(curvature)  # of the prior along a ray

    def exit_of(step: Float[Array, " dim"], reach: Float[Array, ""]) -> Float[Array, ""]:
        return first_exit(lambda radius: inside(radius * step), reach)

    ends = jax.vmap(exit_of)(steps @ proposal.axes.T, reach)
    mass = log_radial(dim, slope, curvature, ends)
    along = unit @ proposal.mean
    ones = jnp.ones_like(along)
    density = log_radial(dim, -along, ones, jnp.full_like(along, jnp.inf))
    moved = (proposal.mean @ proposal.mean - center @ center) / 2
    return jnp.log(proposal.scales).sum() + moved + mass - density


def first_exit(
    inside: Callable[[Float[Array, ""]], Bool[Array, ""]], reach: Float[Array, ""]
) -> Float[Array, ""]:
    """Find the radius at which a ray first leaves a set; infinite if it does not within `reach`.

    Radii are tried from the smallest on; between the last inside and the first outside the exit is
    bisected. A gap narrower than the distance of two radii may be missed.
    """
    radii = reach * jnp.sqrt(2.0) ** -jnp.arange(TRIED, dtype=reach.dtype)[::-1]
    outside = ~jax.vmap(inside)(radii)
    first = jnp.argmax(outside)
    low = jnp.where(first > 0, radii[first - 1], 0)

    def halve(_: Int[Array, ""], ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = (low + high) / 2
        into = inside(middle)
        return jnp.where(into, middle, low), jnp.where(into, high, middle)

    low, _ = jax.lax.fori_loop(0, BISECTED, halve, (low, radii[first]))
    return jnp.where(outside.any(), low, jnp.inf)


def log_mean(weights: Float[Array, " ray"]) -> LogMass:
    """Estimate the logarithm of the mean of weights, given by their logarithms."""
    count = weights.size
    value = logsumexp(weights) - jnp.log(float(count))
    rays = jnp.exp(2 * logsumexp(weights) - logsumexp(2 * weights))
    error = jnp.sqrt(jnp.maximum(count / rays - 1, 0) / max(count - 1, 1))
    low = jnp.log(jnp.maximum(1 - Z * error, MARKOV))
    return LogMass(value, value + low, value + jnp.log1p(Z * error), rays)


def _mode(dim: int, slope: Array, curvature: Array) -> Array:
    """Compute where the integrand along a ray is largest, from 0 on."""
    root = jnp.sqrt(slope * slope + 4 * curvature * (dim - 1))
    far = (root - slope) / (2 * curvature)
    near = 2 * (dim - 1) / jnp.maximum(root + slope, LEAST)  # the same, without cancellation
    return jnp.where(slope < 0, far, near)


def _tail(curvature: Array) -> Array:
    """Compute a distance beyond the mode from which on the integrand is negligible."""
    return jnp.sqrt(2 * DROP / curvature)


def _first(beyond: Callable[[Array], Array], most: Array) -> Array:
    """Bisect the first distance at which something holds, up to `most`."""

    def halve(_: Int[Array, ""], ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = (low + high) / 2
        far = beyond(middle)
        return jnp.where(far, low, middle), jnp.where(far, middle, high)

    return jax.lax.fori_loop(0, HALVINGS, halve, (jnp.zeros_like(most), most))[1]
