"""The renderer: one table in four forms, each safe against what a label says."""

import io
import re
from dataclasses import replace
from operator import methodcaller
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from basin_jax.report.known_answers import NAME, markdown, write_answers
from basin_jax.report.render import Group, Line, Table, fill


PAGE = Path(__file__).parents[2] / "docs/known_answers.md"
NUMBER = r"([\d.]+(?:e-\d+)?)"
TABLE = Table(
    head=("what", "n"),
    groups=[
        Group([Line(["a|b <i> $x_1$ [red]", "1,000"])], "first", "of 2"),
        Group([Line(["0 [0, 3.7e-6]", "2"], failed=True)], "second"),
    ],
    right={"n"},
)


def test_a_table_in_markdown():
    assert TABLE.markdown().splitlines() == [
        "| what | n |",
        "|---|--:|",
        "| | **first** |",
        r"| a\|b <i> $x_1$ [red] | 1,000 |",
        "| | **second** |",
        "| 0 [0, 3.7e-6] | 2 |",
    ]


def test_a_table_in_latex():
    assert TABLE.latex().splitlines() == [
        r"% Needs \usepackage{booktabs}.",
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"what & n \\",
        r"\midrule",
        r"\multicolumn{2}{l}{\emph{first}} \\",
        r"a\textbar{}b \textless{}i\textgreater{} \$x\_1\$ [red] & 1,000 \\",
        r"\midrule",
        r"\multicolumn{2}{l}{\emph{second}} \\",
        r"0 {\scriptsize[0, $3.7\cdot10^{-6}$]} & 2 \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_a_table_in_html_and_on_a_terminal(tmp_path):
    template = tmp_path / "page.html"
    template.write_text('{% from "macros.html" import table %}{{ table(shown) }}')
    html = fill(template, shown=TABLE)
    assert "<th>first" not in html
    assert '<th colspan="2" scope="rowgroup">first <small>of 2</small></th>' in html
    assert "<tr><td>a|b &lt;i&gt; $x_1$ [red]</td><td>1,000</td></tr>" in html
    assert '<tr class="failed"><td>0 [0, 3.7e-6]</td>' in html
    shown = io.StringIO()
    Console(width=80, file=shown).print(TABLE.rich("[b]caption"))
    assert "a|b <i> $x_1$ [red]   1,000" in shown.getvalue()
    assert "[b]caption" in shown.getvalue()


def test_a_table_in_typst():
    table = replace(TABLE, note="n = 2\n#evil()")
    assert table.typst().splitlines() == [
        "// n = 2",
        "// #evil()",
        "#table(",
        "  columns: 2,",
        "  align: (left, right,),",
        "  stroke: none,",
        "  table.hline(),",
        '  table.header("what", "n"),',
        "  table.hline(stroke: 0.5pt),",
        '  table.cell(colspan: 2, emph("first")),',
        '  "a|b <i> $x_1$ [red]", "1,000",',
        "  table.hline(stroke: 0.5pt),",
        '  table.cell(colspan: 2, emph("second")),',
        '  "0 [0, 3.7·10⁻⁶]", "2",',
        "  table.hline(),",
        ")",
    ]
    quoted = Table(head=["what"], groups=[Group([Line([r'C:\ "x"'])])])
    assert r'"C:\\ \"x\"",' in quoted.typst()


def test_a_table_shows_itself_at_a_prompt_and_in_a_notebook(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    table = replace(TABLE, note="n = 2 <b>")
    lines = str(table).splitlines()
    assert lines[0].split() == ["what", "n"]
    assert [" ".join(line.split()) for line in lines[2:]] == [
        "a|b <i> $x_1$ [red] 1,000",
        "",
        "0 [0, 3.7e-6] 2",
        "",
        "n = 2 <b>",
    ]
    assert repr(table) == str(table)
    html = table.html()
    assert '<td>a|b &lt;i&gt; $x_1$ [red]</td><td class="right">1,000</td>' in html
    assert "<p>n = 2 &lt;b&gt;</p>" in html
    assert methodcaller("_repr_html_")(table) == html
    assert not re.search(r"#[0-9a-f]{3}|(?:src|href)=|url\(|https?:|<script", html)


def test_a_note_is_a_comment_in_latex_and_a_paragraph_in_markdown():
    table = replace(TABLE, note="n = 2\n\\evil")
    assert table.latex().splitlines()[:3] == [
        r"% Needs \usepackage{booktabs}.",
        "% n = 2",
        r"% \evil",
    ]
    assert table.markdown() == f"{TABLE.markdown()}\n\nn = 2\n\\evil"


@pytest.mark.parametrize("text", ["[a, b]", "*"])
def test_a_row_in_latex_does_not_begin_with_an_option_of_the_line_before(text):
    table = Table(head=["what"], groups=[Group([Line([text])])])
    assert rf"{{}}{text} \\" in table.latex().splitlines()


def read(page: str) -> tuple[pl.DataFrame, str]:
    """Return the rows that a page of known answers was made of, and by what it was made."""
    rows = []
    kind = ""
    for line in page.splitlines():
        kind = line[3:].lower() if line.startswith("## ") else kind
        cells = [cell.replace(r"\|", "|") for cell in re.split(r"(?<!\\) \| ", line[2:-2])]
        if not line.startswith("| ") or cells[1] == "theirs":
            continue
        theirs = re.fullmatch(
            rf"{NUMBER}(?: of ([\d,]+))?(?: \(accepts {NUMBER} to {NUMBER}\))?", cells[1]
        )
        ours = re.fullmatch(rf"{NUMBER} \[{NUMBER}, {NUMBER}\]", cells[2])
        assert theirs, cells
        assert ours, cells
        fraction, low, high = map(float, ours.groups())
        count, least, most = theirs.groups()[1:]
        rows.append(
            {
                "kind": kind,
                "name": cells[0],
                "theirs": float(theirs[1]),
                "theirs_trials": int(count.replace(",", "")) if count else None,
                "theirs_low": float(theirs[1]),
                "theirs_high": float(theirs[1]),
                "accepts_low": float(least) if least else None,
                "accepts_high": float(most) if most else None,
                "fraction": fraction,
                "low": low,
                "high": high,
                "trials": int(cells[3].replace(",", "")),
                "shared": cells[4],
                "z": float(cells[5]),
                "p_value": float(cells[6]),
                "agrees": cells[7] == "yes",
                "interval": "fixed",
                "source": cells[8],
            }
        )
    made = re.search(r"Made by .*", page)
    assert made
    return pl.DataFrame(rows, infer_schema_length=None), made[0]


@pytest.mark.ci
def test_the_committed_page_of_known_answers_comes_out_byte_for_byte(tmp_path):
    page = PAGE.read_text()
    frame, made = read(page)
    assert len(frame) > 50
    assert markdown(frame, made).splitlines() == page.splitlines()
    assert write_answers(frame, tmp_path, made=made).read_bytes() == PAGE.read_bytes()
    assert (tmp_path / f"{NAME}.tex").read_text().count(r"\midrule") == 4
