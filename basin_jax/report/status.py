"""Tables of how far a folder is, and of what its workers are at."""

import time
from collections.abc import Sequence

from basin_jax.core.verdict import Verdict
from basin_jax.report.render import Group, Line, Table
from basin_jax.results.reading import Stored
from basin_jax.runs.committed import CommittedSeeds
from basin_jax.runs.workers import WorkerState
from basin_jax.statistics.estimates import estimate


def cells_table(stored: Stored) -> Table:
    """Return a table of the cells of a folder: seeds that it has, and the deceptive fraction."""
    committed = CommittedSeeds(stored.store, stored.cells)
    ranges = [asked for request in stored.requests.every if (asked := request.range) is not None]
    asked = f"{max(map(len, ranges)):,}" if ranges else "as needed"
    lines = []
    for digest in stored.cells:
        done, hits = committed.count(digest)
        now = estimate(hits, done, interval="anytime") if done else None
        share = f"{now.fraction:.3f} [{now.low:.3f}, {now.high:.3f}]" if now else "-"
        lines.append(Line([stored.label(digest), f"{done:,}", asked, share]))
    head = ["cell", "seeds", "of", f"{Verdict.DECEPTIVE.name.lower()} so far [95 %, anytime]"]
    return Table(head=head, groups=[Group(lines)], right=head[1:3])


def workers_table(workers: Sequence[WorkerState]) -> Table:
    """Return a table of workers: who they are, what they are at, and when they were seen last."""
    now, lines = time.time(), []
    for worker in workers:
        seen = f"{max(now - worker.seen, 0):.0f} s ago"
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
