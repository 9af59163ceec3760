"""Check and time the training kernels on a GPU, in one call of some six minutes.

    uv run --extra cuda python benchmarks/gpu.py --out benchmarks/records/DATE_DEVICE_gpu

Where there is no GPU it runs to its end all the same, small, with the backend `cuda` emulated, and
says of every ceiling and every speed: not measured. The short table comes last.
"""

import dataclasses
import functools
import importlib.util
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, NamedTuple
from unittest.mock import patch

import jax
import jax.numpy as jnp
import numpy as np
import typer
from flips import Way, compare, new_folder, rate, same_bits
from gpu_rows import HEADINGS, NOT_MEASURED, ON_CARD, PRECISIONS, Row, timed, variant
from occupancy import HEADINGS as TAKEN
from occupancy import resources

from basin_jax.bench.cases import CASES, Case
from basin_jax.bench.engine import AUDIT
from basin_jax.bench.peers import plain_vmap, plain_vmap_of_organism
from basin_jax.bench.record import versions
from basin_jax.bench.timing import Prepared, measure
from basin_jax.core.sweep import Precision
from basin_jax.core.trial import init_trial, inputs_of, numerics, probe_trial, signature_of
from basin_jax.engine import sharded
from basin_jax.engine.autotune import lanes_of
from basin_jax.engine.backends import BACKENDS
from basin_jax.engine.kernel import build_kernel
from basin_jax.report.page import write_report
from basin_jax.runs.run import run


CODE = [Path(__file__), Path(__file__).with_name("gpu_rows.py")]
# Nothing starts later. What is running by then ends within six minutes.
LAST_START = 300.0
LONGEST = {"whole run": 100.0}  # seconds of a row, by which its part has to start earlier
TIMED = (CASES["audit"][0], CASES["mlp-64"][1])
MLP_64 = TIMED[1].name
# Evidence that moves with every weight.
CONTINUOUS = {"audit": "fit", MLP_64: "loss"}
# Seed-steps a second on an H100 or H200.
TARGETS = {
    ("audit", "cuda", "float32"): 30e6,
    ("audit", "cuda", "tf32"): 60e6,
    ("audit", "cuda", "bf16"): 60e6,
    (MLP_64, "cuda", "float32"): 15e6,
    (MLP_64, "cuda", "tf32"): 31e6,
    (MLP_64, "cuda", "bf16"): 31e6,
}
# The steps of a loop as one launch: XLA's own list, and the two that it leaves out.
COMMAND_BUFFER = {
    "xla_gpu_enable_command_buffer": "FUSION,CUBLAS,CUBLASLT,CUSTOM_CALL,CUDNN,"
    "DYNAMIC_SLICE_FUSION,WHILE,CONDITIONAL"
}


class Size(NamedTuple):
    """The size of the work."""

    side: int  # of a product's square matrices
    stream: int  # bytes that are read and written
    lanes: dict[str, tuple[int, ...]]  # tried, the last one for checks, too
    seconds: float  # of a timing
    checked: int  # seeds compared with float64
    steps: int  # of those seeds
    judged: int  # seeds whose verdicts are compared
    trained: int  # steps of those
    peers: tuple[int, ...]  # seeds of a call of plain vmap, of which the fastest counts
    run: int  # seeds of a whole run


CARD_LANES = {"cuda": (1056, 4224), "xla": (4096, 16384)}
SMALL_LANES = {"cuda": (2,), "xla": (2,)}
CARD = Size(8192, 2**31, CARD_LANES, 1.0, 512, 100, 10_000, 2000, (1024, 4096, 16384), 1_000_000)
SMALL = Size(64, 2**16, SMALL_LANES, 1e-3, 4, 3, 4, 3, (2,), 16)


