"""Compile a step to an operation of XLA, for the vectors of CPUs."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from basin_jax.compiler import ir
from basin_jax.compiler.cpp import SCALARS
from basin_jax.compiler.cpu.emitter import emit
from basin_jax.compiler.emitter import Code
from basin_jax.compiler.lowering import graph_of
from basin_jax.compiler.xla_ffi import Steps, compiler, operation, steps_of


RUNTIME = Path(__file__).with_name("runtime.h")
PAGE = 4096  # bytes
TEMPLATE = """
#include "runtime.h"
{tables}
static void before(char* memory) {{
{before}
}}
static void step(char* memory) {{
{step}
}}
static void run(char* memory, int count, long seeds, void** inputs, void** outputs) {{
for (long first = 0; first < seeds; first += LANES) {{
{loads}
before(memory);
for (int i = 0; i < count; i++) {{
step(memory);
*{number} += 1;
}}
{stores}
}}
}}
extern "C" XLA_FFI_Error* steps(XLA_FFI_CallFrame* frame) {{
if (tells_version(frame)) return nullptr;
void *inputs[{inputs}], *outputs[{outputs}];
for (int i = 0; i < {inputs}; i++) inputs[i] = argument(frame, i + 1)->data;
for (int i = 0; i < {outputs}; i++) outputs[i] = result(frame, i)->data;
char* memory = (char*)std::aligned_alloc({page}, {memory});
if (!memory) return failed(frame, "no memory for a block of seeds");
run(memory, *(int32_t*)argument(frame, 0)->data, argument(frame, 1)->dims[0], inputs, outputs);
std::free(memory);
return nullptr;
}}
"""


def compile_steps(step: Callable, fixed: Sequence[Any], state: Sequence[Any]) -> Steps:
    """Compile a step to an operation on blocks of seeds.

    Args:
        step: the function of (number of the step, fixed arrays, state) to the next state,
            for one seed; all arrays in flat lists.
        fixed: shape and type of each array that every step reads.
        state: shape and type of each array of the state.

    Returns:
        The operation; see `Steps`.

    Raises:
        Unsupported: where there is no program for the step, with the reason.
    """
    inputs, states, code = graph_of(step, fixed, state, emit)
    return steps_of(operation(_source(code, inputs, states), (RUNTIME,)))


def identity() -> str:
    """Return the C++ compiler's name and version, on which low bits depend."""
    return compiler()[1]


def _source(code: Code, inputs: Sequence[ir.Input], states: Sequence[ir.Input]) -> str:
    """Return the whole program: the steps, and the entry point for XLA."""
    array = code.array
    loads = [
        f"load<{SCALARS[node.type]}>({array(node)}, inputs[{i}], {node.size}, first, seeds);"
        for i, node in enumerate(inputs)
    ]
    stores = [
        f"store<{SCALARS[node.type]}>(outputs[{i}], {array(node)}, {node.size}, first, seeds);"
        for i, node in enumerate(states)
    ]
    return TEMPLATE.format(
        **code.texts(),
        loads="\n".join(loads),
        stores="\n".join(stores),
        number=array(inputs[0]),
        inputs=len(inputs),
        outputs=len(states),
        memory=-(-code.memory // PAGE) * PAGE,
        page=PAGE,
    )
