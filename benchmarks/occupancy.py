"""What a fused kernel asks of a GPU, by NVRTC for a GPU that need not be there.

    uv run python benchmarks/occupancy.py

Prints the table of `docs/performance.md`.
"""

import re

from basin_jax.bench.cases import CASES
from basin_jax.compiler.cuda.emitter import emit
from basin_jax.compiler.lowering import graph_of
from basin_jax.core.trial import numerics, signature_of
from basin_jax.engine.lanes import _one_step, _shapes, lowered


ARCHITECTURE = "sm_90a"
print("| case | KiB a seed | threads | seeds a multiprocessor | barriers | registers | spilled |")
for case in (case for cases in CASES.values() for case in cases):
    shape = signature_of(case.sweep)
    with numerics(shape.precision):
        rows, state, keys = _shapes(shape, 1)
        code = graph_of(*_one_step(shape, rows, keys, state), emit)[-1]
    log = lowered(shape, ARCHITECTURE).log
    counts = [
        f"{code.memory / 1024:.0f}",
        code.threads,
        code.blocks,
        sum("__syncthreads" in line for line in code.step),
        *(
            re.findall(said, log)[0]
            for said in (r"Used (\d+) registers", r"(\d+) bytes spill stores")
        ),
    ]
    print(f"| {case.name} | {' | '.join(map(str, counts))} |")
