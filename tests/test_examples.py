"""The examples in docstrings run, and give what they say."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    "module",
    [
        "results.given",
        "results.records",
        "results.request",
        "runs.run",
        "statistics.estimates",
    ],
)
def test_the_examples_of_a_module_give_what_they_say(module):
    found = doctest.testmod(importlib.import_module(f"basin_jax.{module}"))
    assert found.attempted > 0
    assert found.failed == 0
