"""The identity of a folder's rule, and the rule made from it."""

from typing import Any

import basin_jax
from basin_jax import rules
from basin_jax.core.plugin import field_types
from basin_jax.core.sources import describe, sources
from basin_jax.core.verdict import Rule


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
