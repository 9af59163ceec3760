"""Compile a step to an operation of XLA, for the thread blocks of GPUs."""

import functools
import hashlib
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax

from basin_jax.compiler import ir
from basin_jax.compiler.cuda import emitter, fragments
from basin_jax.compiler.cuda.nvrtc import Binary, compile_kernel, version
from basin_jax.compiler.cuda.program import Program, blocks_at_once, most_memory
from basin_jax.compiler.lowering import graph_of
from basin_jax.compiler.xla_ffi import FUNCTIONS, Steps, operation, programs_folder, steps_of
from basin_jax.files import write_file


RUNTIME = Path(__file__).with_name("runtime.cuh")
FRAGMENTS = Path(__file__).with_name("fragments") / "fragments.cuh"
EMULATOR = Path(__file__).with_name("emulate.h")
LAUNCH = Path(__file__).with_name("launch.h")
EMULATED_AS = "sm_90"
SPILLED = 96  # bytes of a thread that may go to memory and back, to hold more blocks
ARRAYS = """
struct Arrays {{
const int* count;
const void* inputs[{inputs}];
void* outputs[{outputs}];
}};
"""
KERNEL = """
#define THREADS {threads}
#include "runtime.cuh"
{tables}
{arrays}
INLINE void train(const Arrays& arrays, char* memory, long long seed) {{
{body}
}}
#ifdef __CUDACC__
extern "C" __global__ void __launch_bounds__({threads}, {blocks}) steps(const Arrays arrays) {{
extern __shared__ __align__(16) char memory[];
train(arrays, memory, blockIdx.x);
}}
#endif
"""
# What XLA calls, where a kernel is emulated and where it is launched.
ON_CPU = """
#include "ffi.h"
static void body(const void* arrays) {{
train(*static_cast<const Arrays*>(arrays), block->memory, block->seed);
}}
extern "C" XLA_FFI_Error* steps(XLA_FFI_CallFrame* frame) {{
if (tells_version(frame)) return nullptr;
const Arrays arrays = arrays_of<Arrays>(frame);
backwards = std::getenv("BASIN_JAX_BACKWARDS") != nullptr;
for (long long seed = 0; seed < argument(frame, 1)->dims[0]; seed++)
run_block(body, &arrays, {threads}, seed, {memory});
return nullptr;
}}
"""
ON_GPU = """
#include "launch.h"
{arrays}
asm(".section .rodata\\n.balign 16\\nimage:\\n.incbin \\"{image}\\"\\n.previous\\n");
extern "C" const char image[] __attribute__((visibility("hidden")));
extern "C" XLA_FFI_Error* steps(XLA_FFI_CallFrame* frame) {{
if (tells_version(frame)) return nullptr;
Arrays arrays = arrays_of<Arrays>(frame);
return launch(frame, image, &arrays, argument(frame, 1)->dims[0], {threads}, {memory});
}}
"""


def compile_steps(step: Callable, fixed: Sequence[Any], state: Sequence[Any]) -> Steps:
    """Compile a step to an operation on blocks of seeds, as `cpu.compile_steps` does."""
    device = jax.local_devices()[0]
    if device.platform == "cpu":
        architecture, finish = EMULATED_AS, _emulated
    else:
        architecture = "sm_" + device.compute_capability.replace(".", "")
        finish = functools.partial(_launched, architecture=architecture)
    emit = functools.partial(_first_kind, architecture, finish)
    return graph_of(step, fixed, state, emit)[-1]


def identity() -> str:
    """Return the name and version of NVRTC, on which low bits depend."""
    return "NVRTC {}.{}".format(*version())


def emitted(
    step: Callable, fixed: Sequence[Any], state: Sequence[Any], architecture: str
) -> tuple[list[ir.Input], list[ir.Input], Program]:
    """Emit the program of a step, by fragments or else by loops that threads share.

    Returns:
        The inputs, those of them that are the state, and the program.
    """
    emit = functools.partial(_first_kind, architecture, lambda program, *_: program)
    return graph_of(step, fixed, state, emit)


