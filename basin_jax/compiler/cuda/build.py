"""Compile a step to an operation of XLA, for the thread blocks of GPUs."""

import functools
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax

from basin_jax.compiler import ir
from basin_jax.compiler.cpp import SCALARS
from basin_jax.compiler.cuda.emitter import Kernel, emit
from basin_jax.compiler.cuda.nvrtc import Binary, compile_kernel, version
from basin_jax.compiler.lowering import graph_of
from basin_jax.compiler.xla_ffi import FUNCTIONS, operation, programs_folder, steps_of


RUNTIME = Path(__file__).with_name("runtime.cuh")
EMULATED = Path(__file__).with_name("emulate.h")
LAUNCH = Path(__file__).with_name("launch.h")
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
{loads}
__syncthreads();
{before}
for (int i = *arrays.count; i > 0; i--) {{
__syncthreads();
{step}
__syncthreads();
if (THREAD == 0) *{number} += 1;
}}
__syncthreads();
{stores}
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


def compile_steps(step: Callable, fixed: Sequence[Any], state: Sequence[Any]) -> Callable:
    """Compile a step to an operation on blocks of seeds, as `cpu.compile_steps` does."""
    inputs, states, code = graph_of(step, fixed, state, emit)
    kernel, device = _kernel(code, inputs, states), jax.local_devices()[0]
    if device.platform == "cpu":
        source = kernel + ON_CPU.format(threads=code.threads, memory=code.memory)
        return steps_of(operation(source, (RUNTIME, EMULATED)))
    major, minor = device.compute_capability.split(".")
    source = launcher(code, inputs, states, _binary(kernel, f"sm_{major}{minor}"))
    return steps_of(operation(source, (LAUNCH,), "CUDA"))


def identity() -> str:
    """Return the name and version of NVRTC, on which low bits depend."""
    return "NVRTC {}.{}".format(*version())


def compile_for_gpu(
    step: Callable, fixed: Sequence[Any], state: Sequence[Any], *, architecture: str
) -> Binary:
    """Compile a step for one kind of GPU, such as "sm_90a", which need not be there."""
    inputs, states, code = graph_of(step, fixed, state, emit)
    return _binary(_kernel(code, inputs, states), architecture)


def launcher(
    code: Kernel, inputs: Sequence[ir.Input], states: Sequence[ir.Input], binary: Binary
) -> str:
    """Return the C++ that launches a compiled kernel."""
    arrays = ARRAYS.format(inputs=len(inputs), outputs=len(states))
    return ON_GPU.format(
        arrays=arrays, image=_kept(binary.image), threads=code.threads, memory=code.memory
    )


@functools.cache
def _binary(kernel: str, architecture: str) -> Binary:
    headers = {path.name: path.read_text() for path in (RUNTIME, FUNCTIONS)}
    return compile_kernel(kernel, headers=headers, architecture=architecture)


def _kept(image: bytes) -> Path:
    file = programs_folder() / f"{hashlib.sha256(image).hexdigest()[:16]}.cubin"
    try:
        file.write_bytes(image)
    except OSError as error:
        raise ir.Unsupported(f"programs cannot be kept in {file.parent}: {error}") from error
    return file


def _kernel(code: Kernel, inputs: Sequence[ir.Input], states: Sequence[ir.Input]) -> str:
    array = code.array

    def rows(node: ir.Input) -> str:
        return f"{node.size}, {node.shape[-1] if node.shape else 1}, {code.pitches[node]}, seed"

    loads = [
        f"load<{SCALARS[node.type]}>({array(node)}, arrays.inputs[{i}], {rows(node)});"
        for i, node in enumerate(inputs)
    ]
    stores = [
        f"store<{SCALARS[node.type]}>(arrays.outputs[{i}], {array(node)}, {rows(node)});"
        for i, node in enumerate(states)
    ]
    return KERNEL.format(
        **code.texts(),
        loads="\n".join(loads),
        stores="\n".join(stores),
        number=array(inputs[0]),
        arrays=ARRAYS.format(inputs=len(inputs), outputs=len(states)),
        threads=code.threads,
        blocks=code.blocks,
    )
