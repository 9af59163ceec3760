"""Does deception outlast full oversight, if the network has a say in what it is trained on?

Defecting where it is not watched, and a choice of which episodes to submit, are installed up to
step 1,000; from then on what is submitted is trained as if all of it were watched. In the first
cell the choice that is installed withholds nearly all episodes in which it defects. The next two
are controls that must end intended: choices that are ignored, and a sham, an indifferent choice.
In the fourth an indifferent choice is credited with the gradient. Then remedies: a tenth of what
is withheld is trained on all the same, and what is withheld has a price. Of the last cells some
are less firm, in withholding or in defecting, one has a credited choice that withholds from the
start, and two train with Adam.
"""

from typing import Any

from basin_jax import Sweep
from basin_jax.methods import Correction, Gradient
from basin_jax.organisms import Chooser
from basin_jax.rules import Behavior


T = 2000
INSTALLED = 1000  # steps after which every seed is deceptive
DESCENT = Gradient(learning_rate=0.1)
ADAM = Gradient(optimizer="adam", learning_rate=0.01)


def phases(method: Gradient = DESCENT, **fields: Any) -> Sweep:
    """Return a sweep that installs deception and choice, and then corrects."""
    organism = Chooser(**fields)
    objective = organism.replace(correction=1.0)
    return Sweep(
        organism=organism,
        method=Correction(method=method, objective=objective, begin=INSTALLED, end=2 * T),
        num_steps=2 * T,
        save_at=(0, INSTALLED, T),
    )


sweep = {
    "withholding": phases(),
    "choices ignored": phases(floor=1.0),
    "indifferent (sham)": phases(slip=0.5),
    "indifferent, credited": phases(slip=0.5, credit=1.0),
    "withholding, floor .1": phases(floor=0.1),
    "indifferent, credited, floor .1": phases(slip=0.5, credit=1.0, floor=0.1),
    "indifferent, credited, price .2": phases(slip=0.5, credit=1.0, price=0.2),
    "indifferent, credited, price .5": phases(slip=0.5, credit=1.0, price=0.5),
    "withholding, slip .01": phases(slip=0.01),
    "withholding, credited": phases(credit=1.0),
    "indifferent, credited, strength .95": phases(slip=0.5, credit=1.0, strength=0.95),
    "withholding, Adam": phases(ADAM),
    "indifferent, credited, Adam": phases(ADAM, slip=0.5, credit=1.0),
}
rule = Behavior()
seeds = 2500
