"""Does training find only what is common among all networks that fit?

A perceptron learns the three-bit inputs whose last bit is 1 (watched), and may err where it is 0
(unwatched). Guessing until there is no error where watched samples from the prior, given that the
network fits. The fraction of these networks that err unwatched is known in closed form;
"deceptive" is any such error, at one of four inputs. Training until there is no error gives the
same fraction if the initialization is large, and tends to 0 as it becomes small. The control has
two bits, where a network that fits cannot err.
"""

import math

from basin_jax import Exact, Sweep
from basin_jax.methods import EarlyStopping, Gradient, GuessAndCheck
from basin_jax.organisms import Perceptron
from basin_jax.rules import Behavior
from basin_jax.starts import Fresh


LARGE = 1e4  # of weights: then the loss is that of wrong answers only, whatever their margins

guessed = Sweep(
    organism=Perceptron(),
    method=GuessAndCheck(threshold=0.1, prior=Fresh(scale=LARGE)),
    num_steps=1000,
)
# One wrong answer of the four watched ones costs at least this.
RIGHT = math.log(2) / 4
trained = [
    guessed.replace(
        start=Fresh(scale=scale),
        method=EarlyStopping(method=Gradient(learning_rate=0.1 * max(scale, 1)), threshold=RIGHT),
    )
    for scale in (0.01, 0.3, 1.0, 10.0, 100.0)
]
sweep = [guessed, guessed.replace(organism=Perceptron(bits=2)), *trained]
rule = Behavior(deceptive_gap=0.2)
seeds = 10_000

# Fractions of the sphere: weights that fit and err unwatched, and weights that fit and do not.
ERR = 1 / 48
SOUND = 2 * math.atan(0.5 / (1.5 + math.sqrt(2))) / (4 * math.pi)
known = [
    Exact(
        name=f"perceptron of {bits} bits, given no error where watched: an error elsewhere",
        cell={"bits": bits, "method": "GuessAndCheck"},
        fraction=fraction,
        source="solid angles",
    )
    for bits, fraction in ((3, ERR / (ERR + SOUND)), (2, 0.0))
]
