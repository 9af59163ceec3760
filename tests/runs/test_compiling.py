"""Compiling: in threads that are waited for, unless a call that was given up holds the devices."""

import threading

import pytest

from basin_jax import build_kernel
from basin_jax.engine.kernel import Kernel
from basin_jax.runs import compiling as module
from basin_jax.runs.compiling import compiling


@pytest.fixture
def kernel(wells):
    return build_kernel(wells, lanes=8)


def test_errors_are_those_of_whoever_waits(kernel, monkeypatch):
    def broken(kernel):
        raise RuntimeError("no compiler")

    monkeypatch.setattr(Kernel, "compile", broken)
    with compiling() as begin, pytest.raises(RuntimeError, match="no compiler"):
        begin(kernel).result()


@pytest.mark.parametrize("held", [False, True])
def test_what_may_never_end_is_left_where_devices_are_held(kernel, monkeypatch, held):
    begun, goes_on, ended = threading.Event(), threading.Event(), []

    def compile_slowly(kernel):
        begun.set()
        ended.append(goes_on.wait(60))
        return 0.0

    monkeypatch.setattr(Kernel, "compile", compile_slowly)
    monkeypatch.setattr(module, "devices_are_held", lambda: held)
    with compiling() as begin:
        begin(kernel)
        assert begun.wait(60)
        assert all(one.daemon for one in threading.enumerate() if one.name == "compile")
        if not held:
            goes_on.set()
    assert ended == ([] if held else [True])
    goes_on.set()
