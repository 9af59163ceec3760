"""Show records, and convert them for other libraries: the methods of `Records` that do this."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import polars as pl

from basin_jax.core.arguments import checked
from basin_jax.core.verdict import Verdict
from basin_jax.results import formats
from basin_jax.results.reading import Stored


Kind = Literal[
    "fractions", "gaps", "watched", "trajectories", "committor", "convergence", "outcomes"
]


class Shown(Stored):
    """Methods of `Records` that show it or convert it; `self` is always a `Records`.

    The report is imported where a method is called: `results` lies left of it.
    """

    def __repr__(self: Any) -> str:
        from basin_jax.report import shown

        return shown.prompt(self)

    def _repr_html_(self: Any) -> str:
        from basin_jax.report import shown

        return shown.html(self)

    @checked
    def plot(
        self: Any,
        kind: Kind = "fractions",
        *,
        ax: Any = None,
        of: Verdict | str | int | Sequence[Verdict | str | int] | None = None,
        order: Sequence[str] | None = None,
        palette: Mapping[Any, Any] | None = None,
    ) -> Any:
        """Draw fractions of verdicts with their intervals, or how the seeds of each cell behave.

        Args:
            kind: "fractions"; or with a panel for each cell "gaps" (histograms of `unwatched` less
                `watched`), "watched" (both rates, with the rule's regions), "trajectories" (the gap
                over training, by the verdict at the end), "committor" (the fraction that ends
                deceptive, by the gap at an earlier stop), "convergence" (the fraction as seeds are
                added, with its confidence sequence), or "outcomes" (the verdicts of the same seeds
                in the first cell and in another).
            ax: one's own axes, on which one panel is drawn in one's own style, with labels for
                `ax.legend()`; a figure with caption and legend is made if None.
            of: the verdict, or verdicts, to draw; those that occur, and DECEPTIVE, if None.
            order: the digests or the labels of the cells to draw, in their order; all if None.
            palette: colors for verdicts, such as `{"DECEPTIVE": "black"}`.

        Returns:
            The Matplotlib figure, which a notebook shows and `savefig` writes; or `ax`.

        Raises:
            ValueError: if there is no such verdict or cell, if a color is none, if records have no
                such figure, or if one axes is not enough.
        """
        from basin_jax.report.figures import plot
        from basin_jax.report.panels import Selection

        several = [of] if isinstance(of, Verdict | str | int) else of
        return plot(kind, Selection(self, of=several, order=order, palette=palette), ax)

    @checked
    def table(
        self: Any,
        columns: Sequence[str | Verdict] | None = None,
        *,
        by: str | Sequence[str] | None = None,
        level: float = 0.95,
    ) -> Any:
        """Return a table of the fractions, to look at or to quote: a row for each cell.

        Args:
            columns: its columns in their order: "cell", "seeds", fields and verdicts; the cell, its
                seeds and the verdicts that occur if None.
            by: fields that tell the cells apart, as in `fractions`, with a column each in place of
                the cell's name. The first of several groups the rows.
            level: the level of the intervals, each by itself.

        Returns:
            A `basin_jax.report.render.Table`, which has `text()`, `markdown()`, `latex()`,
            `typst()` and `html()`, and shows itself in a notebook.

        Raises:
            ValueError: if there is no such column, or `fractions` refuses `by`.
        """
        from basin_jax.report import shown

        return shown.quoted(self, columns=columns, by=by, level=level)

    @checked
    def to_latex(
        self: Any,
        columns: Sequence[str | Verdict] | None = None,
        *,
        by: str | Sequence[str] | None = None,
        level: float = 0.95,
    ) -> str:
        """Return `table` as LaTeX, for the package booktabs."""
        return self.table(columns, by=by, level=level).latex()

    @checked
    def to_markdown(
        self: Any,
        columns: Sequence[str | Verdict] | None = None,
        *,
        by: str | Sequence[str] | None = None,
        level: float = 0.95,
    ) -> str:
        """Return `table` as Markdown."""
        return self.table(columns, by=by, level=level).markdown()

    @checked
    def to_typst(
        self: Any,
        columns: Sequence[str | Verdict] | None = None,
        *,
        by: str | Sequence[str] | None = None,
        level: float = 0.95,
    ) -> str:
        """Return `table` as Typst."""
        return self.table(columns, by=by, level=level).typst()

    def to_pandas(self) -> Any:
        """Return `frame`, a row for each cell and seed, as a frame of pandas.

        Raises:
            ImportError: if pandas or PyArrow is missing: `pip install "basin-jax[data]"`.
        """
        return formats.to_pandas(self)

    def to_xarray(self) -> Any:
        """Return all verdicts and evidence as an `xarray.Dataset`, over cell, seed and step.

        Its arrays have a place for every seed and step that some cell has. The coordinates along
        `cell` are digests, labels and the varied fields. A verdict is its number, with
        the attributes `flag_values` and `flag_meanings`; where a cell lacks a seed or a step it is
        ABSENT, and evidence NaN.

        Raises:
            ImportError: if xarray is missing: `pip install "basin-jax[data]"`.
        """
        return formats.to_xarray(self)

    @checked
    def sql(self, query: str) -> pl.DataFrame:
        """Answer a query of SQL on the table `seeds`, which is `frame`, by DuckDB.

        Args:
            query: such as `select label, avg(fit) from seeds group by label`; a column with a dot
                is quoted, as in `"organism.tilt"`.

        Raises:
            ImportError: if DuckDB or PyArrow is missing: `pip install "basin-jax[data]"`.
            ValueError: if DuckDB refuses the query.
        """
        return formats.sql(self, query)
