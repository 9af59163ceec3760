"""Pictures: figures as parts of a page, whose captions replace their notes."""

import base64
import io
from typing import NamedTuple

from matplotlib import rc_context
from matplotlib.figure import Figure

from basin_jax.report.figures import FULL, STYLE


WIDER = 1.65  # times a column of a paper: on a page its letters are then as large as the text
PAGE = 9.5  # inches
REPRODUCIBLE = STYLE | {"svg.hashsalt": "basin_jax"}  # else names within are drawn by lot


class Picture(NamedTuple):
    """A figure in a page, as SVG in base64.

    Attributes:
        svg: the figure.
        narrow: the same for a narrow screen; empty if it needs the full width of a paper.
        tall: whether it takes more than a page.
    """

    svg: str
    narrow: str
    tall: bool


def picture(figure: Figure) -> Picture:
    """Draw a figure without its note, and one that fits a column of a paper also wider."""
    figure.supxlabel("")
    drawn, width, tall = _svg(figure), figure.get_figwidth(), figure.get_figheight() > PAGE
    if width == FULL:
        return Picture(drawn, "", tall)
    figure.set_figwidth(WIDER * width)
    return Picture(_svg(figure), drawn, tall)


def _svg(figure: Figure) -> str:
    content = io.BytesIO()
    with rc_context(REPRODUCIBLE):
        figure.savefig(content, format="svg", metadata={"Date": None})
    return base64.b64encode(content.getvalue()).decode()
