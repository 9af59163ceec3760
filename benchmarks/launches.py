"""Print what XLA's programs for a GPU launch, and where they wait for the host, without a GPU.

    uv run --extra cuda python benchmarks/launches.py

XLA compiles for an H200 that need not be there, by the plugin that the extra `cuda` installs. A
loop whose length XLA does not know, and a choice, wait for the host at each turn: what is launched
next hangs on a number that lies on the GPU.
"""

import functools
import importlib.util
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import jax
import numpy as np
from jax.experimental.topologies import TopologyDescription
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxlib import xla_client

from basin_jax.bench.cases import CASES, Case
from basin_jax.bench.engine import AUDIT
from basin_jax.bench.peers import plain_vmap
from basin_jax.core.sweep import Sweep
from basin_jax.core.trial import abstract_inputs, numerics, signature_of
from basin_jax.engine.backends import XLA, lane_shapes
from basin_jax.engine.lanes import advance_queue, shapes_of_lanes


LANES, QUEUE, STEPS = 1056, 8192, 1000
TIMED = (CASES["audit"][0], CASES["mlp-64"][1])
# What the compiler asks of a device; the rest of an H200's description is for its model of costs.
H200 = """
gpu_device_info {
  cuda_compute_capability { major: 9 minor: 0 }
  core_count: 132 fpus_per_core: 128 clock_rate_ghz: 1.98
  threads_per_warp: 32 threads_per_block_limit: 1024 threads_per_core_limit: 2048
  registers_per_core_limit: 65536 registers_per_block_limit: 65536
  shared_memory_per_block: 49152 shared_memory_per_block_optin: 232448
  shared_memory_per_core: 233472 l2_cache_size: 52428800
  memory_bandwidth: 4800000000000 device_memory_size: 150000000000
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 8 }
device_description_str: "NVIDIA H200"
"""
# Instructions of a scheduled program that start work on the GPU.
LAUNCHED = ("fusion", "custom-call", "copy", "sort", "scatter", "memset")
COMPUTATION = re.compile(r"^(?:ENTRY )?%(\S+) \(.*?^}", re.MULTILINE | re.DOTALL)
INSTRUCTION = re.compile(r"^\s*(?:ROOT )?%\S+ = .*? (while|conditional|[a-z-]+)\(", re.MULTILINE)


class Part(NamedTuple):
    """A part of a program: what it launches, and the loops and choices inside."""

    what: str
    launches: int
    inside: list["Part"]

    def lines(self, depth: int = 0) -> Iterator[str]:
        """Yield a list as Markdown."""
        yield f"{'  ' * depth}- {self.what}: {self.launches} launches"
        for part in self.inside:
            yield from part.lines(depth + 1)


def part_of(text: str) -> Part:
    """Read a program as XLA schedules it."""
    bodies = {found[1]: found[0] for found in COMPUTATION.finditer(text)}

    def part(what: str, name: str) -> Part:
        lines = bodies[name].splitlines()
        found = [(match[1], line) for line in lines if (match := INSTRUCTION.match(line))]
        launches = sum(kind in LAUNCHED for kind, _ in found)
        inside = [each for kind, line in found for each in parts(kind, line)]
        return Part(what, launches, inside)

    def parts(kind: str, line: str) -> Iterator[Part]:
        if kind == "while":
            turns = re.search(r'known_trip_count":\{"n":"(\d+)"', line)
            what = f"each of {turns[1]} turns" if turns else "each turn, decided by the host"
            yield part(what, _named("body", line))
        if kind == "conditional":
            yield part("if so, decided by the host", _named("true_computation", line))
            yield part("if not", _named("false_computation", line))

    (entry,) = re.findall(r"^ENTRY %(\S+)", text, re.MULTILINE)
    return part("a call", entry)


def _named(key: str, line: str) -> str:
    (name,) = re.findall(rf"\b{key}=%([^,\s}}]+)", line)
    return name


