"""The modes of a distribution: how many there are, where, and which share each holds."""

import itertools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray


# Of 10,000 uniform values, times the root of their number: the quantiles of the distance to the
# nearest distribution whose density falls, by level, from 100,000 samples (standard errors below
# .006). Of fewer values they are smaller.
QUANTILES = {0.5: 0.479, 0.9: 0.667, 0.95: 0.731, 0.99: 0.859, 0.999: 1.002}
FAR = 1e6  # spreads of the values, over which a tail is level


@dataclass(frozen=True)
class Modes:
    """The modes of a sample.

    Attributes:
        count: their number, at least: no distribution with fewer is near enough to the sample.
        between: the values that part them, one less than there are modes.
    """

    count: int
    between: tuple[float, ...]

    def of(self, values: Float[ndarray, " seed"]) -> Int[ndarray, " seed"]:
        """Return the number of each value's mode, from 0 for the lowest."""
        return np.searchsorted(self.between, values)


class _Knot(NamedTuple):
    """A point of the plane that a distribution function may not pass on one side."""

    value: float
    height: float


def find_modes(
    values: Float[ndarray, " seed"], *, level: float = 0.95, resolution: float = 0.01
) -> Modes:
    """Count the modes of the distribution that values are drawn from.

    They are the fewest of any distribution within `radius` of the values, by the largest difference
    of the distribution functions, where each value is moved by up to half of the resolution; those
    of the taut string (Davies and Kovac 2001, "Local extremes, runs, strings and multiresolution").
    So there are at least as many with a probability of `level`, or more. The distance to those with
    one mode is the dip (Hartigan and Hartigan 1985, "The dip test of unimodality"). It is compared
    not with that of a uniform distribution, but with what is larger: the distance to densities that
    fall, to which it comes where a peak at the edge of a flat density leaves the mode no choice.
    That no other shape strays farther is not proved. Of several modes each has a part of the seeds,
    and errs less. A mode that holds a share below twice the radius may be missed.

    Args:
        values: finite ones.
        level: the probability that no mode too many is counted; one of `QUANTILES`.
        resolution: the distance within which nothing is told apart.

    Raises:
        ValueError: if there are fewer than two values, or one is not finite; if the level is none
            of those, or the resolution is not positive.
    """
    values = np.asarray(values, float)
    if len(values) < 2 or not np.isfinite(values).all():
        raise ValueError(f"values = {values!r}; allowed: two or more, all finite")
    if not resolution > 0:
        raise ValueError(f"resolution = {resolution!r}; allowed: above 0")
    bends = _bends(values, radius(len(values), level), resolution)
    # The slope falls after a point that the string passes above, and rises after one below.
    between = [
        (one.value + other.value) / 2
        for (one, above), (other, next_above) in itertools.pairwise(bends)
        if above and not next_above
    ]
    return Modes(len(between) + 1, tuple(between))


def radius(seeds: int, level: float) -> float:
    """Return how far a sample strays from distributions with as many modes, at most, by level.

    Raises:
        ValueError: if the level is none of `QUANTILES`.
    """
    if level not in QUANTILES:
        raise ValueError(f"level = {level!r}; allowed: {', '.join(map(str, QUANTILES))}")
    return QUANTILES[level] / seeds**0.5


def _bends(
    values: Float[ndarray, " seed"], radius: float, resolution: float
) -> list[tuple[_Knot, bool]]:
    """Find the points at which the taut string bends, and whether it passes above each.

    It is the shortest way from no seed to all of them between the points that a distribution
    function has to pass above, and those that it has to pass below. It is found with a funnel: the
    shortest ways from the last bend that is certain to the latest points of both kinds.
    """
    places, counts = np.unique(values, return_counts=True)
    ends = counts.cumsum() / len(values)
    begins = ends - counts / len(values)
    above = [(_Knot(*at), True) for at in zip(places + resolution / 2, ends - radius, strict=True)]
    below = [
        (_Knot(*at), False) for at in zip(places - resolution / 2, begins + radius, strict=True)
    ]
    away = FAR * (places[-1] - places[0] + resolution)
    start, end = _Knot(places[0] - away, 0.0), _Knot(places[-1] + away, 1.0)
    knots = sorted(above + below, key=lambda knot: knot[0].value)
    ways: dict[bool, list[_Knot]] = {True: [start], False: [start]}
    bends = []
    for knot, over in [*knots, (end, False)]:
        own, other = ways[over], ways[not over]
        sign = 1 if over else -1
        while len(own) > 1 and sign * _turn(own[-2], own[-1], knot) >= 0:
            own.pop()
        own.append(knot)
        while len(own) == 2 and len(other) > 1 and sign * _turn(own[0], other[1], knot) > 0:
            bends.append((other[1], not over))
            other.pop(0)
            own[0] = other[0]
    return bends + [(knot, False) for knot in ways[False][1:-1]]


def _turn(first: _Knot, second: _Knot, third: _Knot) -> float:
    """Return a number above 0 if the way through three points turns left, so that it steepens."""
    return (second.value - first.value) * (third.height - second.height) - (
        second.height - first.height
    ) * (third.value - second.value)
