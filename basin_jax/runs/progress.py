"""Show the progress of a run: as a table on a terminal and in a notebook, as lines elsewhere."""

import io
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from basin_jax.statistics.estimates import estimate


# Seconds between plain lines: often enough to follow, seldom enough for a job's log.
LINE_SECONDS = 15.0
# Seconds between tables on a terminal and in a notebook, where each is a message to its page.
LIVE_SECONDS, TABLE_SECONDS, TABLE_WIDTH = 0.25, 0.5, 110
SHOWN = 20  # cells that a table shows, or whose end has a line


@dataclass
class CellProgress:
    """The progress of a cell, including trained seeds that are not committed yet."""

    label: str
    steps: int  # of a seed
    done: int = 0
    asked: int | None = None  # None: as many as the interval needs
    hits: int = 0  # deceptive seeds
    siblings: int = 1  # seeds that share an ancestor
    finished: bool = False

    @property
    def estimate(self) -> str:
        """The fraction so far, with its anytime interval."""
        if not self.done:
            return "-"
        if self.siblings > 1:
            return f"{self.hits / self.done:.3f}"  # no interval: they are related
        now = estimate(self.hits, self.done, interval="anytime")
        return f"{now.fraction:.3f} [{now.low:.3f}, {now.high:.3f}] (anytime interval)"

    def is_within(self, width: float | None) -> bool:
        """Return True if the interval is as narrow as is asked, if that is asked."""
        if width is None or not self.done:
            return False
        now = estimate(self.hits, self.done, interval="anytime")
        return now.high - now.low <= width


class Progress:
    """The receiver of a run's messages and progress, which shows nothing; a subclass does."""

    def tell(self, line: str) -> None:
        """Take a message."""

    def update(self, cells: Sequence[CellProgress], current: CellProgress) -> None:
        """Take the state of all cells after some seeds of one of them."""


@dataclass
class Pace:
    """Seed-steps per second of a run, and the time left at that pace."""

    began: float = 0.0
    before: int = 0
    first: CellProgress | None = None  # the first cell, by which one run is told from another

    def measure(self, cells: Sequence[CellProgress]) -> str:
        """Return the speed since a run's first call, and the time left if that is known."""
        steps = sum(cell.done * cell.steps for cell in cells)
        if self.first is not cells[0]:
            # Seeds of the first call are from an earlier run, or were not timed.
            self.began, self.before, self.first = time.monotonic(), steps, cells[0]
            return "starting"
        speed = (steps - self.before) / max(time.monotonic() - self.began, 1e-9)
        if any(cell.asked is None for cell in cells) or speed == 0:
            return f"{speed:,.0f} seed-steps/s"
        left = sum((cell.asked or 0) * cell.steps for cell in cells) - steps
        minutes, seconds = divmod(round(left / speed), 60)
        return f"{speed:,.0f} seed-steps/s, {minutes}:{seconds:02d} left"


class Lines(Progress):
    """Print lines, for logs."""

    def __init__(self, console: Console):
        self._console = console
        self._pace = Pace()
        self._last = -LINE_SECONDS
        self._first: CellProgress | None = None  # of the run whose seeds have been shown

    def tell(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def update(self, cells: Sequence[CellProgress], current: CellProgress) -> None:
        now = time.monotonic()
        ends = current.finished and len(cells) <= SHOWN
        first = current.done > 0 and self._first is not cells[0]
        if now - self._last < LINE_SECONDS and not ends and not first:
            return
        if first:
            self._first = cells[0]
        self._last, pace = now, self._pace.measure(cells)
        asked = f"{current.asked:,}" if current.asked is not None else "as needed"
        self.tell(
            f"{time.strftime('%H:%M:%S')}  {current.label}: {current.done:,} of {asked} "
            f"seeds, deceptive so far {current.estimate}; {pace}{_finished(cells)}"
        )


class LiveTable(Progress):
    """Keep a table up to date, for a terminal."""

    def __init__(self, live: Live):
        self._live = live
        self._pace = Pace()
        self._last = -LIVE_SECONDS

    def tell(self, line: str) -> None:
        self._live.console.print(line, markup=False, highlight=False)

    def update(self, cells: Sequence[CellProgress], current: CellProgress) -> None:
        now = time.monotonic()
        if now - self._last < LIVE_SECONDS:
            return
        self._last = now
        self._live.update(_table(cells, current, self._pace.measure(cells)))


class NotebookTable(Progress):
    """Keep a table up to date in a cell's output, below the messages."""

    def __init__(self, display: Callable[..., Any]):
        self._display = display
        self._pace = Pace()
        self._last = -TABLE_SECONDS
        self._shown: Any = None

    def tell(self, line: str) -> None:
        print(line)

    def update(self, cells: Sequence[CellProgress], current: CellProgress) -> None:
        now = time.monotonic()
        ends = current.finished and len(cells) <= SHOWN
        if now - self._last < TABLE_SECONDS and not ends:
            return
        self._last, pace = now, self._pace.measure(cells)
        written = io.StringIO()
        page = Console(file=written, width=TABLE_WIDTH, force_jupyter=False, color_system=None)
        page.print(_table(cells, current, pace))
        content = {"text/plain": written.getvalue()}
        if self._shown is None:
            self._shown = self._display(content, raw=True, display_id=True)
        else:
            self._shown.update(content, raw=True)


def _table(cells: Sequence[CellProgress], current: CellProgress, pace: str) -> Table:
    table = Table(caption=f"{pace}{_finished(cells)}", caption_justify="left")
    table.add_column("cell")
    table.add_column("seeds", justify="right")
    table.add_column("of", justify="right")
    table.add_column("deceptive so far [95 %]")
    first = max(0, min(cells.index(current) - SHOWN // 2, len(cells) - SHOWN))
    for cell in cells[first : first + SHOWN]:
        asked = f"{cell.asked:,}" if cell.asked is not None else "as needed"
        table.add_row(Text(cell.label), f"{cell.done:,}", asked, cell.estimate)
    return table


@contextmanager
def shown(progress: Progress | bool) -> Iterator[Progress]:
    """Show progress where the user looks if True, nowhere if False, or as given."""
    if isinstance(progress, Progress):
        yield progress
        return
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if not progress:
        yield Progress()
    elif getattr(shell, "kernel", None) is not None:
        yield NotebookTable(sys.modules["IPython"].display.display)
    else:
        with progress_for(Console(stderr=True)) as on_console:
            yield on_console


def _finished(cells: Sequence[CellProgress]) -> str:
    """Say how many of many cells are finished."""
    if len(cells) <= SHOWN:
        return ""
    return f"; {sum(cell.finished for cell in cells):,} of {len(cells):,} cells finished"


@contextmanager
def progress_for(console: Console) -> Iterator[Progress]:
    """Show progress as suits a console."""
    if console.is_terminal:
        with Live(console=console, refresh_per_second=4, transient=True) as live:
            yield LiveTable(live)
    else:
        yield Lines(console)
