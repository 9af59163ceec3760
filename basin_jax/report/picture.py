"""Pictures: figures as parts of a page, whose captions replace their notes."""

import base64
import io
from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib import rc_context
from matplotlib.figure import Figure

from basin_jax.report.figures import FULL, STYLE
from basin_jax.report.spots import Spot, located


WIDER = 1.65  # times a column of a paper: on a page its letters are then as large as the text
PAGE = 9.5  # inches
REPRODUCIBLE = STYLE | {"svg.hashsalt": "basin_jax"}  # else names within are drawn by lot


class Picture(NamedTuple):
    """A figure in a page, as SVG in base64.

    Attributes:
        svg: the figure.
        narrow: the same for a narrow screen; empty if it needs the full width of a paper.
        tall: whether it takes more than a page.
        spots: what the page's script needs to tell numbers: those of each spot (`told`), and where
            spots are (`wide`, and in the narrow figure `narrow`).
    """

    svg: str
    narrow: str
    tall: bool
    spots: dict[str, list[Any]]


def picture(figure: Figure, spots: Sequence[Spot] = ()) -> Picture:
    """Draw a figure without its note, and one that fits a column of a paper also wider."""
    figure.supxlabel("")
    drawn, width, tall = _svg(figure), figure.get_figwidth(), figure.get_figheight() > PAGE
    at, told = located(figure, spots), [spot.told for spot in spots]
    if width == FULL:
        return Picture(drawn, "", tall, {"told": told, "wide": at})
    figure.set_figwidth(WIDER * width)
    wide, wide_at = _svg(figure), located(figure, spots)
    return Picture(wide, drawn, tall, {"told": told, "wide": wide_at, "narrow": at})


def _svg(figure: Figure) -> str:
    content = io.BytesIO()
    with rc_context(REPRODUCIBLE):
        figure.savefig(content, format="svg", metadata={"Date": None})
    return base64.b64encode(content.getvalue()).decode()
