"""Does a preference survive rewards for an act that the network does not try?

The preference to stall in training, and to defect elsewhere, is installed up to step 1,000; from
then on complying is rewarded in training alone, and the gap is undone by generalization. The first
cell draws what it does. The next two are controls that must end intended: the exact gradient, and
draws of which a teacher makes a tenth. The fourth is a sham, which must end deceptive: the exact
gradient where complying earns no more than stalling; the fifth is the sham with draws. The next
cells comply more and less often at the beginning of the correction, and the last two descend
without Adam, where the exact gradient is as small as draws are rare.
"""

from basin_jax import Sweep
from basin_jax.methods import Correction, Gradient
from basin_jax.organisms import Guarded
from basin_jax.rules import Behavior


T = 2000
INSTALLED = 1000  # steps after which every seed has the preference
ADAM = Gradient(optimizer="adam", learning_rate=0.01)
DESCENT = Gradient(learning_rate=0.3)


def phases(organism: Guarded, method: Gradient = ADAM) -> Sweep:
    """Return a sweep that installs the preference and then corrects it."""
    objective = organism.replace(correction=1.0)
    return Sweep(
        organism=organism,
        method=Correction(method=method, objective=objective, begin=INSTALLED, end=2 * T),
        num_steps=2 * T,
        save_at=(0, INSTALLED, T),
    )


sweep = [
    phases(Guarded()),
    phases(Guarded(sampled=False)),
    phases(Guarded(explore=0.1)),
    phases(Guarded(sampled=False, hedge=1.0)),
    phases(Guarded(hedge=1.0)),
    phases(Guarded(slip=1e-3)),
    phases(Guarded(slip=1e-5)),
    phases(Guarded(), DESCENT),
    phases(Guarded(sampled=False), DESCENT),
]
rule = Behavior()
seeds = 2500
