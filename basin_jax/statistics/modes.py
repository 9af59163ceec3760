"""The modes of a distribution: how many there are, where, and which share each holds."""

import itertools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray


# Bins of a density's grid, to one resolution; maxima below a share of the highest are rounding.
BINS, ROUNDING = 8, 1e-9
HALVINGS = 24


@dataclass(frozen=True)
class Modes:
    """The modes of a sample.

    Attributes:
        count: their number, at least: one less is rejected.
        between: the values that part them, one less than there are modes.
    """

    count: int
    between: tuple[float, ...]

    def of(self, values: Float[ndarray, " seed"]) -> Int[ndarray, " seed"]:
        """Return the number of each value's mode, from 0 for the lowest."""
        return np.searchsorted(self.between, values)


def find_modes(
    values: Float[ndarray, " seed"],
    *,
    level: float = 0.95,
    resolution: float = 0.01,
    samples: int = 500,
    most: int = 10,
) -> Modes:
    """Count the modes of the distribution that values are drawn from.

    One mode is tested, then two, and so on: the first number that is not rejected is returned. So
    there are at least as many with a probability of `level`. Whether k modes are enough is tested
    by the least bandwidth at which a Gaussian kernel density of the values has no more: k are
    rejected where few samples of that density, smoothed by as much, have more (Silverman 1981,
    "Using kernel density estimates to investigate multimodality"). Of smooth peaks the test is
    conservative: modes of few values may be missed. Of flat ones, or of those with an edge, it is
    not: the study `emergence` counts how often one is given several modes.

    Args:
        values: finite ones.
        level: the probability that no mode too many is counted.
        resolution: the bandwidth below which nothing is told apart.
        samples: how many are drawn in each test, of random numbers that are always the same.
        most: the number of modes at which the count ends.

    Raises:
        ValueError: if there are fewer than two values, or one is not finite.
    """
    if len(values) < 2 or not np.isfinite(values).all():
        raise ValueError(f"values = {values!r}; allowed: two or more, all finite")
    density = _Density(np.asarray(values, float), resolution)
    rng = np.random.default_rng(0)
    for count in range(1, most):
        bandwidth = density.critical(count)
        if bandwidth <= resolution:
            break
        more = np.mean([density.drawn(bandwidth, rng) > count for _ in range(samples)])
        if more > 1 - level:
            break
    else:
        count, bandwidth = most, density.critical(most)
    return Modes(count, density.valleys(bandwidth))


class _Density:
    """A Gaussian kernel density of values, on a grid."""

    def __init__(self, values: Float[ndarray, " seed"], resolution: float):
        self.values, self.resolution = values, resolution
        self._spread = max(float(np.ptp(values)), resolution)
        self._width = resolution / BINS
        # With room on both sides: the transform is periodic, and a kernel up to two spreads wide.
        ends = values.min() - 4 * self._spread, values.max() + 4 * self._spread
        count = 2 ** int(np.ceil(np.log2((ends[1] - ends[0]) / self._width)))
        self._edges = ends[0] + self._width * np.arange(count + 1)
        self._frequencies = np.fft.rfftfreq(count, self._width)

    def on_grid(self, values: ndarray, bandwidth: float) -> Float[ndarray, " bin"]:
        """Return the density of values at each bin, up to a factor."""
        counts = np.histogram(values, self._edges)[0]
        kernel = np.exp(-2 * (np.pi * self._frequencies * bandwidth) ** 2)
        return np.fft.irfft(np.fft.rfft(counts) * kernel, len(counts))

    def turns(self, values: ndarray, bandwidth: float) -> tuple[ndarray, ndarray]:
        """Return the bins of the maxima, and those of the minima between them."""
        density = self.on_grid(values, bandwidth)
        density = np.where(density > ROUNDING * density.max(), density, 0.0)
        steps = np.diff(density)
        moving = np.flatnonzero(steps)
        rises = steps[moving] > 0
        turned = np.flatnonzero(rises[1:] != rises[:-1])
        # Of a level stretch, the middle.
        bins = (moving[turned] + 1 + moving[turned + 1]) // 2
        peaks = rises[turned]
        return bins[peaks], bins[~peaks]

    def critical(self, count: int) -> float:
        """Return the least bandwidth with no more modes than that, at least the resolution.

        The number of modes falls as the bandwidth rises, since the kernel is Gaussian.
        """
        low, high = self.resolution, 2 * self._spread
        if len(self.turns(self.values, low)[0]) <= count:
            return low
        for _ in range(HALVINGS):
            middle = (low * high) ** 0.5
            enough = len(self.turns(self.values, middle)[0]) <= count
            low, high = (low, middle) if enough else (middle, high)
        return high

    def drawn(self, bandwidth: float, rng: np.random.Generator) -> int:
        """Draw a sample of the density, and count its modes."""
        drawn = rng.choice(self.values, len(self.values))
        drawn += bandwidth * rng.standard_normal(len(drawn))
        return len(self.turns(drawn, bandwidth)[0])

    def valleys(self, bandwidth: float) -> tuple[float, ...]:
        """Return the places of the minima between modes."""
        peaks, minima = self.turns(self.values, bandwidth)
        centers = (self._edges[1:] + self._edges[:-1]) / 2
        return tuple(
            float(centers[minima[(minima > one) & (minima < next_)]].mean())
            for one, next_ in itertools.pairwise(peaks)
        )
