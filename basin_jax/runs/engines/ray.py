"""Workers as the tasks of a Ray cluster, each of which runs the command of a shard."""

import logging
import os
import signal
import warnings
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from basin_jax.devices import cores
from basin_jax.files import printable
from basin_jax.runs.engines.contract import (
    POLL_SECONDS,
    TRIES,
    Engine,
    Event,
    Reference,
)
from basin_jax.runs.engines.process import Process, ending, is_lost
from basin_jax.runs.shard import Shard


# A worker's results go to the folder, and hardly anything into Ray's memory for objects.
OBJECT_BYTES = 200 * 2**20


@dataclass(frozen=True)
class Ray(Engine):
    """Tasks of a Ray cluster; one that is killed, or whose node is, runs again.

    Attributes:
        address: the cluster's, as `ray.init` takes it; this machine alone if None.
    """

    address: str | None = None

    @property
    def prepares(self) -> bool:
        return self.address is None

    def check(self, workers: int) -> None:
        if find_spec("ray") is None:
            raise ValueError('engine = ray needs Ray; install it: pip install "basin-jax[ray]"')
        if self.address is None and workers > cores():
            raise ValueError(
                f"workers = {workers}; allowed: 1 to {cores()}, one for each core of this machine"
            )

    def run(self, reference: Reference, shards: Sequence[Shard]) -> Generator[Event | None]:
        with _connected(self.address) as ray:
            share = _share(ray, len(shards))
            # Ray itself would run a task anew for each of the tries that are counted here.
            task = ray.remote(max_retries=0, **share)(work)
            running, tries = dict[Any, Shard](), dict.fromkeys(shards, 1)

            def start(shard: Shard) -> None:
                arguments, where = reference.arguments(shard), str(reference.directory)
                running[task.remote(arguments, where, share["num_cpus"])] = shard

            try:
                for shard in shards:
                    start(shard)
                    yield Event(shard, "started", "waits for a node")
                while running:
                    yield None
                    for done in ray.wait(list(running), timeout=POLL_SECONDS)[0]:
                        shard, (code, text, lost) = running.pop(done), _result(ray, done)
                        if lost and tries[shard] < TRIES:
                            tries[shard] += 1
                            start(shard)
                            yield Event(shard, "lost", f"{text}, and starts again")
                        else:
                            yield Event(shard, "ended", text, code)
            finally:
                for waited in running:
                    ray.cancel(waited)
                if running:
                    ray.wait(list(running), num_returns=len(running))


def work(arguments: Sequence[str], directory: str, cpus: int) -> tuple[int, str]:
    """Run a worker, in a task of Ray; return its exit code and what it said last."""
    environment = {"JAX_NUM_CPU_DEVICES": os.environ.get("JAX_NUM_CPU_DEVICES", str(cpus))}
    process = Process(arguments, Path(directory), environment)
    try:
        return process.wait()
    except KeyboardInterrupt:  # by which Ray cancels a task
        process.stop()
        return process.wait()


def _result(ray: Any, done: Any) -> tuple[int | None, str, bool]:
    """Return a worker's exit code, if it has one, how it ended, and whether it may start again."""
    try:
        code, said = ray.get(done)
        return code, ending(code, said), is_lost(code)
    except ray.exceptions.RayTaskError as error:
        return None, f"cannot start: {printable(' '.join(str(error.cause).split()))}", False
    except ray.exceptions.RayError as error:
        return None, f"was lost: {printable(str(error).partition(chr(10))[0])}", True


def _share(ray: Any, workers: int) -> dict[str, int]:
    """Return what of the cluster a worker uses: a GPU where there are some, or some cores."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if any(node.get("GPU") for node in nodes):
        return {"num_cpus": 1, "num_gpus": 1}
    every = [int(node.get("CPU", 0)) for node in nodes]
    return {"num_cpus": max(1, min(sum(every) // workers, max(every)))}


@contextmanager
def _connected(address: str | None) -> Iterator[Any]:
    """Connect to a cluster, or start one on this machine, until the end."""
    # Nodes have an installation of their own, where `uv run` would make one of this folder.
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    import ray

    here = {
        "num_cpus": cores(),
        "include_dashboard": False,
        "object_store_memory": OBJECT_BYTES,
    }
    heard = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        with warnings.catch_warnings():
            # Of JAX, since Ray forks; its processes replace themselves at once.
            warnings.filterwarnings("ignore", "os.fork", RuntimeWarning)
            ray.init(
                address=address or "local",
                log_to_driver=False,
                logging_level=logging.ERROR,
                **({} if address else here),
            )
        for signum, handler in heard.items():  # Ray takes SIGTERM for itself
            signal.signal(signum, handler)
        yield ray
    finally:
        ray.shutdown()
