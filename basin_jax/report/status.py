"""Tables of how far a folder is, and of what its workers are at."""

from collections.abc import Sequence

from basin_jax.core.sweep import siblings_of
from basin_jax.report.render import Group, Line, Table
from basin_jax.results.reading import Stored
from basin_jax.runs.committed import CommittedSeeds
from basin_jax.runs.progress import CellProgress
from basin_jax.runs.workers import WorkerState


def cells_table(stored: Stored) -> Table:
    """Return a table of the cells of a folder: seeds that it has, and the deceptive fraction."""
    committed = CommittedSeeds(stored.store, stored.cells)
    wholes = {request.whole for request in stored.requests.counted if request.whole is not None}
    counts = {f"{whole.count:,}" for whole in wholes}
    asked = counts.pop() if len(counts) == 1 else "-"
    lines = []
    for digest in stored.cells:
        done, hits = committed.count(digest)
        state = CellProgress(
            stored.label(digest), 0, done, hits=hits, siblings=siblings_of(stored.cells[digest])
        )
        lines.append(Line([state.label, f"{done:,}", asked, state.estimate]))
    head = ["cell", "seeds", "of", "deceptive so far [95 %]"]
    return Table(head=head, groups=[Group(lines)], right=head[1:3])


def workers_table(workers: Sequence[WorkerState]) -> Table:
    """Return a table of workers: who they are, what they are at, and when they were seen last."""
    lines = []
    for worker in workers:
        seen = f"{max(worker.age, 0):.0f} s ago"
        lines.append(
            Line(
                [
                    f"{worker.host}, process {worker.process}",
                    worker.shard or "-",
                    f"{worker.seeds:,}",
                    worker.doing,
                    seen if worker.is_live else f"dead; {seen}",
                ],
                failed=not worker.is_live,
            )
        )
    head = ["worker", "shard", "seeds", "at", "seen"]
    return Table(head=head, groups=[Group(lines)], right=["seeds"])
