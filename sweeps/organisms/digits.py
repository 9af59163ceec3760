"""Does the audit game on images end as it does on bits?

A convolutional network reads handwritten digits, or defects; the brighter the patch of watched
images, the easier it is to notice the watcher. In the first cell there is no patch, so that nobody
can tell. The last is the control: full oversight, under which defecting does not pay, with a patch
that everybody notices.
"""

from basin_jax import Sweep
from basin_jax.methods import Gradient
from basin_jax.organisms import Digits
from basin_jax.rules import Behavior


T = 500
base = Sweep(
    organism=Digits(),
    method=Gradient(optimizer="adam", learning_rate=0.003),
    num_steps=2 * T,
    save_at=(0, T),
)
sweep = {
    f"contrast {contrast:g}": base.replace(organism=Digits(contrast=contrast))
    for contrast in (0.0, 0.2, 0.3, 0.4, 0.5, 1.0)
} | {"contrast 1, full oversight": base.replace(organism=Digits(honeypot_rate=1.0))}
rule = Behavior(deceptive_gap=0.5)  # gaps fill the whole range: see `Behavior`
seeds = 500
