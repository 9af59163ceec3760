"""Measure training steps of one seed per second, against peers and the machine's ceiling.

Everything is timed in one process, in rounds: each round times everything once, in a
shuffled order, so that what slows the machine down for a while slows all alike, and the
ratios are taken within a round. See README.md.
"""

import functools
import importlib.util
import os
import random
import tempfile
from collections.abc import Callable
from typing import Annotated, Any

import jax
import peers
import report
import typer
from cases import CASES, Case
from rich.console import Console

from basin_jax.tune import choose


# Wide enough for the table where the output is no terminal.
console = Console(width=max(Console().width, 140))
Prepared = list[tuple[str, str, peers.Prepared]]  # case, peer, and a way to run it


def main(
    rounds: Annotated[int, typer.Option(help="How often everything is timed.", min=1)] = 7,
    seconds: Annotated[float, typer.Option(help="How long each is timed, at least.")] = 0.5,
    cases: Annotated[str, typer.Option(help="Which, with commas between.")] = ",".join(CASES),
    record: Annotated[bool, typer.Option(help="Write a folder under records/.")] = True,
) -> None:
    """Measure training steps of one seed per second, and write them down."""
    chosen = [case for name in cases.split(",") for case in _cases(name)]
    folder = report.record_folder()
    if record and folder.exists():
        raise typer.BadParameter(f"there is a {folder.name} already: move it, or --no-record")
    # What earlier runs have compiled and tuned must not be found.
    jax.config.update("jax_enable_compilation_cache", False)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["XDG_CACHE_HOME"] = scratch
        prepared = _prepare(chosen, seconds)
    results = {
        "settings": {"rounds": rounds, "seconds": seconds, "cases": cases.split(",")},
        "flop": {case.name: case.flop for case in chosen},
        "timed": _measure(prepared, rounds, seconds),
    }
    rows = report.summarize(results)
    console.print(report.table(rows))
    if record:
        report.write(folder, results, rows)
        console.print(f"recorded as {folder.name}")


def _cases(name: str) -> list[Case]:
    if name not in CASES:
        raise typer.BadParameter(f"no case {name!r}; allowed: {', '.join(CASES)}")
    return CASES[name]


def _prepare(cases: list[Case], seconds: float) -> Prepared:
    tunings = {}
    for case in cases:
        tunings[case.name] = choose(case.sweep)
        program, lanes, _ = tunings[case.name]
        console.print(f"{case.name}: {program}, {lanes} lanes")
    jax.clear_caches()  # or what tuning has compiled would not be compiled again
    prepared = [(report.CEILING, name, make()) for name, make in _ceilings().items()]
    for case in cases:
        made = peers.ours(case, tunings[case.name], seconds)
        prepared.append((case.name, report.OURS, made))
        for name, make in _peers().items():
            prepared += [(case.name, name, made) for made in make(case)]
        console.print(f"{case.name}: compiled")
    return prepared


def _peers() -> dict[str, Callable[[Case], list[peers.Prepared]]]:
    makers = {
        "plain vmap": peers.plain_vmap,
        "plain vmap, 1,024 seeds": functools.partial(peers.plain_vmap, counts=(1024,)),
        "plain vmap, our organism": peers.plain_vmap_of_organism,
    }
    if importlib.util.find_spec("torch"):
        import torch_peers

        makers |= {
            "torch.func vmap": torch_peers.torch_vmap,
            "PyTorch loop": torch_peers.torch_loop,
        }
    return makers


def _ceilings() -> dict[str, Callable[[], peers.Prepared]]:
    makers = {"JAX": peers.jax_ceiling, "NumPy": peers.numpy_ceiling}
    if importlib.util.find_spec("torch"):
        import torch_peers

        makers["PyTorch"] = torch_peers.torch_ceiling
    return makers


def _measure(prepared: Prepared, rounds: int, seconds: float) -> list[dict[str, Any]]:
    """Return each thing that was timed, with its speed in each round."""
    timed = [
        {
            "case": case,
            "peer": peer,
            "note": made.note,
            "compile_seconds": made.compile_seconds,
            "speeds": [],
        }
        for case, peer, made in prepared
    ]
    shuffler, order = random.Random(0), list(range(len(prepared)))
    for number in range(rounds):
        shuffler.shuffle(order)
        for i in order:
            timed[i]["speeds"].append(peers.measure(prepared[i][2], seconds))
        console.print(f"round {number + 1} of {rounds}")
    return timed


if __name__ == "__main__":
    typer.run(main)
