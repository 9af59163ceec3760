"""Wait for the calls of compiled programs, of which some may never end."""

import math
import time
from dataclasses import dataclass, field
from typing import Any

from basin_jax.interrupts import GaveUp, Interrupted, Stop, give_up


# Seconds that a call may still take after a signal: some times what calls take.
AFTER_SIGNAL = 10.0


@dataclass(frozen=True)
class Patience:
    """How long a call is waited for.

    Attributes:
        seconds: after so many it is given up.
        stop: the signal that was received, if any: then a call is not waited for much longer.
    """

    seconds: float = math.inf
    stop: Stop = field(default_factory=Stop)

    def wait_for(self, value: Any) -> None:
        """Wait for a result of a call.

        Raises:
            GaveUp: if the call has not ended in time.
            Interrupted: if it has not ended for some seconds after a signal.
        """
        pause, began, signaled = 1e-4, time.monotonic(), math.inf
        try:
            while not value.is_ready():
                now = time.monotonic()
                if now - began > self.seconds:
                    give_up(value)
                    raise GaveUp(f"gave up a call that has not ended after {self.seconds:g} s")
                if self.stop.signum is not None:
                    signaled = min(signaled, now)
                    if now - signaled > AFTER_SIGNAL:
                        raise Interrupted(self.stop.signum)
                time.sleep(pause)  # in Python, so that signals are heard
                pause = min(2 * pause, 5e-3)
        except Interrupted as stopped:
            give_up(value, 128 + stopped.signum)
            raise
