"""Gates of three factors: the distribution of their critical scale is known."""

from basin_jax.core.fresh import Fresh
from basin_jax.core.sweep import Sweep
from basin_jax.methods.gradient import Gradient
from basin_jax.organisms.gate import Gate
from basin_jax.studies.controls.double_well import RULE
from basin_jax.studies.framework.lab import FINE, Bisection, Lab
from basin_jax.studies.framework.rows import Row, share


# For each scale of the gate's start the fraction deceptive, by quadrature (tests/gate_oracle.py).
GATE = Sweep(
    organism=Gate(), start=Fresh(), method=Gradient(learning_rate=0.05, l2=0.02), num_steps=8000
)
SHARES = {0.3: 0.581808, 0.5: 0.824222, 0.8: 0.932616}


def scales(seeds: int) -> dict[str, Bisection]:
    """Bisect the scale from which on each gate ends deceptive."""
    return {
        "gate": Bisection(
            sweep=GATE,
            path="organism.scale",
            seeds=seeds,
            between=(0.01, 4.0),
            rule=RULE,
            halvings=FINE,
        )
    }


def critical_scales(lab: Lab) -> list[Row]:
    """Fractions of gates with a critical scale up to some values (expected: derived)."""
    return [
        share(
            f"gate/scale<={scale:g}",
            f"gate: critical scale at most {scale:g}",
            lab.bisections["gate"]["high"].to_numpy() <= scale,
            num_intervals=len(SHARES),
            kind="known",
            expected=known,
        )
        for scale, known in SHARES.items()
    ]
