"""Report a replay: the stored evidence, the comparison, and the evidence over training."""

from pathlib import Path

from basin_jax.files import make_folder, write_pages
from basin_jax.report.figures import drawn, history
from basin_jax.results.records import Records
from basin_jax.runs.replay import Replay


def replay_folder(records: Records) -> Path:
    """Make the folder of the figures of replays, and try it; return it."""
    folder = records.store.folder / "replay"
    make_folder(folder)
    return folder


def write_replay(replay: Replay) -> tuple[str, Path]:
    """Draw a replay's evidence over training; return a text and the path of the figure."""
    records = replay.records
    title = f"{records.label(replay.cell)}, seed {replay.seed}: {replay.verdict}"
    name = f"{replay.cell}-{replay.seed}.png"
    figure = drawn(history(replay.curve, title=title), ".png")
    path = write_pages(replay_folder(records), {name: figure}) / name
    lines = [title, *(f"  {name:12} {value: .6g}" for name, value in replay.evidence.items())]
    if replay.differing:
        lines.append(f"DIFFERS from the stored bits in: {', '.join(replay.differing)}")
        lines += [f"  {change}" for change in replay.changes]
    else:
        lines.append("Equal to the stored bits.")
    return "\n".join([*lines, f"Figure: {path}"]), path
