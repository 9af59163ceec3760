"""Explain a rule by its own docstring, and by that of no other."""

import re
from typing import Any, NamedTuple

from markupsafe import Markup, escape

from basin_jax.results.records import Records
from basin_jax.results.rule import blocks, is_section, rule_identity, words_of


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
        told: whether its words are known: here, or from when it ran.
        first: the first sentence of its docstring; empty if it has none.
        paragraphs: the rest; a list is a sequence of items.
        fields: its fields.
    """

    name: str
    known: bool
    told: bool
    first: Markup
    paragraphs: list[Markup | list[Markup]]
    fields: list[Field]


def explain(records: Records) -> Explanation:
    """Explain the rule that gave the verdicts."""
    given = rule_identity(records.rule) if records.rule else records.manifest["rule"]
    fields, rule = dict(given["fields"]), records.judged_by
    name = fields.pop("class")
    stored = words_of(rule) if rule else records.manifest.get("words")
    words = stored or {"docstring": "", "fields": {}}
    first, *rest = blocks(words["docstring"])
    meanings = words["fields"]
    return Explanation(
        name=name,
        known=rule is not None,
        told=stored is not None,
        first=_marked(first),
        paragraphs=[_paragraph(block) for block in rest if not is_section(block)],
        fields=[Field(n, value, _marked(meanings.get(n, ""))) for n, value in fields.items()],
    )


def _paragraph(block: str) -> Markup | list[Markup]:
    if block.startswith("- "):
        return [_marked(item) for item in re.split(r"\n(?=- )", block)]
    return _marked(block)


def _marked(text: str) -> Markup:
    """Escape a text, and mark its code."""
    line = str(escape(" ".join(text.removeprefix("- ").split())))
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", line))
