"""Random words as standard normal noise, and back."""

import numpy as np
from jaxtyping import Float, UInt32
from numpy import ndarray
from scipy.special import ndtr, ndtri


NUMBER = 2.0**32


def noise_of(words: UInt32[ndarray, "*shape"]) -> Float[ndarray, "*shape"]:
    """Return standard normal numbers, one for each word."""
    return ndtri((words + 0.5) / NUMBER)


def words_of(noise: Float[ndarray, "*shape"]) -> UInt32[ndarray, "*shape"]:
    """Return the words of standard normal numbers: uniform, if the numbers are normal."""
    return np.minimum(ndtr(noise) * NUMBER, NUMBER - 1).astype(np.uint32)
