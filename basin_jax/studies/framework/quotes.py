"""Quotes: sentences on rows of several studies, worded by their intervals."""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence

from basin_jax.studies.framework.power import apart
from basin_jax.studies.framework.rows import HALF, Answer, Finding, Row, Sentence, Table


DISAGREE = "The organisms disagree."
_NAMED = re.compile(r"\{([^{|}]+) \| ([^{}]+)\}")  # as `number` has it


class Findings:
    """The rows of several studies, by the study's name and the row's key."""

    def __init__(self, findings: Sequence[Finding]):
        self._tables = {one.name: one.rows for one in findings}

    def __contains__(self, study: str) -> bool:
        return study in self._tables

    def rows(self, study: str) -> Table:
        """Return all rows of a study."""
        return self._tables[study]

    def row(self, study: str, key: str) -> Row:
        """Return a row.

        Raises:
            ValueError: where the study has none of that key.
        """
        if key not in self._tables[study]:
            raise ValueError(f"{study} has no row {key!r}; allowed: the keys of its table")
        return self._tables[study][key]

    def say(self, text: str) -> Sentence:
        """Write a sentence with the values of rows, each named by `number`.

        Raises:
            ValueError: where a study has no row of a key.
        """

        def written(named: re.Match[str]) -> str:
            one = self.row(*named.groups())
            return f"{one} (n = {one.seeds:,})"

        named = _NAMED.findall(text)
        keys = [f"{study}: {self.row(study, key).key}" for study, key in named]
        return Sentence(_NAMED.sub(written, text), tuple(dict.fromkeys(keys)))

    def answer(self, question: str, texts: Iterable[str]) -> Answer:
        """Combine a question with the sentences that answer it: first where organisms disagree."""
        ordered = sorted(texts, key=lambda text: not text.startswith(DISAGREE))
        return Answer(question, [self.say(text) for text in ordered])


def number(study: str, key: str) -> str:
    """Format a placeholder, for a row's value with its interval and seeds."""
    return f"{{{study} | {key}}}"


def listed(study: str, keys: Mapping[str, str]) -> str:
    """Format the placeholders of several rows as a list, each by its name."""
    return "; ".join(f"{name}: {number(study, key)}" for name, key in keys.items())


def side(one: Row, of: float = HALF) -> int:
    """Return 1 or -1 where a row's interval lies above a value or below, else 0."""
    return int(one.low > of) - int(one.high < of)


def compared(
    found: Mapping[str, tuple[Row, int, str]], claims: Mapping[int, str], *, differ: str = DISAGREE
) -> str:
    """Format what is claimed of several organisms, and first whether they disagree.

    They do where what is claimed of two is not the same, and their rows are apart.

    Args:
        found: by where it was found, such as "in the audit game": the row that decides, the sign
            of the decision (0 for none), and the sentence that gives its numbers.
        claims: what each sign says.
        differ: how to say that they disagree.
    """
    signs = {sign for _, sign, _ in found.values()}
    if len(signs) == 1:
        each = [f"{where}, {said}." for where, (_, _, said) in found.items()]
        everywhere = {1: "", 2: "in both organisms "}.get(len(found), "in all of these ")
        return " ".join(map(_capital, [f"{everywhere}{claims[signs.pop()]}.", *each]))
    pairs = itertools.combinations(found.values(), 2)
    disagree = any(apart(one, other) for (one, a, _), (other, b, _) in pairs if a != b)
    head = differ if disagree else "Only some decide."
    each = [f"{where} {claims[sign]}: {said}." for where, (_, sign, said) in found.items()]
    return " ".join([head, *map(_capital, each)])


def _capital(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"
