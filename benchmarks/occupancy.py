"""Print the resources of each CUDA kernel, by NVRTC, for a GPU that need not be there.

    uv run python benchmarks/occupancy.py

Prints the table of `docs/performance.md`.
"""

import re

from basin_jax.bench.cases import CASES
from basin_jax.compiler.cuda.build import compile_for_gpu
from basin_jax.compiler.cuda.emitter import emit
from basin_jax.compiler.lowering import graph_of
from basin_jax.core.trial import numerics, signature_of
from basin_jax.engine.backends import step_of


ARCHITECTURE = "sm_90a"
print("| case | KiB a seed | threads | seeds a multiprocessor | barriers | registers | spilled |")
for case in (case for cases in CASES.values() for case in cases):
    signature = signature_of(case.sweep)
    with numerics(signature.precision):
        step = step_of(signature)
        code = graph_of(*step, emit)[-1]
        log = compile_for_gpu(*step, architecture=ARCHITECTURE).log
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
