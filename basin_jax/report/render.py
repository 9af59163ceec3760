"""Write tables and pages: a table is made once, for a terminal, Markdown, LaTeX and HTML."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
from rich import box
from rich import table as rich_table
from rich.text import Text


HERE = Path(__file__).parent
LATEX = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "−": "$-$",
    "²": "$^2$",
    "λ": r"$\lambda$",
    "μ": r"$\mu$",
    "σ": r"$\sigma$",
}


class Line(NamedTuple):
    """A row of a table; one that failed is marked."""

    cells: Sequence[str]
    failed: bool = False


class Group(NamedTuple):
    """Rows of a table with a title of their own."""

    lines: Sequence[Line]
    title: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of text.

    Attributes:
        head: the headings of the columns.
        groups: the rows.
        right: the headings of columns whose cells are aligned to the right.
    """

    head: Sequence[str]
    groups: Sequence[Group]
    right: Collection[str] = ()

    def text(self, caption: str = "") -> rich_table.Table:
        """Return the table for a terminal."""
        # As `Text`, since brackets in a string are markup.
        table = rich_table.Table(caption=Text(caption), caption_justify="left", box=box.SIMPLE)
        for name in self.head:
            table.add_column(name, justify="right" if name in self.right else "left")
        for group in self.groups:
            for line in group.lines:
                table.add_row(*map(Text, line.cells), style="bold red" if line.failed else "")
            table.add_section()
        return table

    def markdown(self) -> str:
        """Return the table for a page of Markdown."""
        lines = [_markdown(self.head), "|".join(["", *map(self._rule, self.head), ""])]
        for group in self.groups:
            if group.title:
                lines.append(f"| | **{group.title}** |{' |' * (len(self.head) - 2)}")
            lines += [_markdown(line.cells) for line in group.lines]
        return "\n".join(lines)

    def _rule(self, name: str) -> str:
        return "--:" if name in self.right else "---"

    def latex(self) -> str:
        """Return the table for a paper, by the package booktabs."""
        columns = "".join("r" if name in self.right else "l" for name in self.head)
        lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", _latex(self.head)]
        for group in self.groups:
            lines.append(r"\midrule")
            if group.title:
                title = rf"\emph{{{_typeset(group.title)}}}"
                lines.append(rf"\multicolumn{{{len(self.head)}}}{{l}}{{{title}}} \\")
            lines += [_latex(line.cells) for line in group.lines]
        return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _markdown(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', r'\|') for cell in cells)} |"


def _latex(cells: Sequence[str]) -> str:
    return " & ".join(map(_typeset, cells)) + r" \\"


def _typeset(text: str) -> str:
    """Set a text for LaTeX, its intervals smaller, so that four stand in a row."""
    escaped = "".join(LATEX.get(char, char) for char in text)
    powers = re.sub(r"([\d.]+)e-(\d+)", r"$\1\\cdot10^{-\2}$", escaped)
    return re.sub(r"(\[[\d.].*\])", r"{\\scriptsize\1}", powers)


def fill(template: Path, **content: Any) -> str:
    """Return a template with its content; in HTML, text is escaped.

    A template may import the macros of `macros.html`.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([template.parent, HERE]),
        autoescape=template.suffix == ".html",
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template.name).render(content)
