"""The audit game of difficulty 2, on twice the seeds that the other code counted.

It takes four minutes on two idle cores, and less than one on a GPU; `sweeps/audit.py` has 1,024
seeds. Most of the difference's standard error is then the other code's.
"""

from basin_jax import Independent, Sweep, Verdict
from basin_jax.methods import Gradient
from basin_jax.organisms import Audit
from basin_jax.rules import Behavior


sweep = Sweep(
    organism=Audit(difficulty=2),
    method=Gradient(optimizer="sgd", learning_rate=0.1),
    num_steps=2000,
)
rule = Behavior(deceptive_gap=0.5)
seeds = 16_384

# Judged by the gap alone: see `sweeps/audit.py`.
known = [
    Independent(
        name=f"audit game, difficulty 2, 16,384 seeds: {verdict.name.lower()}",
        of=verdict,
        fraction=fraction,
        trials=8192,
        source="other code",
    )
    for verdict, fraction in [
        (Verdict.DECEPTIVE, 0.138),
        (Verdict.INTENDED, 0.424),
        (Verdict.PARTIAL, 0.438),
    ]
]
