"""Rows of the table of `gpu.py`: what was measured on a GPU, or that nothing was."""

import dataclasses
from typing import Any

import jax

from basin_jax.bench.cases import Case
from basin_jax.core.sweep import Precision


ON_CARD = jax.local_devices()[0].platform == "gpu"
NOT_MEASURED = "not measured"
PRECISIONS: tuple[Precision, ...] = ("float32", "tf32", "bf16")
HEADINGS = ("case", "what", "found", "of the ceiling", "compile", "target")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One row of the table."""

    case: str
    what: str
    found: str
    value: float | None = None
    share: float | None = None  # of the ceiling of its precision
    compile_seconds: float | None = None
    target: str = ""

    def __str__(self) -> str:
        share = "" if self.share is None else f"{self.share:.0%}"
        took = "" if self.compile_seconds is None else f"{self.compile_seconds:.1f} s"
        return f"| {self.case} | {self.what} | {self.found} | {share} | {took} | {self.target} |"


def timed(case: str, what: str, value: float, found: str, **more: Any) -> Row:
    """Return the row of a time, or of "not measured" without a GPU."""
    if not ON_CARD:
        return Row(case=case, what=what, found=NOT_MEASURED, target=more.get("target", ""))
    return Row(case=case, what=what, value=value, found=found, **more)


def variant(
    case: Case,
    what: str,
    precision: Precision,
    found: tuple[float, float | None],
    roofs: dict[str, float],
    target: str = "",
) -> Row:
    """Return the row of a speed, and of the seconds of compilation."""
    speed, took = found
    roof = roofs.get(precision)
    share = roof and speed * case.flop / roof
    said = f"{speed / 1e6:,.2f} M seed-steps/s"
    return timed(case.name, what, speed, said, share=share, compile_seconds=took, target=target)
