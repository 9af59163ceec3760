"""Generated C++ as an operation of XLA: compiled once by the machine's compiler, and kept."""

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from basin_jax.devices import cache_directory, cpu_model
from basin_jax.graph.arrays import Input, Unsupported
from basin_jax.graph.lower import lower
from basin_jax.graph.rules import replacing
from basin_jax.graph.text import SCALARS
from basin_jax.simd.emit import Code, emit


RUNTIME = Path(__file__).with_name("runtime.h")
# No option here lets a compiler reorder sums or forget that a number may not be one.
FLAGS = (
    *("-O3", "-march=native", "-std=c++17", "-fPIC", "-shared", "-ffp-contract=fast"),
    *("-fno-math-errno", "-fno-trapping-math", "-Wno-psabi"),
    *(("-mprefer-vector-width=512",) if platform.machine() in ("x86_64", "AMD64") else ()),
)
PATIENCE = 120  # seconds that a compiler may take
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


@functools.cache
def compiler() -> tuple[str, str]:
    """Return the C++ compiler, and what it says of its version.

    Raises:
        Unsupported: where there is none.
    """
    for name in filter(None, (os.environ.get("CXX"), "g++", "clang++", "c++")):
        path = shutil.which(name)
        if path:
            said = subprocess.run([path, "--version"], capture_output=True, text=True)
            return path, said.stdout.partition("\n")[0]
    raise Unsupported("no C++ compiler (g++ or clang++) is on the path")


def compile_steps(step: Callable, fixed: Sequence[Any], state: Sequence[Any]) -> Callable:
    """Return the loop over steps, as an operation on blocks of seeds.

    Args:
        step: the function of (number of the step, fixed arrays, state) to the next state,
            for one seed; all arrays in flat lists.
        fixed: shape and type of each array that every step reads.
        state: shape and type of each array of the state.

    Returns:
        A function of (number of each seed's first step, how many steps, fixed, state) to the
        state, where each array has a leading axis of seeds.

    Raises:
        Unsupported: where there is no program for the step, with the reason.
    """
    compiler()
    if not state:
        raise Unsupported("a state without arrays")
    for aval in (*fixed, *state):
        if jnp.issubdtype(aval.dtype, jax.dtypes.prng_key):
            raise Unsupported("a random key where numbers are kept")
    if any(0 in aval.shape for aval in state):
        raise Unsupported("an array without elements")
    number = jax.ShapeDtypeStruct((), np.int32)
    jaxpr = jax.make_jaxpr(step)(number, list(fixed), list(state))
    inputs = [Input((), (), np.dtype(np.int32), varies=True)]
    inputs += [Input((), aval.shape, aval.dtype) for aval in fixed]
    states = [Input((), aval.shape, aval.dtype, varies=True) for aval in state]
    try:
        results = list(map(replacing, states, lower(jaxpr, [*inputs, *states])))
        code = emit([*inputs, *states], states, results)
    except Unsupported:
        raise
    except Exception as error:
        raise Unsupported(f"its own fault: {type(error).__name__}: {error}") from error
    name = _operation(_source(code, [*inputs, *states], states))

    def run(numbers, count, fixed, state):
        shapes = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in state]
        return jax.ffi.ffi_call(name, shapes)(count, numbers, *fixed, *state)

    return run


def _source(code: Code, inputs: Sequence[Input], states: Sequence[Input]) -> str:
    """Return the whole program: the steps, and what XLA calls."""

    def array(node: Input) -> str:
        return f"({node.type}*)(memory + {code.places[node]})"

    loads = [
        f"load<{SCALARS[node.type]}>({array(node)}, inputs[{i}], {node.size}, first, seeds);"
        for i, node in enumerate(inputs)
    ]
    stores = [
        f"store<{SCALARS[node.type]}>(outputs[{i}], {array(node)}, {node.size}, first, seeds);"
        for i, node in enumerate(states)
    ]
    newline = "\n"
    return TEMPLATE.format(
        tables=newline.join(code.tables),
        before=newline.join(code.before),
        step=newline.join(code.step),
        loads=newline.join(loads),
        stores=newline.join(stores),
        number=array(inputs[0]),
        inputs=len(inputs),
        outputs=len(states),
        memory=-(-code.memory // PAGE) * PAGE,
        page=PAGE,
    )


@functools.cache
def _operation(source: str) -> str:
    """Compile a program, unless it has been, and make it known to XLA; return its name."""
    _, version = compiler()
    said = [source, RUNTIME.read_text(), version, *FLAGS, cpu_model(), jax.__version__]
    name = f"basin_jax_{hashlib.sha256('|'.join(said).encode()).hexdigest()[:16]}"
    folder = cache_directory() / "simd"
    library = folder / f"{name}.so"
    try:
        if not library.is_file():
            _compile(source, folder, name)
        handler = ctypes.CDLL(str(library)).steps
    except OSError as error:
        raise Unsupported(f"programs cannot be kept in {folder} and run: {error}") from error
    jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(handler), platform="cpu")
    return name


def _compile(source: str, folder: Path, name: str) -> None:
    path, version = compiler()
    folder.mkdir(parents=True, exist_ok=True)
    text, staged = (folder / f"{name}.{os.getpid()}.{suffix}" for suffix in ("cc", "so"))
    text.write_text(source)
    includes = [f"-I{RUNTIME.parent}", f"-I{jax.ffi.include_dir()}"]
    command = [path, *FLAGS, *includes, str(text), "-o", str(staged)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired as late:
        raise Unsupported(f"{version} took longer than {PATIENCE} s") from late
    finally:
        text.unlink()
    if done.returncode:
        raise Unsupported(f"{version} refuses the program: {done.stderr[:500]}")
    staged.replace(folder / f"{name}.so")
