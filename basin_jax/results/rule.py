"""The identity of a folder's rule, its words, and the rule made from it."""

import inspect
import re
import textwrap
from collections.abc import Iterable
from typing import Any

import basin_jax
from basin_jax import rules
from basin_jax.core.plugin import field_types
from basin_jax.core.sources import describe, sources
from basin_jax.core.verdict import Rule
from basin_jax.schema import text


def rule_identity(rule: Rule) -> dict[str, Any]:
    """Return the identity of a rule: its class, its fields, the source of its code.

    The source of the package's own rules is the package's version.
    """
    fields = {"class": type(rule).__name__, **describe(rule)}
    own = f"basin_jax {basin_jax.__version__}"
    code = {path: own if where == "basin_jax" else where for path, where in sources(rule).items()}
    return {"fields": fields, "sources": code}


def own_rule(identity: dict[str, Any]) -> Rule | None:
    """Return the rule of an identity; None unless it is of this version of the package."""
    fields, mappings = dict(identity["fields"]), {}
    name = fields.pop("class", None)
    for path in [path for path in fields if "." in path]:
        field, _, item = path.partition(".")
        mappings.setdefault(field, {})[item] = fields.pop(path)
    fields |= mappings
    kind = getattr(rules, name) if name in rules.__all__ else None
    if kind is None or {*fields} != {*field_types(kind)}:
        return None
    try:
        rule = kind(**fields)
    except ValueError:
        return None  # a field does not allow its value
    return rule if rule_identity(rule) == identity else None


def words_of(rule: Rule) -> dict[str, Any] | None:
    """Return a rule's `docstring`, and what it says of its `fields`; None if no manifest holds it.

    They are not a part of its identity, which has the source of its code.
    """
    words = {"docstring": _words(type(rule)), "fields": _meanings(type(rule))}
    try:
        for each in (words["docstring"], *words["fields"].values()):
            text("docstring", each)
    except ValueError:
        return None
    return words


def _words(kind: type) -> str:
    """Return a class's docstring, and not what `dataclass` writes where there is none."""
    words = inspect.getdoc(kind) or ""
    return "" if words.startswith(f"{kind.__name__}(") else words


def blocks(words: str) -> list[str]:
    """Divide a docstring where it has empty lines."""
    return words.split("\n\n")


def is_section(block: str) -> bool:
    """Return True for a block such as `Attributes:`."""
    return re.match(r"[A-Z]\w+:\n", block) is not None


def _meanings(kind: type) -> dict[str, str]:
    """Return what a class and those that it extends say of their fields."""
    found = {}
    for each in reversed(kind.__mro__):
        for block in filter(is_section, blocks(_words(each)) if issubclass(each, Rule) else ()):
            head, _, body = block.partition("\n")
            if head == "Attributes:":
                found |= dict(_entries(textwrap.dedent(body)))
    return found


def _entries(body: str) -> Iterable[tuple[str, str]]:
    """Yield names and their texts, which go on in indented lines."""
    for entry in re.split(r"\n(?=\S)", body):
        name, colon, text = entry.partition(":")
        if colon:
            yield name.strip(), " ".join(text.split())
