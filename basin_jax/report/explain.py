"""Explain a rule by its own docstring, and by that of no other."""

import inspect
import re
import textwrap
from collections.abc import Iterable
from typing import Any, NamedTuple

from markupsafe import Markup, escape

from basin_jax.core.verdict import Rule
from basin_jax.results.records import Records
from basin_jax.results.rule import rule_identity


class Field(NamedTuple):
    """A field of a rule: its name, its value, and what the rule says of it."""

    name: str
    value: Any
    meaning: Markup


class Explanation(NamedTuple):
    """An explanation of a rule.

    Attributes:
        name: its class.
        known: whether the rule is here, rather than its name and its fields alone.
        first: the first sentence of its docstring; empty if it has none.
        paragraphs: the rest; a list is a sequence of items.
        fields: its fields.
    """

    name: str
    known: bool
    first: Markup
    paragraphs: list[Markup | list[Markup]]
    fields: list[Field]


def explain(records: Records) -> Explanation:
    """Explain the rule that gave the verdicts."""
    given = rule_identity(records.rule) if records.rule else records.manifest["rule"]
    fields, rule = dict(given["fields"]), records.judged_by
    name = fields.pop("class")
    first, *rest = _blocks(_words(type(rule))) if rule else [""]
    meanings = _meanings(type(rule)) if rule else {}
    return Explanation(
        name=name,
        known=rule is not None,
        first=_marked(first),
        paragraphs=[_paragraph(block) for block in rest if not _is_section(block)],
        fields=[Field(n, value, _marked(meanings.get(n, ""))) for n, value in fields.items()],
    )


def _words(kind: type) -> str:
    """Return a class's docstring, and not what `dataclass` writes where there is none."""
    words = inspect.getdoc(kind) or ""
    return "" if words.startswith(f"{kind.__name__}(") else words


def _blocks(words: str) -> list[str]:
    return words.split("\n\n")


def _is_section(block: str) -> bool:
    """Return True for a block such as `Attributes:`."""
    return re.match(r"[A-Z]\w+:\n", block) is not None


def _meanings(kind: type) -> dict[str, str]:
    """Return what a class and those that it extends say of their fields."""
    found = {}
    for each in reversed(kind.__mro__):
        for block in filter(_is_section, _blocks(_words(each)) if issubclass(each, Rule) else ()):
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


def _paragraph(block: str) -> Markup | list[Markup]:
    if block.startswith("- "):
        return [_marked(item) for item in re.split(r"\n(?=- )", block)]
    return _marked(block)


def _marked(text: str) -> Markup:
    """Escape a text, and mark its code."""
    line = str(escape(" ".join(text.removeprefix("- ").split())))
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", line))
