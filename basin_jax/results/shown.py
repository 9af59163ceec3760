"""Show records, and convert them for other libraries: the methods of `Records` that do this."""

from collections.abc import Sequence
from typing import Any

from basin_jax.core.arguments import checked
from basin_jax.core.verdict import Verdict
from basin_jax.results.reading import Stored


class Shown(Stored):
    """What `Records` shows of itself; `self` is annotated so since it is always a `Records`.

    The report is imported where a method is called: `results` lies left of it.
    """

    def __repr__(self: Any) -> str:
        from basin_jax.report import shown

        return shown.prompt(self)

    def _repr_html_(self: Any) -> str:
        from basin_jax.report import shown

        return shown.html(self)

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
