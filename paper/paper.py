"""Write paper.md and its figure from the tables of the studies.

    uv run python paper/paper.py [--results basin_jax/studies/tables]

Each number in template.md is named by its study and the key of its row.
"""

import re
from pathlib import Path
from typing import Annotated

import polars as pl
import typer
from matplotlib import rc_context
from matplotlib.figure import Figure

from basin_jax.report.figures import STYLE, save
from basin_jax.studies.framework.page import SHOWN
from basin_jax.studies.framework.quotes import Findings
from basin_jax.studies.framework.rows import Finding, Row, Table
from basin_jax.studies.overview import overview
from basin_jax.studies.published import TABLES


HERE = Path(__file__).parent


def findings(results: Path) -> Findings:
    """Read the tables of the studies."""
    found = []
    for file in sorted(results.glob("*.csv")):
        frame = pl.read_csv(file, infer_schema_length=None)
        rows = [
            Row(**{name: one[name] for name in Row.__annotations__}) for one in frame.to_dicts()
        ]
        found.append(
            Finding(
                name=file.stem,
                question="",
                sentences=[],
                limits=(),
                rows=Table(rows),
                figure=Figure(),
            )
        )
    return Findings(found)


def text_of(found: Findings) -> str:
    """Return the paper, with the numbers in the places of their names."""
    template = (HERE / "template.md").read_text(encoding="utf-8")
    head, text = re.split(r"(?<=\n)---\n\n", template, maxsplit=1)
    names = re.compile(r"\{(\w+) \|\s+([^{}]+)\}")
    text = text.replace("{shown}", SHOWN)
    return f"{head}---\n\n{names.sub(lambda n: found.say(f'{{{n[1]} | {n[2]}}}').text, text)}"


def main(
    results: Annotated[Path, typer.Option(help="The tables of the studies.")] = TABLES,
) -> None:
    """Write paper.md, answers.pdf and answers.png."""
    found = findings(results)
    (HERE / "paper.md").write_text(text_of(found), encoding="utf-8")
    with rc_context(STYLE):
        figure = overview(found)
    for suffix in (".pdf", ".png"):
        save(figure, HERE / f"answers{suffix}")


if __name__ == "__main__":
    typer.run(main)
