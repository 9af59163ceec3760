"""Count the instructions that the warps of a compiled kernel issue, from its PTX.

A warp is followed by its first lane, which takes part in whatever the warp does: addresses and loop
counters are computed, and what comes from memory is unknown. A branch that hangs on data leads
around a seldom path (the tails of a distribution), and is taken.
"""

import re
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple


WARP = 32
# Instructions of the machine for one of PTX; one, if it is not here. The assembler folds moves of
# registers and addresses of parameters into what uses them.
ISSUED = {
    **dict.fromkeys(("mov", "cvta", "ld.param", "cvt.u64", "cvt.s64", "cvt.u32.u64"), 0),
    **{"div.full": 6, "div.approx": 2, "div.rn": 9, "sqrt.rn": 9},
    **{"sqrt.approx.f32": 5, "sqrt.approx.ftz": 2, "lg2.approx.f32": 3, "rcp.rn": 7},
}
LINE = re.compile(r"(?:@(!?)(%p\d+)\s+)?([a-z][\w.:]*)\s*(.*);")
COMPARE: dict[str, Callable[[int, int], bool]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
}
COMPUTE: dict[str, Callable[..., int]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul.lo": lambda a, b: a * b,
    "mul.wide": lambda a, b: a * b,
    "mad.lo": lambda a, b, c: a * b + c,
    "max": max,
    "min": min,
    "shl": lambda a, b: a << b,
    "shr": lambda a, b: a >> b,
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "xor": lambda a, b: a ^ b,
    "not": lambda a: ~a,
    "neg": lambda a: -a,
    "selp": lambda a, b, chosen: a if chosen else b,
    "mov": lambda a: a,
    "cvt": lambda a: a,
}
INTEGER = re.compile(r"[sub](8|16|32|64)$|pred$")


class Instruction(NamedTuple):
    """One of PTX, taken apart."""

    predicate: str | None
    negated: bool  # whether it is executed where its predicate does not hold
    name: str  # with its types
    target: tuple[str, ...]  # the registers that it writes, or the label that it jumps to
    arguments: tuple[str, ...]
    compute: Callable[..., int] | None  # of whole numbers; None where the result is unknown
    bits: int  # of a whole number
    signed: bool
    issued: int  # instructions of the machine


class Kernel:
    """The PTX of a kernel.

    Args:
        ptx: of a module with one kernel.
    """

    def __init__(self, ptx: str):
        self.code: list[Instruction] = []
        self.labels: dict[str, int] = {}
        for line in ptx[ptx.index(".entry") :].splitlines():
            line = line.partition("//")[0].strip()
            if line.endswith(":"):
                self.labels[line[:-1]] = len(self.code)
            elif not line.startswith(".") and (found := LINE.fullmatch(line)):
                self.code.append(_instruction(*found.groups()))

    def step(self, threads: int) -> Counter[str]:
        """Return the instructions that a block issues for one step, all warps together, by name."""
        counts: Counter[str] = Counter()
        for first in range(0, threads, WARP):
            # What comes before and after the steps cancels out.
            counts.update(self._run(first, 3))
            counts.subtract(self._run(first, 2))
        return +counts

    def _run(self, thread: int, steps: int) -> Counter[str]:
        """Follow a thread for some steps."""
        known: dict[str, int | None] = {"%tid.x": thread, "%ctaid.x": 0}
        turns, at = [0] * len(self.code), 0
        while at < len(self.code):
            i = self.code[at]
            turns[at] += 1
            at += 1
            told = None if i.predicate is None else known.get(i.predicate)
            skipped = told is not None and bool(told) == i.negated
            if i.name == "ret" and not skipped:
                break
            if i.name.startswith("bra"):
                if not skipped:
                    to = self.labels[i.target[0]]
                    if to < at and i.predicate is not None and told is None:
                        raise ValueError(f"the turns of the loop at {i.target[0]} hang on data")
                    at = to
            elif not skipped:
                value = _value(i, known, steps)
                for register in i.target:
                    known[register] = value
        counts: Counter[str] = Counter()
        for instruction, times in zip(self.code, turns, strict=True):
            counts[instruction.name] += times * instruction.issued
        return counts


def _value(i: Instruction, known: dict[str, int | None], steps: int) -> int | None:
    if i.name == "ld.global.u32":
        return steps  # the number of steps, and of the first; other whole numbers do not matter
    if i.compute is None:
        return None
    values = [known.get(a) if a[0] == "%" else _literal(a) for a in i.arguments]
    if any(value is None for value in values):
        return None
    numbers: list[Any] = [_wrapped(v, i.bits, i.signed) for v in values if v is not None]
    return _wrapped(i.compute(*numbers), 64 if ".wide" in i.name else i.bits, i.signed)


def _wrapped(value: int, bits: int, signed: bool) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if signed and value >> (bits - 1) else value


def _literal(text: str) -> int | None:
    try:
        return int(text.rstrip("U"), 0)
    except ValueError:
        return None


def _instruction(negation: str, predicate: str | None, name: str, rest: str) -> Instruction:
    operands = re.findall(r"\{[^}]*\}|\[[^\]]*\]|[^,\s]+", rest)
    stores = name.startswith(("st.", "bar", "ret"))
    target = re.findall(r"[%$\w.]+", operands[0]) if operands and not stores else []
    kind = INTEGER.search(name)
    return Instruction(
        predicate=predicate,
        negated=negation == "!",
        name=name,
        target=tuple(target),
        arguments=tuple(operands[1:]),
        compute=_compute(name) if kind else None,
        bits=int(kind.group(1) or 1) if kind else 0,
        signed=bool(kind) and ".s" in name[-5:],
        issued=next((n for start, n in ISSUED.items() if name.startswith(start)), 1),
    )


def _compute(name: str) -> Callable[..., int] | None:
    if name.startswith("setp"):
        return COMPARE.get(name.split(".")[1])
    if name.startswith("mul.hi"):
        bits = int(name[-2:])
        return lambda a, b: (a * b) >> bits
    if name.startswith("cvt") and not re.fullmatch(r"cvt\.[sub]\d+\.[sub]\d+", name):
        return None
    return next((c for start, c in COMPUTE.items() if name.startswith(start + ".")), None)
