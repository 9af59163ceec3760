"""Thresholds, provenance and sources of results, for a paper."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Bool, UInt64
from numpy import ndarray

from basin_jax.core.arguments import checked
from basin_jax.core.plugin import closest
from basin_jax.core.sweep import siblings_of
from basin_jax.core.verdict import Verdict
from basin_jax.results.citation import bibtex, used
from basin_jax.results.reading import Stored
from basin_jax.results.request import Request
from basin_jax.results.rule import rule_identity
from basin_jax.results.trained import seeds_of_machines
from basin_jax.statistics.dose_response import Threshold, threshold
from basin_jax.statistics.estimates import as_verdict
from basin_jax.statistics.forecast import Forecast, forecast


CELLS = "identity of the cells"  # in their provenance


class Quoted(Stored):
    """Results, and what a paper says of them."""

    @checked
    def threshold(
        self,
        field: str,
        *,
        of: Verdict | str | int = Verdict.DECEPTIVE,
        at: float = 0.5,
        level: float = 0.95,
        where: Mapping[str, Any] | None = None,
    ) -> Threshold:
        """Estimate the value of a field at which the fraction of a verdict crosses `at`.

        Args:
            field: a field that varies, in numbers: its dotted path, or the last part.
            of: the verdict.
            at: the fraction that is crossed.
            level: the least probability that the interval covers the threshold.
            where: the values of the other fields that vary, as in {"difficulty": 2}.

        Returns:
            The threshold by isotonic regression with its interval, and that of a logistic curve.
            Seeds that some of the cells lack are left out. A threshold that is not within the grid
            is ±inf.

        Raises:
            ValueError: if a field is unknown, does not vary, or has values that are no numbers, or
                if other fields vary that `where` does not tell.
        """
        path, verdict = self._path(field, "field"), as_verdict(of)
        doses = self._doses(path, where or {})
        seeds, hits = self._hits_of_all(doses, verdict)
        return threshold(
            hits,
            seeds,
            [*doses.values()],
            field=path,
            of=verdict,
            at=at,
            level=level,
            siblings=math.lcm(*(siblings_of(self.cells[cell]) for cell in doses)),
            basis=self.interval,
            sample=self.sample,
        )

    @checked
    def forecast(
        self,
        cell: str,
        evidence: str,
        *,
        above: float | None = None,
        below: float | None = None,
        level: float = 0.95,
    ) -> Forecast:
        """Forecast how many fresh seeds it takes until evidence at the end is beyond a threshold.

        Args:
            cell: the cell's digest.
            evidence: the name of the evidence.
            above, below: the threshold; one of them.
            level: the nominal level of the interval.

        Returns:
            The forecast from the upper tail of the cell's seeds, with its score on held-out seeds.

        Raises:
            ValueError: if there is no such cell or evidence, not one threshold, or no tail that can
                be extrapolated.
        """
        if cell not in self.cells:
            raise ValueError(f"cell = {cell!r}; allowed: {closest(cell, self.cells)}")
        if evidence not in self.evidence_names:
            allowed = closest(evidence, self.evidence_names)
            raise ValueError(f"evidence = {evidence!r}; allowed: {allowed}")
        if (above is None) == (below is None):
            raise ValueError(f"above = {above}, below = {below}; allowed: one of them")
        ends = self.frame.filter(pl.col("cell") == cell, pl.col("verdict") != Verdict.ERROR.name)
        scores = ends[evidence].to_numpy().astype(float)
        if below is not None:
            return forecast(-scores, -below, level=level)
        assert above is not None
        return forecast(scores, above, level=level)

    def _doses(self, path: str, where: Mapping[str, Any]) -> dict[str, float]:
        """Return the value of a field in each cell where others have some values, rising."""
        fixed = {self._path(name, "where"): value for name, value in where.items()}
        others = [name for name in self.varied if name not in (path, *fixed)]
        if others:
            raise ValueError(
                f"where = {where!r}, and {', '.join(others)} vary; allowed: a value for each field "
                f"that varies except {path}"
            )
        doses = dict[str, float]()
        for cell, fields in self.cells.items():
            if any(fields.get(name) != value for name, value in fixed.items()):
                continue
            dose = fields.get(path)
            if not isinstance(dose, int | float) or isinstance(dose, bool):
                raise ValueError(f"{path} = {dose!r}; allowed: a field whose values are numbers")
            doses[cell] = float(dose)
        if not doses:
            labels = "; ".join(self.label(cell) for cell in self.cells)
            raise ValueError(f"where = {where!r}; allowed: values of a cell: {labels}")
        return dict(sorted(doses.items(), key=lambda item: item[1]))

    def _hits_of_all(
        self, cells: Iterable[str], of: Verdict
    ) -> tuple[UInt64[ndarray, " seed"], Bool[ndarray, "seed cell"]]:
        """Return the seeds that all of some cells have, and whether they have a verdict in each."""
        seeds, columns = np.zeros(0, np.uint64), list[ndarray]()
        for cell in cells:
            blocks = [(own, judged[:, -1] == of) for own, judged in self.counted(cell)]
            own = np.concatenate([np.zeros(0, np.uint64), *(one for one, _ in blocks)])
            hits = np.concatenate([np.zeros(0, bool), *(one for _, one in blocks)])
            if columns and not np.array_equal(own, seeds):
                seeds, kept, these = np.intersect1d(
                    seeds, own, assume_unique=True, return_indices=True
                )
                columns, hits = [column[kept] for column in columns], hits[these]
            else:
                seeds = own
            columns.append(hits)
        return seeds, np.stack(columns, axis=1)

    def provenance(self) -> dict[str, list[str]]:
        """Return what decides the bits of the evidence, and what the runs asked for.

        Returns:
            By name: the versions and the device of the machines, their backends and lanes, the
            largest chunk, the hashes of code, the digests of the cells, and for each run the seeds
            that it asked for and its note.
        """
        found = {name: [value] for name, value in self.machine.items()}
        found["backend"] = [*self._backends()]
        found["chunk"] = [f"at most {self.manifest['chunk']} seeds"]
        for cell in self.manifest["cells"].values():
            for name, code in cell["sources"].items():
                codes = found.setdefault(f"code of {name}", [])
                codes.extend([] if code in codes else [code])
        found[CELLS] = [*self.cells]
        for run in self.runs:
            where = f"Python {run['python']}, {run['devices']} devices"
            runs = found.setdefault(f"run of {run['began']}", [])
            note = f"; note: {run['note']}" if "note" in run else ""
            runs.append(f"{Request.read(run)}; {where}{note}")
        return found

    def _backends(self) -> Iterator[str]:
        """Yield the backends and lanes of each machine, and its seeds where several trained."""
        for store in self.stores:
            machines = store.manifest()["machines"]
            counts = seeds_of_machines(store) if len(machines) > 1 else {}
            for number, each in enumerate(machines):
                seeds, device = counts.get(number, 0), each["machine"].get("device", "?")
                whose = f" ({seeds:,} seeds on {device})" if counts else ""
                plans = each["plans"].values()
                names = {f"{plan['backend']['name']}, {plan['lanes']} lanes" for plan in plans}
                yield "; ".join(sorted(names)) + whose

    def cite(self) -> str:
        """Return BibTeX: of the package, and of what its plug-ins that these results use follow."""
        rule = rule_identity(self.rule) if self.rule else self.manifest["rule"]
        parts = [(cell["fields"], cell["sources"]) for cell in self.manifest["cells"].values()]
        parts.append((rule["fields"], rule["sources"]))
        versions = [version.partition(" ")[0] for version in self.machine["basin_jax"].split("; ")]
        return bibtex((one for part in parts for one in used(*part)), trained=versions)

    def _path(self, name: str, argument: str) -> str:
        """Find the path of a field, given its path or the last part.

        Raises:
            ValueError: if there is no such field, or several.
        """
        paths = {path for cell in self.cells.values() for path in cell}
        meant = {name} & paths or {path for path in paths if path.endswith(f".{name}")}
        meant = meant & set(self.varied) or meant
        if len(meant) > 1:
            raise ValueError(f"{argument} = {name!r}; allowed: one of {', '.join(sorted(meant))}")
        if not meant:
            raise ValueError(
                f"{argument} = {name!r} is no field of the sweep; allowed: {closest(name, paths)}"
            )
        return meant.pop()
