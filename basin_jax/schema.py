"""Parse, seal and check JSON that may be damaged.

A check is a function of the path to a value and the value, that raises `ValueError` naming
both and what is allowed. Checks are put together from those below.
"""

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn


LETTERS = 10_000  # of a text
DEEPEST = 8  # lists within lists
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
SEEDS = 2**64 - 1

Check = Callable[[str, Any], None]


def parse(raw: bytes) -> Any:
    """Parse a JSON text.

    Raises:
        ValueError: if it is no JSON, or has a key twice, a number that is not finite, or
            text that cannot be written.
    """
    try:
        content = json.loads(raw, object_pairs_hook=_without_repeats)
        # On one line, which takes a tenth of the time.
        json.dumps(content, ensure_ascii=False, allow_nan=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return content


def text_of(content: Any) -> str:
    """Format content as JSON; the same content gives the same text.

    Raises:
        ValueError: if a number is not finite, or half a character stands alone.
    """
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    text.encode()
    return f"{text}\n"


def seal_of(content: Mapping[str, Any]) -> str:
    """Return the hash of content, with the order of its keys."""
    return seal_of_text(text_of(content))


def seal_of_text(text: str) -> str:
    """Return the hash of content, given its text."""
    return hashlib.sha256(text.encode()).hexdigest()


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("it has a key twice")
    return content


def refuse(path: str, value: Any, allowed: str) -> NoReturn:
    """Raise the `ValueError` of a value, on one short line."""
    raise ValueError(f"{path[:200] or 'it'} = {repr(value)[:80]}; allowed: {allowed}")


def whole(low: int, high: int) -> Check:
    """Allow the integers from `low` to `high`."""

    def check(path: str, value: Any) -> None:
        if type(value) is not int or not low <= value <= high:
            refuse(path, value, f"an integer from {low} to {high}")

    return check


def truth(path: str, value: Any) -> None:
    """Allow true and false."""
    if type(value) is not bool:
        refuse(path, value, "true or false")


def number(low: float, high: float) -> Check:
    """Allow the finite numbers from `low` to `high`."""

    def check(path: str, value: Any) -> None:
        if type(value) not in (int, float) or not low <= value <= high or not math.isfinite(value):
            refuse(path, value, f"a number from {low:g} to {high:g}")

    return check


def text(path: str, value: Any) -> None:
    """Allow text in lines, of a bounded length."""
    if not isinstance(value, str) or len(value) > LETTERS or CONTROL.search(value):
        refuse(path, value, f"text of at most {LETTERS:,} letters, without control characters")


def name(path: str, value: Any) -> None:
    """Allow names that Polars takes for the name of one column."""
    text(path, value)
    if not value or set(value) & set("*^\n\t"):
        refuse(path, value, "a name without *, ^ and line breaks")


def one_of(values: Iterable[str]) -> Check:
    """Allow some texts."""
    known = tuple(values)

    def check(path: str, value: Any) -> None:
        if not isinstance(value, str) or value not in known:
            refuse(path, value, f"one of {', '.join(known)}")

    return check


def optional(inner: Check) -> Check:
    """Allow None as well."""

    def check(path: str, value: Any) -> None:
        if value is not None:
            inner(path, value)

    return check


def listed(inner: Check) -> Check:
    """Allow lists of values that another check allows."""

    def check(path: str, value: Any) -> None:
        if not isinstance(value, list):
            refuse(path, value, "a list")
        for i, item in enumerate(value):
            inner(f"{path}[{i}]", item)

    return check


def mapping(key: Check, inner: Check) -> Check:
    """Allow objects with any keys of a kind, and values of a kind."""

    def check(path: str, value: Any) -> None:
        if not isinstance(value, dict):
            refuse(path, value, "an object")
        for own, item in value.items():
            key(path, own)
            inner(f"{path}.{own}", item)

    return check


def record(checks: Mapping[str, Check]) -> Check:
    """Allow objects that have these keys; other keys are ignored."""

    def check(path: str, value: Any) -> None:
        if not isinstance(value, dict):
            refuse(path, value, "an object")
        for own, inner in checks.items():
            here = f"{path}.{own}".removeprefix(".")
            if own not in value:
                refuse(here, None, "not left out")
            inner(here, value[own])

    return check


def plain(path: str, value: Any, deep: int = 0) -> None:
    """Allow the values of fields: numbers, texts, None, and lists of them."""
    if isinstance(value, list) and deep < DEEPEST:
        for item in value:
            plain(path, item, deep + 1)
    elif isinstance(value, str):
        text(path, value)
    elif type(value) is int:
        whole(-(2**63), SEEDS)(path, value)
    elif value is not None and type(value) not in (bool, float):
        refuse(path, value, "a number, a text, null, or lists of them")


def cases(key: str, kinds: Mapping[str, Mapping[str, Check]]) -> Check:
    """Allow objects whose other keys depend on the value of one."""

    def check(path: str, value: Any) -> None:
        record({key: one_of(kinds)})(path, value)
        record(kinds[value[key]])(path, value)

    return check
