"""Count the verdicts that depend on how they were computed, and not only on the seed.

    uv run python benchmarks/flips.py [--seeds 10000] [--out benchmarks/records/DATE_DEVICE_flips]
                                      [--organism Audit --first 8]  # resumes one that was stopped

Each way to compute is compared with a reference, seed by seed: by the verdicts, and by the bits of
the evidence. `Audit` has difficulty 2, where outcomes are most mixed.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import jax
import numpy as np
import typer

from basin_jax import Sweep, build_kernel
from basin_jax.bench.engine import AUDIT, GATE, STOPPING
from basin_jax.bench.record import versions
from basin_jax.core.verdict import judge
from basin_jax.methods import EarlyStopping
from basin_jax.rules import Behavior
from basin_jax.statistics.estimates import estimate


HERE = Path(__file__)
SWEEPS = {"Gate": GATE, "Audit": AUDIT}
SETTLED = {
    "Audit": STOPPING["settling, audit"][1],
    "Gate": {"check_every": 25, "still": 1e-5},
}
HEADINGS = ("organism", "computed by", "against", "verdicts that differ [95 %]", "same bits")


class Way(NamedTuple):
    """A way to compute the same evidence."""

    backend: str = "cpu"
    lanes: int = 16
    devices: int | None = None
    precision: str = "float32"
    shifted: bool = False
    settled: bool = False

    def __str__(self) -> str:
        devices = self.devices or len(jax.local_devices())
        plural = "s" if devices > 1 else ""
        said = [self.backend, f"{self.lanes} lanes", f"{devices} device{plural}", self.precision]
        said += ["each seed in another lane"] * self.shifted + [
            "stopped where settled"
        ] * self.settled
        return ", ".join(said)


CPU, XLA = Way(), Way(backend="xla")
# Each way, and what it is held against.
PAIRS = [
    (CPU._replace(lanes=64), CPU),
    (CPU._replace(shifted=True), CPU),
    (CPU._replace(devices=1), CPU),
    (XLA, CPU),
    (XLA._replace(shifted=True), XLA),
    (XLA._replace(lanes=64), XLA),
    (XLA._replace(devices=1), XLA),
    (CPU._replace(precision="float64"), CPU),
    (XLA._replace(precision="float64"), XLA),
    (CPU._replace(settled=True), CPU),
]


def compute(name: str, sweep: Sweep, way: Way, count: int) -> dict[str, np.ndarray]:
    """Return the evidence of each seed at the last stop."""
    sweep = sweep.replace(precision=way.precision)
    if way.settled:
        sweep = sweep.replace(method=EarlyStopping(method=sweep.method, **SETTLED[name]))
    chosen: Any = {"backend": way.backend, "devices": tuple(jax.local_devices()[: way.devices])}
    seeds = np.arange(count, dtype=np.uint64)
    shift = way.lanes // 2 if way.shifted else 0
    found = build_kernel(sweep, lanes=way.lanes, **chosen)(np.roll(seeds, shift))
    return {name: np.roll(values[:, -1], -shift) for name, values in found.items()}


def same_bits(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> float:
    """Return the fraction of seeds whose evidence has the same bits."""
    bits = {4: np.uint32, 8: np.uint64}
    pairs = [(ours[n], theirs[n].view(bits[theirs[n].itemsize])) for n in ours]
    return float(np.all([a.view(b.dtype) == b for a, b in pairs], axis=0).mean())


def compare(
    name: str, sweep: Sweep, pairs: Sequence[tuple[Way, Way]], count: int
) -> Iterator[dict[str, Any]]:
    """Yield the number of seeds that differ for each pair of ways."""
    known: dict[Way, dict[str, np.ndarray]] = {}
    for way, against in pairs:
        for one in (against, way):
            if one not in known:
                known[one] = compute(name, sweep, one, count)
        ours, theirs = known[way], known[against]
        differ = judge(Behavior(), ours) != judge(Behavior(), theirs)
        flips = estimate(int(differ.sum()), count)
        yield {
            "organism": name,
            "way": str(way),
            "against": str(against),
            "flips": flips.hits,
            "seeds": count,
            "low": flips.low,
            "high": flips.high,
            "same_bits": same_bits(ours, theirs) if way.precision == against.precision else None,
        }


def rate(found: dict[str, Any]) -> str:
    """Format the fraction of verdicts that differ, with its interval."""
    return f"{found['flips'] / found['seeds']:.2%} [{found['low']:.2%}, {found['high']:.2%}]"


def line(found: dict[str, Any]) -> str:
    """Format a row of the table."""
    bits = "" if found["same_bits"] is None else f"{found['same_bits']:.1%}"
    return f"| {found['organism']} | {found['way']} | {found['against']} | {rate(found)} | {bits} |"


def new_folder(out: Path | None) -> None:
    """Create the folder of a record, before half an hour is spent on it."""
    if out is not None:
        if out.exists():
            raise typer.BadParameter(f"--out {out} is there already; allowed: a new folder")
        out.mkdir(parents=True)


def main(
    seeds: Annotated[int, typer.Option(help="How many each way computes.")] = 10_000,
    out: Annotated[
        Path | None, typer.Option(help="A new folder for a record.  [default: none]")
    ] = None,
    organism: Annotated[
        list[str] | None, typer.Option(help="Whose seeds, repeatable.  [default: both]")
    ] = None,
    first: Annotated[int, typer.Option(help="The pair of ways to begin with.")] = 1,
) -> None:
    """Count the verdicts that depend on how they were computed."""
    if seeds < 1:
        raise typer.BadParameter(f"--seeds {seeds}; allowed: at least 1")
    if not 1 <= first <= len(PAIRS):
        raise typer.BadParameter(f"--first {first}; allowed: 1 to {len(PAIRS)}")
    if unknown := set(organism or ()) - set(SWEEPS):
        raise typer.BadParameter(f"--organism {min(unknown)}; allowed: {', '.join(SWEEPS)}")
    chosen = {name: SWEEPS[name] for name in organism or SWEEPS}
    new_folder(out)
    lines = [f"| {' | '.join(HEADINGS)} |", f"|{' --- |' * len(HEADINGS)}"]
    typer.echo("\n".join(lines))
    results = []
    pairs = PAIRS[first - 1 :]
    for found in (f for n, sweep in chosen.items() for f in compare(n, sweep, pairs, seeds)):
        results.append(found)
        lines.append(line(found))
        typer.echo(lines[-1])
        if out is not None:  # after every row, since the next takes long
            (out / "table.md").write_text("\n".join(lines) + "\n")
            (out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
            (out / "versions.json").write_text(json.dumps(versions(), indent=1) + "\n")
            (out / "flips.py.txt").write_text(HERE.read_text())


if __name__ == "__main__":
    typer.run(main)