@functools.cache
def target() -> NamedSharding:
    """Return where programs are compiled for: one H200, which need not be there."""
    plugin = importlib.util.find_spec("jax_plugins.xla_cuda13")
    if plugin is None or plugin.origin is None:
        raise SystemExit("no plugin of JAX for CUDA 13; allowed: with the extra cuda")
    path = str(Path(plugin.origin).with_name("xla_cuda_plugin.so"))
    # Not as JAX does, which looks for a GPU first.
    library = xla_client.load_pjrt_plugin_dynamically("cuda", path)
    xla_client.initialize_pjrt_plugin("cuda")
    made = xla_client.make_c_api_device_topology(library, "", topology="1x1x1", target_config=H200)
    devices = TopologyDescription(made._make_compile_only_devices()).devices
    return NamedSharding(Mesh(np.array(devices), ("device",)), P())


def program(function: Callable, *arguments: Any) -> Part:
    """Compile a function of arrays of these shapes, as on a GPU."""

    class Card:
        platform = "gpu"

    def put(array: Any) -> Any:
        return jax.ShapeDtypeStruct(array.shape, array.dtype, sharding=target())

    given = jax.tree.map(put, arguments)
    with patch.object(jax, "local_devices", lambda: [Card()]):
        traced = jax.jit(function, out_shardings=target()).trace(*given)
    return part_of(traced.lower(lowering_platforms=("cuda",)).compile().as_text() or "")


def steps(sweep: Sweep) -> Part:
    """Compile the steps of a block of lanes by the backend `xla`."""
    signature = signature_of(sweep)
    with numerics(sweep.precision):
        inputs, state, keys = lane_shapes(signature, LANES)
        taken = jax.ShapeDtypeStruct((LANES,), np.int32)
        count = jax.ShapeDtypeStruct((), np.int32)
        advance = functools.partial(XLA.advance, signature)
        return program(advance, inputs, keys, state, taken, count)


def plain(case: Case) -> Part:
    """Compile plain vmap of a case."""
    made = []

    def prepare(init: Callable, step: Callable, counts: Any, work: Any) -> list[Any]:
        def train(state: Any, words: Any) -> Any:
            key = jax.random.wrap_key_data(words)
            return jax.lax.scan(step, state, jax.random.split(key, STEPS))[0]

        words = jax.ShapeDtypeStruct((LANES, 2), np.uint32)
        begin = jax.vmap(lambda words: init(jax.random.wrap_key_data(words)))
        made.append(program(jax.vmap(train), jax.eval_shape(begin, words), words))
        return []

    with numerics("float32"), patch("basin_jax.bench.peers._best_vmap", prepare):
        plain_vmap(case)
    return made[0]


def rounds(sweep: Sweep) -> Part:
    """Compile what advances a queue: rounds of steps, probes and refills, by the backend `xla`."""
    signature = signature_of(sweep)
    with numerics(sweep.precision):
        stops, queue = abstract_inputs(signature, QUEUE)
        lanes = shapes_of_lanes(signature, LANES, QUEUE, signature.num_probes)
        one, refill = (jax.ShapeDtypeStruct((), kind) for kind in (np.int32, np.bool_))

        def call(stops, queue, count, stride, budget, refill, lanes):
            limits = {"stride": stride, "budget": budget, "refill": refill}
            return advance_queue(signature, XLA, stops, queue, count, lanes=lanes, **limits)

        return program(call, stops, queue, one, one, one, refill, lanes)


def main() -> None:
    for case in TIMED:
        for name, made in (("xla", steps(case.sweep)), ("plain vmap", plain(case))):
            print(f"\n{case.name}, {name}\n", *made.lines(), sep="\n", flush=True)
    print("\nAudit(difficulty=2), a queue by xla\n", *rounds(AUDIT).lines(), sep="\n")


if __name__ == "__main__":
    main()
