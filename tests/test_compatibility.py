"""What users bring trains, or is refused beforehand: the batteries, and the page made of them."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from batteries.operations import expect_to_train


ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs/compatibility.md"


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("compatibility", ROOT / "docs/compatibility.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


COMPATIBILITY = script()
# `tests/test_machines.py` tries environments one by one.
LIBRARIES = [name for name in COMPATIBILITY.SECTIONS if name != "environments"]


def without_programs(section: str) -> list[str]:
    """Strip the last column of a section's tables, which training fills."""
    return [line.rsplit("|", 2)[0] for line in section.splitlines()]


@pytest.mark.ci
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name in ("operations", "optimizers") else [])
        for name in LIBRARIES
    ],
)
def test_the_committed_page_says_what_is_refused(name):
    battery = COMPATIBILITY.SECTIONS[name]
    made = battery.section(list(battery.rows(train=False)))
    page = COMPATIBILITY.sections(PAGE.read_text())[name]
    assert without_programs(made) == without_programs(page)


@pytest.mark.ci
def test_losses_train_by_the_cpus_own_program_as_by_xlas():
    expect_to_train("attention", "graph_network", "gumbel_softmax", own=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPATIBILITY.SECTIONS)
def test_what_the_page_calls_trained_trains(name):
    battery = COMPATIBILITY.SECTIONS[name]
    made = battery.section(list(battery.rows(train=True)))
    assert made == COMPATIBILITY.sections(PAGE.read_text())[name]
