"""Report a replay: the stored evidence, the comparison, and the evidence over training."""

from pathlib import Path

from basin_jax.files import make_folder
from basin_jax.report.figures import history, save
from basin_jax.runs.replay import Replay


def write_replay(replay: Replay) -> tuple[str, Path]:
    """Draw a replay's evidence over training; return a text and the path of the figure."""
    records = replay.records
    title = f"{records.label(replay.cell)}, seed {replay.seed}: {replay.verdict}"
    folder = records.store.folder / "replay"
    make_folder(folder)
    path = folder / f"{replay.cell}-{replay.seed}.png"
    save(history(replay.curve, title=title), path)
    lines = [title, *(f"  {name:12} {value: .6g}" for name, value in replay.evidence.items())]
    if replay.differing:
        lines.append(f"DIFFERS from the stored bits in: {', '.join(replay.differing)}")
        lines += [f"  {change}" for change in replay.changes]
    else:
        lines.append("Equal to the stored bits.")
    return "\n".join([*lines, f"Figure: {path}"]), path
