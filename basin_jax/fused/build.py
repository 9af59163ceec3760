"""A step as an operation of XLA on blocks of seeds, for a GPU's thread blocks."""

import functools
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax

from basin_jax.devices import cache_directory
from basin_jax.fused.emit import MEMORY, RESERVED, Code, emit
from basin_jax.fused.nvrtc import Binary, compile_kernel
from basin_jax.graph.arrays import Input, Unsupported
from basin_jax.graph.library import operation
from basin_jax.graph.lower import graph_of
from basin_jax.graph.text import SCALARS


RUNTIME = Path(__file__).with_name("runtime.cuh")
EMULATED = Path(__file__).with_name("emulate.h")
LAUNCH = Path(__file__).with_name("launch.h")
KERNEL = """
#define THREADS {threads}
#include "runtime.cuh"
{tables}
struct Arrays {{
const int* count;
const void* inputs[{inputs}];
void* outputs[{outputs}];
}};
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
ARRAYS = """
Arrays arrays = {{static_cast<const int*>(argument(frame, 0)->data)}};
for (int i = 0; i < {inputs}; i++) arrays.inputs[i] = argument(frame, i + 1)->data;
for (int i = 0; i < {outputs}; i++) arrays.outputs[i] = result(frame, i)->data;
const long long seeds = argument(frame, 1)->dims[0];
"""
ON_CPU = """
#include "ffi.h"
static void body(const void* arrays) {{
train(*static_cast<const Arrays*>(arrays), block->memory, block->seed);
}}
extern "C" XLA_FFI_Error* steps(XLA_FFI_CallFrame* frame) {{
if (tells_version(frame)) return nullptr;
{arrays}
backwards = std::getenv("BASIN_JAX_BACKWARDS") != nullptr;
for (long long seed = 0; seed < seeds; seed++)
run_block(body, &arrays, {threads}, seed, {memory});
return nullptr;
}}
"""
ON_GPU = """
#include "launch.h"
asm(".section .rodata\\n.balign 16\\nimage:\\n.incbin \\"{image}\\"\\n.previous\\n");
extern "C" const char image[] __attribute__((visibility("hidden")));
struct Arrays {{
const int* count;
const void* inputs[{inputs}];
void* outputs[{outputs}];
}};
extern "C" XLA_FFI_Error* steps(XLA_FFI_CallFrame* frame) {{
if (tells_version(frame)) return nullptr;
{arrays}
if (launch(image, stream_of(frame), &arrays, seeds, {threads}, {memory}))
return failed(frame, "the kernel cannot be launched");
return nullptr;
}}
"""


def compile_steps(step: Callable, fixed: Sequence[Any], state: Sequence[Any]) -> Callable:
    """Return the loop over steps, as an operation on blocks of seeds: see `simd`."""
    inputs, states, code = graph_of(step, fixed, state, emit)
    if code.memory > MEMORY - RESERVED:
        raise Unsupported(
            f"a seed that needs {code.memory / 1024:.0f} KiB at once; a thread block has at most "
            f"{(MEMORY - RESERVED) // 1024}"
        )
    name = _operation(_kernel(code, inputs, states), len(inputs), len(states), code)

    def run(numbers, count, fixed, state):
        shapes = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in state]
        return jax.ffi.ffi_call(name, shapes)(count, numbers, *fixed, *state)

    return run


def lowered(
    step: Callable, fixed: Sequence[Any], state: Sequence[Any], *, architecture: str
) -> Binary:
    """Return the steps compiled for a kind of GPU, which need not be there."""
    inputs, states, code = graph_of(step, fixed, state, emit)
    return _binary(_kernel(code, inputs, states), architecture)


def _operation(kernel: str, inputs: int, outputs: int, code: Code) -> str:
    device = jax.local_devices()[0]
    numbers = {"inputs": inputs, "outputs": outputs}
    numbers |= {"threads": code.threads, "memory": code.memory}
    arrays = ARRAYS.format(**numbers)
    if device.platform == "cpu":
        source = kernel + ON_CPU.format(arrays=arrays, **numbers)
        return operation(source, (RUNTIME, EMULATED))
    major, minor = device.compute_capability.split(".")
    image = _kept(_binary(kernel, f"sm_{major}{minor}").image)
    return operation(ON_GPU.format(arrays=arrays, image=image, **numbers), (LAUNCH,), "CUDA")


@functools.cache
def _binary(kernel: str, architecture: str) -> Binary:
    headers = {RUNTIME.name: RUNTIME.read_text()}
    return compile_kernel(kernel, headers=headers, architecture=architecture)


def _kept(image: bytes) -> Path:
    folder = cache_directory() / "programs"
    file = folder / f"{hashlib.sha256(image).hexdigest()[:16]}.cubin"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file.write_bytes(image)
    except OSError as error:
        raise Unsupported(f"programs cannot be kept in {folder}: {error}") from error
    return file


def _kernel(code: Code, inputs: Sequence[Input], states: Sequence[Input]) -> str:
    """Return the CUDA C++ of a kernel."""

    def array(node: Input) -> str:
        return f"({node.type}*)(memory + {code.places[node]})"

    def rows(node: Input) -> str:
        return f"{node.size}, {node.shape[-1] if node.shape else 1}, {code.pitches[node]}, seed"

    loads = [
        f"load<{SCALARS[node.type]}>({array(node)}, arrays.inputs[{i}], {rows(node)});"
        for i, node in enumerate(inputs)
    ]
    stores = [
        f"store<{SCALARS[node.type]}>(arrays.outputs[{i}], {array(node)}, {rows(node)});"
        for i, node in enumerate(states)
    ]
    newline = "\n"
    return KERNEL.format(
        tables=newline.join(code.tables),
        before=newline.join(code.before),
        step=newline.join(code.step),
        loads=newline.join(loads),
        stores=newline.join(stores),
        number=array(inputs[0]),
        inputs=len(inputs),
        outputs=len(states),
        threads=code.threads,
        blocks=code.blocks,
    )
