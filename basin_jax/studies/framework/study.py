"""Studies: a question, the sweeps that it trains, and the rows read from them."""

import abc
import inspect
from collections.abc import Iterable, Mapping
from typing import ClassVar

from matplotlib.figure import Figure

from basin_jax.core.identity import draws
from basin_jax.core.plugin import Plugin
from basin_jax.core.sources import short_hash
from basin_jax.studies.framework.figure import Panel, figure_of
from basin_jax.studies.framework.lab import Bisection, Group, Lab, Quest, Tracking
from basin_jax.studies.framework.rows import Finding, Row, Sentence, Table
from basin_jax.studies.framework.testbed import AUDIT, Testbed


class Study(Plugin, abc.ABC):
    """Declare a question: the sweeps that it trains, and the rows read from their outcome.

    A group of cells trains `quick` seeds for a figure in minutes on two cores. By `full` all of
    the package's studies together take some 4·10^9 seed-steps of networks like the audit game's:
    minutes of an accelerator, or a night of two cores. `limits` name questions that the study
    leaves open. Sentences are made from rows alone, so that those of a stored table can be written
    again.
    """

    quick: int = 256
    full: int = 12_000

    limits: ClassVar[tuple[str, ...]]

    @property
    def setting(self) -> str:
        """The organisms, methods, steps and rules of its sweeps, as a sentence."""
        groups = self.sweeps(self.quick).values()
        cells = [cell for group in groups for cell in group.cells.values()]

        def kinds(plugins: Iterable[Plugin]) -> str:
            return ", ".join(sorted({type(each).__name__ for each in plugins}))

        steps = ", ".join(f"{count:,}" for count in sorted({cell.num_steps for cell in cells}))
        return (
            f"Organism: {kinds(cell.organism for cell in cells)}. "
            f"Method: {kinds(cell.method for cell in cells)}, {steps} steps. "
            f"Rule: {kinds(group.rule for group in groups)}."
        )

    @property
    def question(self) -> str:
        """The question: the first line of the file that defines the study."""
        return (inspect.getdoc(inspect.getmodule(type(self))) or "").partition("\n")[0]

    @abc.abstractmethod
    def sweeps(self, seeds: int) -> Mapping[str, Group]:
        """Declare the groups of cells to train, by the names of their folders, in this order."""

    def bisections(self, seeds: int) -> Mapping[str, Bisection]:
        """Declare the bisections to make once the groups are trained."""
        del seeds
        return {}

    def trackings(self, seeds: int) -> Mapping[str, Tracking]:
        """Declare the edges to track then."""
        del seeds
        return {}

    def quests(self, seeds: int) -> Mapping[str, Quest]:
        """Declare the searches for rare basins to make then."""
        del seeds
        return {}

    @abc.abstractmethod
    def rows(self, lab: Lab) -> Iterable[Row]:
        """Compute the rows from the outcomes."""

    @abc.abstractmethod
    def sentences(self, rows: Table) -> Iterable[Sentence]:
        """Write sentences from the rows."""

    @abc.abstractmethod
    def panels(self, rows: Table, lab: Lab) -> Iterable[Panel]:
        """Declare the panels of the figure."""


class TestbedStudy(Study):
    """Declare a question that is asked of a testbed, which `--organism` replaces."""

    __test__ = False  # pytest takes classes of such a name for tests

    testbed: Testbed = AUDIT

    @property
    def setting(self) -> str:
        """The testbed, in a few words."""
        return self.testbed.description

    def require_no_draws(self) -> None:
        """Raise `ValueError` if training draws random numbers, for nulls that hold without."""
        exact = not draws(self.testbed.sweep)
        self.require(exact, "testbed", "one whose training draws nothing at random")


def find(name: str, study: Study, lab: Lab) -> Finding:
    """Train the missing groups, bisections and edges of a study, and return its finding."""
    count = study.quick * lab.times if lab.quick else study.full
    for group, declared in study.sweeps(count).items():
        lab.train(group, declared)
    for value, asked in study.bisections(count).items():
        lab.bisect(value, asked)
    for edge, asked in study.trackings(count).items():
        lab.track(edge, asked)
    for quest, asked in study.quests(count).items():
        lab.search(quest, asked)
    rows = Table(study.rows(lab))
    figure = figure_of(study.panels(rows, lab) or ())
    return finding_of(name, study, rows, figure, seed_steps=sum(lab.seed_steps.values()))


def finding_of(
    name: str, study: Study, rows: Table, figure: Figure, *, seed_steps: int, made: str = ""
) -> Finding:
    """Write the sentences of a study on its rows, and return its finding."""
    return Finding(
        name=name,
        question=study.question,
        sentences=[*study.sentences(rows)],
        limits=study.limits,
        rows=rows,
        figure=figure,
        setting=study.setting,
        root=root_of(name),
        seed_steps=seed_steps,
        made=made,
    )


def root_of(study: str) -> int:
    """Return the root of a study's random numbers: a hash of its name."""
    return int(short_hash(study), 16) % 2**32
