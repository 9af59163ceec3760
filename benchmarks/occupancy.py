"""Print the resources of each CUDA kernel, by NVRTC, for a GPU that need not be there.

    uv run python benchmarks/occupancy.py [ARCHITECTURE]

Prints the table of `docs/performance.md`: of each case and precision the program by fragments, and
the one by loops that threads share.
"""

import functools
import sys

from basin_jax.bench.cases import CASES
from basin_jax.compiler.cuda import emitter, fragments
from basin_jax.compiler.cuda.build import compiled
from basin_jax.compiler.cuda.program import blocks_at_once, most_memory
from basin_jax.compiler.lowering import graph_of
from basin_jax.core.trial import numerics, signature_of
from basin_jax.engine.backends import step_of


HEADINGS = (
    *("case", "precision", "program", "KiB a seed", "threads", "seeds a multiprocessor"),
    *("barriers", "registers", "bytes spilled"),
)
PROGRAMS = {"fragments": fragments.emit, "loops": emitter.emit}


def resources(case, precision: str, name: str, architecture: str) -> tuple[object, ...]:
    """Return what a kernel takes of a multiprocessor, as `HEADINGS` names it."""
    signature = signature_of(case.sweep.replace(precision=precision))
    with numerics(signature.precision):
        emit = functools.partial(PROGRAMS[name], most=most_memory(architecture))
        inputs, states, program = graph_of(*step_of(signature), emit)
        binary = compiled(program, inputs, states, architecture)
    return (
        *(case.name, precision, name, f"{program.memory / 1024:.0f}", program.threads),
        blocks_at_once(program, architecture, binary.registers),
        *(program.barriers, binary.registers, binary.spilled),
    )


def main(architecture: str = "sm_90a") -> None:
    print(f"| {' | '.join(HEADINGS)} |\n|{' --- |' * len(HEADINGS)}")
    for case in (case for cases in CASES.values() for case in cases):
        for precision in ("float32", "tf32", "bf16"):
            for name in PROGRAMS:
                found = resources(case, precision, name, architecture)
                print(f"| {' | '.join(map(str, found))} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
