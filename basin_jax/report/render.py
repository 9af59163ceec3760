"""Write tables and pages: a table is made once, for a terminal, Markdown, LaTeX, Typst and HTML."""

import io
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
from rich import box
from rich import table as rich_table
from rich.console import Console
from rich.markup import escape
from rich.text import Text


HERE = Path(__file__).parent
PAGE = "report.html"
WIDE = 10_000  # characters of a line, so that none is broken
GREEK = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau"
SIGNS = dict(zip("αβγδεζηθικλμνξπρστ", GREEK.split(), strict=True)) | {
    "±": "pm",
    "×": "times",
    "→": "to",
    "∞": "infty",
    "≤": "leq",
    "≥": "geq",
}
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
    **{sign: rf"$\{name}$" for sign, name in SIGNS.items()},
}
RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class Line(NamedTuple):
    """A row of a table; one that failed is marked."""

    cells: Sequence[str]
    failed: bool = False


class Group(NamedTuple):
    """Rows of a table with a title of their own."""

    lines: Sequence[Line]
    title: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True, repr=False)
class Table:
    """A table of text; at a prompt and in a notebook it shows itself.

    Attributes:
        head: the headings of the columns.
        groups: the rows.
        right: the headings of columns whose cells are aligned to the right.
        note: what its numbers are, in a sentence; a comment in LaTeX and Typst.
    """

    head: Sequence[str]
    groups: Sequence[Group]
    right: Collection[str] = ()
    note: str = ""

    def rich(self, caption: str = "") -> rich_table.Table:
        """Return the table for Rich, which prints it on a terminal."""
        # As `Text`, since brackets in a string are markup.
        said = Text(caption or self.note)
        table = rich_table.Table(caption=said, caption_justify="left", box=box.SIMPLE)
        for name in self.head:
            table.add_column(escape(name), justify="right" if name in self.right else "left")
        for group in self.groups:
            for line in group.lines:
                table.add_row(*map(Text, line.cells), style="bold red" if line.failed else "")
            table.add_section()
        return table

    def text(self) -> str:
        """Return the table as plain text."""
        written = io.StringIO()
        # A notebook would show what is printed, rather than have it written.
        console = Console(file=written, width=WIDE, color_system=None, force_jupyter=False)
        console.print(self.rich())
        return "\n".join(line.rstrip() for line in written.getvalue().splitlines()).strip("\n")

    __str__ = __repr__ = text

    def html(self) -> str:
        """Return the table for a notebook, in its colors."""
        return fill(HERE / "notebook.html", title="", table=self)

    _repr_html_ = html

    def markdown(self) -> str:
        """Return the table for a page of Markdown."""
        lines = [_markdown(self.head), "|".join(["", *map(self._rule, self.head), ""])]
        for group in self.groups:
            if group.title:
                lines.append(f"| | **{group.title}** |{' |' * (len(self.head) - 2)}")
            lines += [_markdown(line.cells) for line in group.lines]
        return "\n".join([*lines, *(["", self.note] if self.note else [])])

    def _rule(self, name: str) -> str:
        return "--:" if name in self.right else "---"

    def latex(self) -> str:
        """Return the table for a paper, by the package booktabs."""
        columns = "".join("r" if name in self.right else "l" for name in self.head)
        lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", _latex(self.head)]
        needs = r"% Needs \usepackage{booktabs}."
        lines[:0] = [needs, *(f"% {line}" for line in self.note.splitlines())]
        for group in self.groups:
            lines.append(r"\midrule")
            if group.title:
                title = rf"\emph{{{_typeset(group.title)}}}"
                lines.append(rf"\multicolumn{{{len(self.head)}}}{{l}}{{{title}}} \\")
            lines += [_latex(line.cells) for line in group.lines]
        return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])

    def typst(self) -> str:
        """Return the table for a paper in Typst."""
        sides = ", ".join("right" if name in self.right else "left" for name in self.head)
        lines = [f"// {line}" for line in self.note.splitlines()]
        lines += ["#table(", f"  columns: {len(self.head)},", f"  align: ({sides},),"]
        lines += ["  stroke: none,", "  table.hline(),"]
        lines.append(f"  table.header({_typst(self.head)}),")
        for group in self.groups:
            lines.append("  table.hline(stroke: 0.5pt),")
            if group.title:
                title = f"emph({_typst([group.title])})"
                lines.append(f"  table.cell(colspan: {len(self.head)}, {title}),")
            lines += [f"  {_typst(line.cells)}," for line in group.lines]
        return "\n".join([*lines, "  table.hline(),", ")", ""])


def _markdown(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', r'\|') for cell in cells)} |"


def _latex(cells: Sequence[str]) -> str:
    return " & ".join(map(_typeset, cells)) + r" \\"


def _typeset(text: str) -> str:
    """Set a text for LaTeX, its intervals smaller, so that four stand in a row."""
    escaped = "".join(LATEX.get(char, char) for char in text)
    powers = re.sub(r"([\d.]+)e-(\d+)", r"$\1\\cdot10^{-\2}$", escaped)
    smaller = re.sub(r"(?<=[\d$] )(\[[\d.].*\])", r"{\\scriptsize\1}", powers)
    # A row that begins so would be an option of the line's end before it.
    return f"{{}}{smaller}" if smaller.startswith(("[", "*")) else smaller


def _typst(cells: Sequence[str]) -> str:
    """Return cells as strings of Typst, in which nothing is markup."""
    powers = (re.sub(r"([\d.]+)e-(\d+)", _power, cell) for cell in cells)
    escaped = (cell.replace("\\", r"\\").replace('"', r"\"") for cell in powers)
    return ", ".join(f'"{cell}"' for cell in escaped)


def _power(found: re.Match[str]) -> str:
    return f"{found[1]}·10⁻{found[2].translate(RAISED)}"


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