def _first_kind(
    architecture: str,
    finish: Callable[..., Any],
    inputs: Sequence[ir.Input],
    states: Sequence[ir.Input],
    results: Sequence[ir.Node],
) -> Any:
    """Return what `finish` makes of a program by fragments, or else of one by loops."""
    graph, most = (inputs, states, results), most_memory(architecture)
    try:
        return finish(fragments.emit(*graph, most=most), inputs, states)
    except Exception as error:  # noqa: BLE001  a fault of the one kind must not cost the other
        why = str(error) if isinstance(error, ir.Unsupported) else _fault(error)
    program = emitter.emit(*graph, most=most)
    return finish(replace(program, kernel=f"{program.kernel}, since {why}"), inputs, states)


def _fault(error: Exception) -> str:
    """Say where an exception was raised: its text may differ from one process to the next."""
    at = traceback.extract_tb(error.__traceback__)[-1]
    name = type(error).__name__
    return f"fragments have a fault: {name} at {Path(at.filename).name}:{at.lineno}"


def _emulated(program: Program, inputs: Sequence[ir.Input], states: Sequence[ir.Input]) -> Steps:
    source = source_of(program, inputs, states)
    source += ON_CPU.format(threads=program.threads, memory=program.memory)
    name = operation(source, (RUNTIME, FRAGMENTS, EMULATOR))
    return steps_of(name, kernel=program.kernel, at_once=blocks_at_once(program, EMULATED_AS))


def _launched(
    program: Program, inputs: Sequence[ir.Input], states: Sequence[ir.Input], *, architecture: str
) -> Steps:
    binary = compiled(program, inputs, states, architecture)
    name = operation(launcher(program, inputs, states, binary), (LAUNCH,), "CUDA")
    at_once = blocks_at_once(program, architecture, binary.registers)
    return steps_of(name, kernel=program.kernel, at_once=at_once)


def compiled(
    program: Program, inputs: Sequence[ir.Input], states: Sequence[ir.Input], architecture: str
) -> Binary:
    """Compile a program for one kind of GPU, such as "sm_90a", which need not be there.

    The compiler first has all registers. If then fewer blocks fit on a multiprocessor than its
    shared memory has room for, it is told to make room for more, unless that spills.
    """
    binary = _binary(source_of(program, inputs, states), architecture)
    room = blocks_at_once(program, architecture)
    held = blocks_at_once(program, architecture, binary.registers)
    most = min(room, 2 * held)
    for blocks in sorted({most, (most + held + 1) // 2} - {held}, reverse=True):
        tighter = _binary(source_of(program, inputs, states, blocks), architecture)
        if tighter.spilled <= SPILLED:
            return tighter
    return binary


def launcher(
    program: Program, inputs: Sequence[ir.Input], states: Sequence[ir.Input], binary: Binary
) -> str:
    """Return the C++ that launches a compiled kernel."""
    arrays = ARRAYS.format(inputs=len(inputs), outputs=len(states))
    return ON_GPU.format(
        arrays=arrays, image=_kept(binary.image), threads=program.threads, memory=program.memory
    )


@functools.cache
def _binary(source: str, architecture: str) -> Binary:
    headers = {path.name: path.read_text() for path in (RUNTIME, FRAGMENTS, FUNCTIONS)}
    return compile_kernel(source, headers=headers, architecture=architecture)


def _kept(image: bytes) -> Path:
    file = programs_folder() / f"{hashlib.sha256(image).hexdigest()[:16]}.cubin"
    try:
        write_file(file, image)
    except OSError as error:
        raise ir.Unsupported(f"programs cannot be kept in {file.parent}: {error}") from error
    return file


def source_of(
    program: Program, inputs: Sequence[ir.Input], states: Sequence[ir.Input], blocks: int = 1
) -> str:
    """Return the CUDA C++ of a kernel, of which a multiprocessor should hold so many blocks."""
    return KERNEL.format(
        tables="\n".join(program.tables),
        arrays=ARRAYS.format(inputs=len(inputs), outputs=len(states)),
        body="\n".join(program.body),
        threads=program.threads,
        blocks=blocks,
    )
