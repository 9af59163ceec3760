"""Configure the site: `uv run sphinx-build -W docs site`."""

import re
from datetime import date

from sphinx.application import Sphinx

from basin_jax import __version__


project = "basin_jax"
author = "The basin_jax developers"
copyright = f"{date.today().year}, {author}"
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_title = f"basin_jax {__version__}"
myst_heading_anchors = 3
napoleon_use_ivar = True
default_role = "code"  # docstrings have single backticks
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings have shapes and units
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 80

OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./([^)#]+)[^)]*\)")


def name_files_outside(_app: Sphinx, _page: str, content: list[str]) -> None:
    """Name files of the repository that are no pages of the site, in place of links to them."""
    content[0] = OUTSIDE.sub(r"\1 (`\2`)", content[0])


def escape(
    _app: Sphinx, _what: str, _name: str, _thing: object, _options: object, lines: list[str]
):
    """Escape what reStructuredText takes for markup in docstrings, such as the bars of |x|."""
    for number, line in enumerate(lines):
        parts = line.split("`")
        parts[::2] = (re.sub(r"([|*])", r"\\\1", part) for part in parts[::2])
        if not line.lstrip().startswith((">>>", "...")):
            lines[number] = "`".join(parts)


def setup(app: Sphinx) -> None:
    app.connect("source-read", name_files_outside)
    app.connect("autodoc-process-docstring", escape, priority=400)  # before Napoleon
