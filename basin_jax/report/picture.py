"""Pictures: figures as parts of a page, whose captions replace their notes."""

import base64
import io
from typing import NamedTuple

from matplotlib import rc_context
from matplotlib.figure import Figure

from basin_jax.report.figures import FULL, STYLE


WIDER = 1.65  # times a column of a paper: on a page its letters are then as large as the text
REPRODUCIBLE = STYLE | {"svg.hashsalt": "basin_jax"}  # else names within are drawn by lot


class Picture(NamedTuple):
    """A figure in a page, as SVG in base64.

    Attributes:
        svg: the figure.
        narrow: the same for a narrow screen; empty if it needs the full width of a paper.
    """

    svg: str
    narrow: str


def picture(figure: Figure) -> Picture:
    """Draw a figure without its note, and one that fits a column of a paper also wider."""
    figure.supxlabel("")
    drawn = _svg(figure)
    if figure.get_figwidth() == FULL:
        return Picture(drawn, "")
    figure.set_figwidth(WIDER * figure.get_figwidth())
    return Picture(_svg(figure), drawn)


def _svg(figure: Figure) -> str:
    content = io.BytesIO()
    with rc_context(REPRODUCIBLE):
        figure.savefig(content, format="svg", metadata={"Date": None})
    return base64.b64encode(content.getvalue()).decode()
