"""BibTeX of the package, and of the literature that plug-ins follow."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import basin_jax


# As in CITATION.cff.
AUTHOR = "The basin_jax developers"
TITLE = "basin_jax: the fraction of random seeds whose training falls into a deceptive basin"
YEAR = "2026"
LITERATURE = Path(__file__).with_name("literature.bib")
_KEYWORDS = re.compile(r",\n  keywords = \{(.*)\}")


def _package(trained: Iterable[str]) -> str:
    """Return the entry of the package: of this version, and of those that trained."""
    named = {"author": f"{{{AUTHOR}}}", "title": f"{{{TITLE}}}", "year": YEAR}
    said = named | {"version": basin_jax.__version__}
    others = [version for version in trained if version != basin_jax.__version__]
    if others:
        said["note"] = f"Trained with version {', '.join(others)}"
    lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in said.items())
    escaped = lines.replace("_", r"\_")
    return f"@misc{{basin_jax,\n{escaped}\n}}"


def literature() -> Iterator[tuple[str, list[str]]]:
    """Yield the entries of `literature.bib`, and what each is the source of."""
    for entry in LITERATURE.read_text(encoding="utf-8").split("\n\n"):
        if found := _KEYWORDS.search(entry):
            yield _KEYWORDS.sub("", entry).strip(), found[1].split(", ")


def used(fields: Mapping[str, Any], sources: Mapping[str, str]) -> Iterator[str]:
    """Yield the package's own plug-ins, and their fields and values that are set.

    Args:
        fields: the fields of a cell, or of a rule.
        sources: where the code of each plug-in is from, by its path; of a rule by its class.
    """
    for path, source in sources.items():
        if source.partition(" ")[0] != "basin_jax":
            continue
        name = fields.get(path, path)
        prefix = f"{path}." if path in fields else ""
        yield name
        for field, value in fields.items():
            if field.startswith(prefix) and value not in (None, False):
                own = f"{name}.{field.removeprefix(prefix)}"
                yield from (own, f"{own}={value}")


def bibtex(plugins: Iterable[str], *, trained: Iterable[str]) -> str:
    """Return the entries of the package, and of what some plug-ins and fields follow.

    Args:
        plugins: as `used` yields them.
        trained: the versions of the package that trained.
    """
    there = {*plugins}
    entries = [entry for entry, keys in literature() if there & {*keys}]
    return "\n\n".join([_package(trained), *entries]) + "\n"
