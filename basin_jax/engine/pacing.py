"""Choose the steps of each kernel call so that calls take equal time."""

import time

from basin_jax.engine.waiting import Patience


# Steps of the first call, and the most by which a call is longer than the one before.
FIRST_STEPS, GROWTH = 64, 32


class StepBudget:
    """Choose the number of steps that take a number of seconds, from the time of the last call.

    A call that does not end is given up when `patience` is.
    """

    def __init__(
        self,
        seconds: float,
        steps: int = FIRST_STEPS,
        patience: Patience = Patience(),  # noqa: B008 (frozen)
    ):
        self.seconds, self.steps, self.began = seconds, steps, time.perf_counter()
        self.patience = patience

    def restart(self) -> None:
        """Exclude the time since the last call."""
        self.began = time.perf_counter()

    def next(self, multiple_of: int) -> int:
        """Return the number of steps of the next call."""
        return min(-(-self.steps // multiple_of) * multiple_of, 2**31 - 1)

    def record(self, steps: int) -> None:
        now = time.perf_counter()
        factor = min(self.seconds / (now - self.began), GROWTH)
        self.steps, self.began = max(int(steps * factor), 1), now
