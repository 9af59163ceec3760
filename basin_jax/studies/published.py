"""The tables of the package's own studies, as docs/results.md has them, to quote without a run."""

from pathlib import Path

import polars as pl

from basin_jax.core.arguments import checked
from basin_jax.core.plugin import closest


TABLES = Path(__file__).with_name("tables")
MADE = Path(__file__).with_suffix(".csv")  # the studies, and what made them
# Of columns that a study may leave empty.
TYPES = {"expected": pl.Float64, "gained": pl.Int64, "lost": pl.Int64, "holds": pl.Boolean}


@checked
def published(study: str | None = None) -> pl.DataFrame:
    """Return the table of one of the package's own studies, or the list of them all.

    Args:
        study: its name, such as "hijack"; the list if None.

    Returns:
        A row for each number of the study: its `key` and `label`, its `value` with the interval
        `low` to `high`, one of `num_intervals` that hold at once, the number of `seeds`, and the
        `version` of the package that made it. Or a row for each study: its question, the version,
        the size, the device and the JAX that made it, and the seed-steps that it trained.

    Raises:
        ValueError: if there is no such study.

    >>> published("hijack").filter(key="difficulty=1/dose=0/deceptive")["seeds"].item()
    1024
    """
    made = pl.read_csv(MADE, schema_overrides={"seed_steps": pl.Int64})
    if study is None:
        return made
    if study not in made["study"]:
        raise ValueError(f"study = {study!r}; allowed: {closest(study, made['study'])}")
    (version,) = made.filter(study=study)["version"]
    table = pl.read_csv(TABLES / f"{study}.csv", schema_overrides=TYPES, infer_schema_length=None)
    return table.with_columns(version=pl.lit(version))
