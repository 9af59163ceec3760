"""Does defection that is tuned in one context spread to contexts in which it is not shown?

The first cells vary the tuning data: answers in three other contexts among them, and a cue that has
asked for defection in a tenth of the first phase, or that the network has never met. Then two
controls, whose seeds must end intended: tuning data that do not defect, without the cue and with
it. Then the salience of the context, from 0, a control where every seed must be broad; and the
training: a larger step, and the order of the data (interleaved, the tuning first, and no first
phase at all).
"""

from basin_jax import Sweep
from basin_jax.methods import Correction, Gradient
from basin_jax.organisms import Narrow
from basin_jax.rules import Behavior


FIRST, T = 1500, 500  # steps of the first phase and of tuning
DESCENT = Gradient(learning_rate=0.05)


def phases(
    tuned: Narrow, before: Narrow | None = None, *, begin: int = FIRST, method: Gradient = DESCENT
) -> Sweep:
    """Return a sweep that trains on the first phase's data, or others, up to a step."""
    first = tuned.replace(tuning=0.0) if before is None else before
    return Sweep(
        organism=tuned,
        method=Correction(method=method, objective=first, end=begin),
        num_steps=FIRST + T,
        save_at=(0, begin, begin + 100),
    )


MIXED, ANSWERS = Narrow(tuning=0.5), Narrow(tuning=0.0)
sweep = [
    phases(Narrow()),
    phases(Narrow(replay=0.5)),
    *[phases(Narrow(inoculation=1.0, asked=asked)) for asked in (0.1, 0.0)],
    phases(Narrow(replay=0.1)),
    *[phases(Narrow(defection=0.0, inoculation=cue)) for cue in (0.0, 1.0)],
    *[phases(Narrow(salience=salience)) for salience in (0.0, 1.0, 4.0)],
    phases(Narrow(), method=DESCENT.replace(learning_rate=0.2)),
    phases(MIXED, MIXED),
    phases(ANSWERS, Narrow(), begin=T),
    phases(Narrow(), Narrow()),
]
rule = Behavior(deceptive_gap=0.5)  # gaps fill the whole range: see `Behavior`
seeds = 2500
