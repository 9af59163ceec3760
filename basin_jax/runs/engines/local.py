"""Workers on this machine: each has its share of the cores, or of the GPUs."""

import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import jax

from basin_jax.devices import cores
from basin_jax.runs.engines.contract import TRIES, Engine, Event, Reference, pause
from basin_jax.runs.engines.process import Process, ending, is_lost
from basin_jax.runs.shard import Shard


GPUS = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Local(Engine):
    """Child processes of this one; one that is killed starts again."""

    @property
    def prepares(self) -> bool:
        return True

    def check(self, workers: int) -> None:
        platform = jax.default_backend()
        if platform not in ("cpu", "gpu"):
            raise ValueError(
                f"engine = local, on a {platform.upper()}, which one process has to itself; "
                "allowed: a run without an engine, which trains on all of its cores"
            )
        most, each = (cores(), "core") if platform == "cpu" else (len(_gpus()), "GPU")
        if workers > most:
            raise ValueError(f"workers = {workers}; allowed: 1 to {most}, one for each {each}")

    def run(self, reference: Reference, shards: Sequence[Shard]) -> Generator[Event | None]:
        running, tries = dict[Shard, Process](), dict.fromkeys(shards, 1)
        try:
            for shard in shards:
                running[shard] = _start(reference, shard)
                yield Event(shard, "started", "started")
            while running:
                yield from pause()
                for shard, process in list(running.items()):
                    ended = process.ended()
                    if ended is None:
                        continue
                    del running[shard]
                    if is_lost(ended[0]) and tries[shard] < TRIES:
                        tries[shard] += 1
                        running[shard] = _start(reference, shard)
                        yield Event(shard, "lost", f"{ending(*ended)}, and starts again")
                    else:
                        yield Event(shard, "ended", ending(*ended), ended[0])
        finally:
            for process in running.values():
                process.stop()
            for process in running.values():
                process.wait()


def _start(reference: Reference, shard: Shard) -> Process:
    gpus = _gpus()
    if gpus:
        environment = {GPUS: ",".join(_share(gpus, shard))}
    elif hasattr(os, "sched_getaffinity"):
        environment = {}
    else:
        environment = {"JAX_NUM_CPU_DEVICES": str(len(_share(range(cores()), shard)))}
    with _on_its_cores(shard):
        return Process(reference.arguments(shard), reference.directory, environment)


def _gpus(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return the names of the GPUs that this process may use."""
    count = sum(device.platform == "gpu" for device in jax.local_devices())
    return environment.get(GPUS, ",".join(map(str, range(count)))).split(",")[:count]


def _share[T](all_of_them: Sequence[T], shard: Shard) -> Sequence[T]:
    """Return the part of a shard, which is at least one if there are as many as shards."""
    first, last = (at * len(all_of_them) // shard.count for at in (shard.index, shard.index + 1))
    return all_of_them[first:last]


@contextmanager
def _on_its_cores(shard: Shard) -> Iterator[None]:
    """Let this thread, whose cores a child inherits, use those of a shard alone."""
    if not hasattr(os, "sched_getaffinity"):
        yield
        return
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, _share(sorted(own), shard))
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)
