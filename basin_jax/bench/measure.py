"""Time everything in one process, in rounds.

Each round times everything once, in a random order, so that a slow spell of the machine affects
all alike. Ratios are taken within a round.
"""

import functools
import importlib.util
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from basin_jax.bench import peers
from basin_jax.bench.cases import CASES, PENDULUM, Case, chosen
from basin_jax.bench.engine import WORK, whole_runs
from basin_jax.bench.pendulum import SWEEP
from basin_jax.bench.scaling import scaling
from basin_jax.bench.timing import OURS, Prepared, Work, cold, measure, peak_bytes
from basin_jax.engine.autotune import Tuning, choose


CEILING, BANDWIDTH = "ceiling", "bandwidth"
# Peers that other packages make are in the repository, and not in the installed package.
PEERS = Path(__file__).parents[2] / "benchmarks"
Tell = Callable[[str], None]
Makers = dict[str, Callable[[Case], list[Prepared]]]


def run(
    names: Sequence[str],
    *,
    rounds: int,
    seconds: float,
    with_peers: bool,
    with_growth: bool,
    tell: Tell,
) -> dict[str, Any]:
    """Measure cases against peers and ceilings, and return all of it, ready for JSON.

    Args:
        names: of `CASES`.
        rounds: the number of times everything is timed.
        seconds: the least time for which each is timed in a round.
        with_peers: also time other packages, where they are installed.
        with_growth: also measure how speed grows with seeds, lanes, width and devices, and time
            and memory with the seeds of a run.
        tell: called with lines of progress.

    Raises:
        ValueError: if there is no such case, nothing to time, or no code of the peers.
    """
    cases = chosen(names)
    if with_peers and not (PEERS / "torch_peers.py").is_file():
        raise ValueError(
            "--peers outside of a clone of the repository; allowed: in a clone, whose folder "
            "benchmarks has the code of the peers"
        )
    if rounds < 1:
        raise ValueError(f"rounds = {rounds}; allowed: at least 1")
    if not seconds > 0:
        raise ValueError(f"seconds = {seconds}; allowed: a number above 0")
    with cold():
        tunings = _tunings([*(case.name for case in cases), *{PENDULUM}.intersection(names)], tell)
    with cold():
        work = _prepare(cases, tunings, seconds, with_peers, tell)
        for name in (name for name in WORK if name in names):
            work += WORK[name]()
            tell(f"{name}: compiled")
        return {
            "settings": {
                "cases": list(names),
                "rounds": rounds,
                "seconds": seconds,
                "peers": with_peers,
            },
            "flop": {case.name: case.flop for case in cases},
            "state_bytes": {case.name: case.state_bytes for case in cases},
            "timed": _timed(work, rounds, seconds, tell),
            "basins": [
                {"case": case, "peer": peer, **made.basin().row()}
                for case, peer, made in work
                if made.basin is not None
            ],
            "scaling": scaling(tell) if with_growth else [],
            "runs": whole_runs(tell) if with_growth else [],
        }


def _tunings(names: Sequence[str], tell: Tell) -> dict[str, Tuning]:
    """Choose backend and lanes anew, in a process of their own."""
    tunings = {}
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        for name, tuning in zip(names, pool.map(_tune, names), strict=True):
            tell(f"{name}: {tuning.backend}, {tuning.lanes} lanes")
            tunings[name] = tuning
    return tunings


def _tune(name: str) -> Tuning:
    sweeps = {case.name: case.sweep for cases in CASES.values() for case in cases}
    return choose({**sweeps, PENDULUM: SWEEP}[name])


def _prepare(
    cases: Sequence[Case], tunings: dict[str, Tuning], seconds: float, with_peers: bool, tell: Tell
) -> Work:
    torch = with_peers and importlib.util.find_spec("torch") is not None
    work = [
        (CEILING, "JAX", peers.jax_ceiling()),
        (CEILING, "NumPy", peers.numpy_ceiling()),
        (BANDWIDTH, "JAX", peers.bandwidth()),
    ]
    makers: Makers = {
        "plain vmap": peers.plain_vmap,
        "plain vmap, 1,024 seeds": functools.partial(peers.plain_vmap, counts=(1024,)),
    }
    if with_peers:
        makers["plain vmap, our organism"] = peers.plain_vmap_of_organism
    if torch:
        theirs = _peers("torch_peers")
        work.append((CEILING, "PyTorch", theirs.torch_ceiling()))
        makers |= {"torch.func vmap": theirs.torch_vmap, "PyTorch loop": theirs.torch_loop}
    for case in cases:
        work.append((case.name, OURS, peers.ours(case, tunings[case.name], seconds)))
        for name, make in makers.items():
            work += [(case.name, name, made) for made in make(case)]
        tell(f"{case.name}: compiled")
    if PENDULUM in tunings:
        work.append((PENDULUM, OURS, peers.our_pendulum(tunings[PENDULUM])))
        if torch and importlib.util.find_spec("pybasin"):
            work.append((PENDULUM, "pybasin", _peers("pybasin_peer").pybasin_pendulum()))
    return work


def _peers(name: str) -> Any:
    """Import a module of peers from the repository."""
    spec = importlib.util.spec_from_file_location(name, PEERS / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _timed(work: Work, rounds: int, seconds: float, tell: Tell) -> list[dict[str, Any]]:
    timed = [
        {
            "case": case,
            "peer": peer,
            "note": made.note,
            "compile_seconds": made.compile_seconds,
            "peak_bytes": peak_bytes(made),
            "speeds": [],
        }
        for case, peer, made in work
    ]
    shuffler, order = random.Random(0), list(range(len(work)))
    for number in range(rounds):
        shuffler.shuffle(order)
        for i in order:
            timed[i]["speeds"].append(measure(work[i][2], seconds))
        tell(f"round {number + 1} of {rounds}")
    return timed
