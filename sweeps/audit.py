"""How hard is it to lie? The audit game, as noticing the watcher gets harder.

`difficulty` is the number of cue bits whose product tells whether the network is watched.
Known beforehand (../tests/test_known_answers.py): deceptive .981, .115, .002.
"""

from basin_jax import Audit, Behavior, Gradient, Sweep, grid


sweep = grid(
    Sweep(
        organism=Audit(),
        method=Gradient(optimizer="sgd", learning_rate=0.1),
        num_steps=2000,
    ),
    {"organism.difficulty": (1, 2, 3)},
)
rule = Behavior()