def ceilings(size: Size) -> Iterator[Row]:
    """Measure large products in each precision, and reading and writing memory."""
    factor = jnp.ones((size.side, size.side))
    for precision in PRECISIONS:
        yield _ceiling(f"products, {precision}", _product(precision), factor, 2 * size.side**3)
    stream = jnp.zeros(size.stream // 4)
    yield _ceiling("memory, read and written", jax.jit(jnp.negative), stream, 2 * size.stream)


def _product(precision: Precision) -> Callable[[jax.Array], jax.Array]:
    if precision == "bf16":
        product = functools.partial(jnp.matmul, preferred_element_type=jnp.float32)
        return jax.jit(lambda a: product(*[a.astype(jnp.bfloat16)] * 2))
    named = {"float32": jax.lax.Precision.HIGHEST, "tf32": jax.lax.Precision.HIGH}[precision]
    named = jax.lax.DotAlgorithmPreset.TF32_TF32_F32 if ON_CARD and precision == "tf32" else named
    return jax.jit(lambda a: jnp.matmul(a, a, precision=named))


def _ceiling(what: str, function: Callable, argument: jax.Array, work: float) -> Row:
    def call() -> None:
        jax.block_until_ready(function(argument))

    call()
    speed = max(measure(Prepared(work=work, call=call), 0.5 if ON_CARD else 0) for _ in range(3))
    unit = "GB/s" if what.startswith("memory") else "GFLOP/s"
    return timed("ceiling", what, speed, f"{speed / 1e9:,.0f} {unit}")


def speeds(backend: str, size: Size, roofs: dict[str, float]) -> Iterator[Row]:
    """Time a backend in each precision, at the lanes that are best in float32."""
    for case in TIMED:
        own = lanes_of(BACKENDS[backend], case.sweep) if ON_CARD else ()
        numbers = sorted({*size.lanes[backend], *own})
        found, best = max((_speed(case, backend, "float32", n, size), n) for n in numbers)
        for precision in PRECISIONS:
            if precision != "float32":
                found = _speed(case, backend, precision, best, size)
            target = TARGETS.get((case.name, backend, precision))
            said = "" if target is None else f"≥ {target / 1e6:,.1f} M"
            what = f"{backend}, {precision}, {best:,} lanes"
            yield variant(case, what, precision, found, roofs, said)


def _speed(
    case: Case, backend: str, precision: Precision, lanes: int, size: Size
) -> tuple[float, float]:
    """Return the seed-steps per second, and the seconds of compilation."""
    sweep = case.sweep.replace(precision=precision)
    kernel = build_kernel(sweep, lanes=lanes, backend=backend)
    took = kernel.compile()
    return kernel.speed(seconds=size.seconds), took


def kernels() -> Iterator[Row]:
    """Tell what each kernel takes of a multiprocessor, by its compiler."""
    architecture = "sm_90a"
    if ON_CARD:
        architecture = "sm_" + jax.local_devices()[0].compute_capability.replace(".", "")
    for case in (case for cases in CASES.values() for case in cases):
        for precision in PRECISIONS:
            values = resources(case, precision, "fragments", architecture)[3:]
            named = zip(TAKEN[3:], values, strict=True)
            found = ", ".join(f"{name}: {value}" for name, value in named)
            yield Row(case=case.name, what=f"kernel, {precision}, {architecture}", found=found)


def parts(size: Size) -> Iterator[Row]:
    """Time the bare steps, a trial's start and its probe, each alone."""
    lanes = size.lanes["cuda"][-1]
    for case in TIMED:
        for precision in PRECISIONS:
            sweep = case.sweep.replace(precision=precision)
            signature = signature_of(sweep)
            with numerics(precision):
                inputs = jax.tree.map(jnp.asarray, inputs_of(sweep, np.arange(lanes)))
                begin = jax.jit(jax.vmap(functools.partial(init_trial, signature)))
                state, keys = jax.block_until_ready(begin(inputs))
                probe = jax.jit(jax.vmap(functools.partial(probe_trial, signature)))
                backend = BACKENDS["cuda" if ON_CARD else "xla"]
                steps = jax.jit(functools.partial(backend.advance, signature))
                zero, many = jnp.zeros(lanes, jnp.int32), jnp.int32(size.trained)
                calls = {
                    "bare steps": lambda: steps(inputs, keys, state, zero, many),  # noqa: B023
                    "start": lambda: begin(inputs),  # noqa: B023
                    "probe": lambda: probe(inputs, keys, state),  # noqa: B023
                }
                for what, call in calls.items():
                    yield _part(case, f"{what}, {precision}, {lanes:,} seeds", call, lanes, size)


def _part(case: Case, what: str, call: Callable, lanes: int, size: Size) -> Row:
    work = lanes * (size.trained if what.startswith("bare") else 1)
    unit = "seed-steps" if what.startswith("bare") else "seeds"

    def whole() -> None:
        jax.block_until_ready(call())

    whole()
    speed = measure(Prepared(work=work, call=whole), size.seconds)
    return timed(case.name, what, speed, f"{speed / 1e6:,.2f} M {unit}/s")


def whole_run(size: Size) -> Iterator[Row]:
    """Time a whole run, from the call to the report."""
    for precision in PRECISIONS[:2]:
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            sweep = AUDIT.replace(precision=precision, num_steps=size.trained)
            write_report(run(sweep, size.run, Path(folder) / "run"))
            took = time.perf_counter() - began
        what = f"a whole run of {size.run:,} seeds, {precision}, with report"
        target = {"float32": "< 100 s", "tf32": "< 60 s"}[precision]
        yield timed("Audit(difficulty=2)", what, took, f"{took:.1f} s", target=target)


def options(size: Size, roofs: dict[str, float]) -> Iterator[Row]:
    """Time XLA with the loop over steps in a command buffer, and plain vmap at its best.

    Plain vmap multiplies in the precision that its row names, as the kernels do. The row of our
    organism tells whether its network or the kernel makes `xla` slower or faster than plain vmap.
    """
    case, lanes = TIMED[1], size.lanes["xla"][0]
    platform = jax.local_devices()[0].platform
    sharded.keep_only((), others=0)
    told = sharded.OPTIONS.get(platform, {}) | COMMAND_BUFFER
    with patch.dict(sharded.OPTIONS, {platform: told}):
        found = _speed(case, "xla", "float32", lanes, size)
    sharded.keep_only((), others=0)
    what = f"xla, float32, {lanes:,} lanes, loop in a command buffer"
    yield variant(case, what, "float32", found, roofs)
    for case in TIMED:
        for precision in PRECISIONS:
            yield _plain(case, "plain vmap", plain_vmap, precision, size, roofs)
        of_organism = "plain vmap, our organism"
        yield _plain(case, of_organism, plain_vmap_of_organism, "float32", size, roofs)


def _plain(
    case: Case,
    name: str,
    prepare: Callable[..., list[Prepared]],
    precision: Precision,
    size: Size,
    roofs: dict[str, float],
) -> Row:
    with numerics(precision):
        (plain,) = prepare(case, counts=size.peers, work=size.peers[-1] * size.steps)
        found = measure(plain, size.seconds), plain.compile_seconds
    return variant(case, f"{name}, {precision}, {plain.note}", precision, found, roofs)


def torch_func(size: Size, roofs: dict[str, float]) -> Iterator[Row]:
    """Time vmap over grad of torch.func, in the precisions that it has."""
    for case in TIMED:
        for precision in PRECISIONS[:2]:
            what = f"torch.func vmap, {precision}"
            if why := _no_torch():
                yield Row(case=case.name, what=what, found=f"{NOT_MEASURED}: {why}")
                continue
            from torch_peers import torch_vmap_on_gpu

            made = torch_vmap_on_gpu(case, size.peers, tf32=precision == "tf32")
            found = measure(made, size.seconds), None
            yield variant(case, f"{what}, {made.note}", precision, found, roofs)


def _no_torch() -> str:
    """Return why PyTorch has no GPU here; nothing if it has one."""
    if importlib.util.find_spec("torch") is None:
        return "PyTorch is not installed"
    return "" if importlib.import_module("torch").cuda.is_available() else "PyTorch has no CUDA"


def exactness(size: Size) -> Iterator[Row]:
    """Hold each backend and precision against XLA in float64, after some steps."""
    seeds = np.arange(size.checked, dtype=np.uint64)
    for case in TIMED:

        @functools.cache
        def evidence(backend: str, precision: Precision, case: Case = case):
            sweep = case.sweep.replace(precision=precision, num_steps=size.steps)
            lanes = size.lanes[backend][-1]
            found = build_kernel(sweep, lanes=lanes, backend=backend)(seeds)
            return found[CONTINUOUS[case.name]][:, -1]

        exact = evidence("xla", "float64")
        for backend in ("cuda", "xla"):
            for precision in PRECISIONS:
                wrong = np.abs(evidence(backend, precision) - exact) / np.abs(exact)
                found = f"{np.median(wrong):.1e} median, {wrong.max():.1e} most"
                what = f"{backend}, {precision}: relative error after {size.steps} steps"
                yield Row(case=case.name, what=what, found=found, value=float(np.median(wrong)))


def invariance(size: Size) -> Iterator[Row]:
    """Compare a seed's bits among others, alone, and in other lanes."""
    few, most = 7, size.lanes["cuda"][-1]
    seeds = np.arange(size.checked, dtype=np.uint64)
    for case in TIMED:
        for precision in PRECISIONS:
            sweep = case.sweep.replace(precision=precision, num_steps=size.steps)
            kernel = build_kernel(sweep, lanes=most, backend="cuda")
            want, turned = kernel(seeds), kernel(seeds[::-1])
            fewer = build_kernel(sweep, lanes=few, backend="cuda")(seeds[:few])
            same = min(
                same_bits({n: v[::-1] for n, v in turned.items()}, want),
                same_bits(fewer, {n: v[:few] for n, v in want.items()}),
            )
            what = f"cuda, {precision}: same bits in other lanes, and among {few} others"
            yield Row(case=case.name, what=what, found=f"{same:.1%}", value=same, target="100.0 %")


def flips(size: Size) -> Iterator[Row]:
    """Count verdicts that hang on backend or precision."""
    cuda = Way(backend="cuda", lanes=size.lanes["cuda"][-1])
    xla = Way(backend="xla", lanes=size.lanes["xla"][-1])
    pairs = [
        (cuda, xla),
        (cuda._replace(precision="tf32"), cuda),
        (cuda._replace(precision="bf16"), cuda),
        (cuda, xla._replace(precision="float64")),
        (xla._replace(precision="tf32"), xla),
    ]
    sweep = AUDIT.replace(num_steps=size.trained)
    for found in compare("Audit", sweep, pairs, size.judged):
        what = f"verdicts that differ: {found['way']} against {found['against']}"
        value = found["flips"] / found["seeds"]
        yield Row(case="Audit(difficulty=2)", what=what, found=rate(found), value=value)


def all_rows(size: Size, tell: Callable[[str], None]) -> Iterator[Row]:
    """Yield every row, the most important first; a part that fails or is late says so."""
    began, roofs = time.perf_counter(), {}
    each: dict[str, Callable[[], Iterator[Row]]] = {
        "ceilings": lambda: ceilings(size),
        "cuda": lambda: speeds("cuda", size, roofs),
        "peers": lambda: options(size, roofs),
        "torch": lambda: torch_func(size, roofs),
        "parts": lambda: parts(size),
        "exactness": lambda: exactness(size),
        "invariance": lambda: invariance(size),
        "whole run": lambda: whole_run(size),
        "flips": lambda: flips(size),
        "xla": lambda: speeds("xla", size, roofs),
        "kernels": kernels,
    }
    for name, part in each.items():
        tell(f"{name}: at {time.perf_counter() - began:.0f} s")
        last = began + LAST_START - LONGEST.get(name, 0.0)
        try:
            for row in _in_time(name, part(), last):
                if row.case == "ceiling" and row.value:
                    roofs[row.what.partition(", ")[2]] = row.value
                yield row
        except Exception as error:  # noqa: BLE001  time on a GPU is expensive: the other parts run on
            tell(f"{name}: {type(error).__name__}: {error}")
            yield Row(case=name, what="and what follows", found=f"failed: {str(error)[:200]}")


def _in_time(name: str, rows: Iterator[Row], last: float) -> Iterator[Row]:
    """Yield the rows of a part, as long as there is time to start another."""
    while not ON_CARD or time.perf_counter() < last:
        row = next(rows, None)
        if row is None:
            return
        yield row
    yield Row(case=name, what="and what follows", found=f"{NOT_MEASURED}: no time")


def write(out: Path, rows: list[Row], log: list[str]) -> str:
    """Write the record of the rows so far, and return its table."""
    lines = [f"| {' | '.join(HEADINGS)} |", f"|{' --- |' * len(HEADINGS)}", *map(str, rows)]
    results = [dataclasses.asdict(row) for row in rows]
    texts = {
        "table.md": "\n".join(lines),
        "log.txt": "\n".join(log),
        "results.json": json.dumps(results, indent=1),
        "versions.json": json.dumps(versions(), indent=1),
        **{f"{path.name}.txt": path.read_text().rstrip("\n") for path in CODE},
    }
    for name, text in texts.items():
        (out / name).write_text(text + "\n")
    return texts["table.md"]


def main(
    out: Annotated[Path, typer.Option(help="A new folder for the record.")],
) -> None:
    """Check and time the training kernels on a GPU."""
    new_folder(out)
    log, rows = [], []

    def tell(line: str) -> None:
        log.append(line)
        typer.echo(line)

    device = jax.local_devices()[0]
    emulated = "" if ON_CARD else ", no GPU: the backend cuda is emulated, and nothing is timed"
    tell(f"{device.device_kind} ({len(jax.local_devices())}){emulated}")
    table = ""
    for row in all_rows(CARD if ON_CARD else SMALL, tell):
        rows.append(row)
        tell(str(row))
        table = write(out, rows, log)  # the GPU may be taken away at any moment
    typer.echo(f"\n{table}")


if __name__ == "__main__":
    typer.run(main)
