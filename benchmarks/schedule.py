"""Simulate how long many workers train, some of which die, by the plan that they really follow.

    uv run python benchmarks/schedule.py [--seeds 1000000000] [--speed SEED_STEPS_PER_SECOND]

Each worker takes the units of its shard and then helps others, as `basin-jax run --shard I/N` does,
and trains them in chunks. It dies after a random time, loses the chunk that it is at, and comes
back some time later. Speeds are given, not measured here.
"""

import heapq
import random
from dataclasses import dataclass
from typing import Annotated

import typer

from basin_jax.runs.chunk_size import CHUNK_SECONDS
from basin_jax.runs.plan import LARGEST_UNIT, units
from basin_jax.runs.shard import Shard


# Seconds from a worker's command to its first training, and between a death and the next command.
START, AWAY = 30.0, 180.0


@dataclass
class Outcome:
    """The results of a simulated run.

    Attributes:
        hours: until the last chunk is committed.
        files: the number of chunks.
        deaths: of workers.
        lost: the share of the trained seeds that a death, or another worker's commit, cost.
    """

    hours: float
    files: int
    deaths: int
    lost: float


def simulate(
    seeds: int, *, workers: int, rate: float, lifetime: float, smallest: int, root: int = 0
) -> Outcome:
    """Simulate a run.

    Args:
        seeds: how many seeds are trained.
        workers: the number of workers.
        rate: the seeds that a worker trains in a second.
        lifetime: the mean of a worker's life, which is exponentially distributed, in seconds.
        smallest: the seeds of the first units, and of a block of lanes.
        root: what decides the deaths.
    """
    draw = random.Random(root)
    chunk = max(
        smallest, min(LARGEST_UNIT, 1 << max(int(rate * CHUNK_SECONDS), 1).bit_length() - 1)
    )
    done = [0] * sum(1 for _ in units(range(seeds), smallest=smallest))
    sizes = [unit.stop - unit.start for unit in units(range(seeds), smallest=smallest)]
    orders = [
        Shard(index, workers).order(iter([slice(i, i + 1) for i in range(len(sizes))]), 0)
        for index in range(workers)
    ]
    at = [next(order, None) for order in orders]
    ends = [draw.expovariate(1 / lifetime) for _ in range(workers)]
    events = [(START, worker, -1, 0) for worker in range(workers)]
    files = deaths = trained = 0
    finished = 0.0
    while events:
        now, worker, first, count = heapq.heappop(events)
        if ends[worker] < now:  # it died at this chunk
            deaths, trained = deaths + 1, trained + count
            back = ends[worker] + AWAY + START
            ends[worker] = back + draw.expovariate(1 / lifetime)
            heapq.heappush(events, (back, worker, -1, 0))
            continue
        unit = at[worker]
        if first >= 0 and unit is not None:
            trained += count
            if done[unit.start] == first:  # else another worker has committed it
                done[unit.start], files, finished = first + count, files + 1, now
        while unit is not None and done[unit.start] >= sizes[unit.start]:
            unit = at[worker] = next(orders[worker], None)
        if unit is not None:
            first = done[unit.start]
            count = min(chunk, sizes[unit.start] - first)
            heapq.heappush(events, (now + count / rate, worker, first, count))
    return Outcome(finished / 3600, files, deaths, 1 - seeds / trained)


def main(
    seeds: Annotated[int, typer.Option(help="The number of seeds.")] = 10**9,
    steps: Annotated[int, typer.Option(help="The training steps of a seed.")] = 2000,
    speed: Annotated[
        float, typer.Option(help="Training steps of a seed per second, a GPU.")
    ] = 5.5e6,
    block: Annotated[int, typer.Option(help="The seeds that a GPU trains at once.")] = 16384,
    bytes_a_seed: Annotated[float, typer.Option(help="The bytes of a stored seed.")] = 50.0,
) -> None:
    """Simulate 1, 8 and 512 GPUs, without deaths and with one a day and one an hour."""
    print("| GPUs | mean life | hours | deaths | lost | efficiency | files | GB |")
    print("|---|---|---|---|---|---|---|---|")
    ideal = seeds * steps / speed / 3600
    for workers in (1, 8, 512):
        for said, lifetime in (("no death", 1e12), ("a day", 86_400.0), ("an hour", 3600.0)):
            found = simulate(
                seeds, workers=workers, rate=speed / steps, lifetime=lifetime, smallest=block
            )
            print(
                f"| {workers} | {said} | {found.hours:,.2f} | {found.deaths:,} | {found.lost:.2%} "
                f"| {ideal / workers / found.hours:.1%} | {found.files:,} "
                f"| {seeds * bytes_a_seed / 1e9:.1f} |"
            )


if __name__ == "__main__":
    typer.run(main)
