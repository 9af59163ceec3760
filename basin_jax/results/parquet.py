"""Compute the memory that a Parquet file takes, from its footer, before it is read.

A megabyte may hold pages that expand to gigabytes. The footer and the heads of the pages
(Thrift's compact protocol: https://github.com/apache/parquet-format) say how many values
there are and how many bytes they take, and a reader allots what they say.
"""

from typing import Any


MAGIC = b"PAR1"
FOOTER_BYTES, DEEPEST = 2**22, 16
# Encodings of pages whose values take no more than the page does: plain, by dictionary,
# run lengths, and differences of integers.
ENCODINGS = {0, 2, 3, 5, 8}
# Bytes that a file's pages may take, a value of them, and as how many the smallest page counts.
SLACK_BYTES, VALUE_BYTES, PAGE_BYTES = 2**20, 32, 2**10
COLUMNS = 2**10
DATA_HEADS = {5: (1, 2), 8: (1, 4)}  # fields of each kind's number of values, and encoding


def check_size(raw: bytes, *, rows: int) -> None:
    """Raise `ValueError` if a Parquet file would take more memory than `rows` rows need.

    Raises:
        ValueError: also where the footer cannot be read, or differs from the pages.
    """
    length = int.from_bytes(raw[-8:-4], "little")
    if len(raw) < 12 or raw[-4:] != MAGIC or length > min(len(raw) - 12, FOOTER_BYTES):
        raise ValueError("has no footer of Parquet")
    try:
        _check_groups(raw, _Thrift(raw, len(raw) - 8 - length).struct(), rows)
    except (IndexError, KeyError, TypeError, AttributeError):
        raise ValueError("has a footer that is none of Parquet") from None


def _check_groups(raw: bytes, footer: dict[int, Any], most: int) -> None:
    groups, stored = footer[4], footer[3]
    if not 0 < stored <= most:
        raise ValueError(f"has {stored:,} rows; allowed: at least 1, at most {most:,}")
    if any(group[3] < 0 for group in groups) or sum(group[3] for group in groups) != stored:
        raise ValueError("has other rows than its footer says")
    columns = len(groups[0][1])
    if columns > COLUMNS or any(len(group[1]) != columns for group in groups):
        raise ValueError(f"has {columns} columns; allowed: at most {COLUMNS}, the same throughout")
    left = SLACK_BYTES + VALUE_BYTES * stored * columns
    for group in groups:
        for column in group[1]:
            left = _check_column(raw, column[3], group[3], left)


def _check_column(raw: bytes, column: dict[int, Any], rows: int, left: int) -> int:
    """Return the bytes left for other columns after a column's pages are expanded."""
    at = min(column[n] for n in (9, 11) if n in column)
    end, values = at + column[7], 0
    if not 0 < at <= end <= len(raw):
        raise ValueError("has a column that is not within it")
    while at < end:
        head = _Thrift(raw, at)
        page = head.struct()
        if page[2] < 0 or page[3] < 0:
            raise ValueError("has a page of negative size")
        left -= max(page[2], PAGE_BYTES)
        if left < 0:
            raise ValueError("expands to more bytes than its rows can take")
        at = head.at + page[3]
        for kind, (count, encoding) in DATA_HEADS.items():
            if kind in page:
                values += page[kind][count]
                if page[kind][encoding] not in ENCODINGS or page[kind][count] < 0:
                    raise ValueError("has a page of another encoding than those written here")
        if 7 in page and not 0 <= page[7][1] <= page[2]:
            raise ValueError("has a dictionary of more values than bytes")
    if at != end or values != rows:
        raise ValueError("has a column of other pages than its footer says")
    return left


class _Thrift:
    """A reader of Thrift's compact protocol: structs are dictionaries by field number."""

    def __init__(self, raw: bytes, at: int):
        self._raw = raw
        self.at = at

    def struct(self, deep: int = 0) -> dict[int, Any]:
        if deep > DEEPEST:
            raise ValueError("has a footer that is nested too deeply")
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._signed()
            kind = head & 15
            fields[number] = kind == 1 if kind in (1, 2) else self._value(kind, deep)
        return fields

    def _value(self, kind: int, deep: int) -> Any:
        if kind in (1, 2, 3):  # in a list a truth value is a byte
            return self._byte()
        if kind in (4, 5, 6):
            return self._signed()
        if kind == 7:
            return self._bytes(8)
        if kind == 8:
            return self._bytes(self._varint())
        if kind in (9, 10):
            head = self._byte()
            count = head >> 4 if head >> 4 < 15 else self._varint()
            return [self._value(head & 15, deep + 1) for _ in range(count)]
        if kind == 12:
            return self.struct(deep + 1)
        raise ValueError("has a footer of unknown fields")

    def _byte(self) -> int:
        self.at += 1
        return self._raw[self.at - 1]

    def _bytes(self, count: int) -> bytes:
        if count > len(self._raw) - self.at:
            raise ValueError("has a footer that ends early")
        self.at += count
        return self._raw[self.at - count : self.at]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
            if shift > 63:
                raise ValueError("has a footer with a number that is too long")

    def _signed(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
