"""The model of a GPU's cycles: what it was fitted to, what it was not, and how work is counted."""

import importlib
from pathlib import Path

import pytest

from basin_jax.bench.cases import CASES


LOOP = """
.visible .entry steps(.param .align 8 .b8 steps_param_0[16])
{
    .reg .pred %p<9>;
    mov.u32 %r1, %tid.x;
    ld.global.u32 %r2, [%rd1];
$L__BB0_1:
    mov.u32 %r3, %r1;
$L__BB0_2:
    ld.shared.f32 %f1, [%rd2];
    setp.lt.f32 %p1, %f1, 0f40A00000;
    @%p1 bra $L__BB0_3;
    sqrt.rn.f32 %f1, %f1;
$L__BB0_3:
    add.s32 %r3, %r3, 64;
    setp.lt.s32 %p2, %r3, 200;
    @%p2 bra $L__BB0_2;
    bar.sync 0;
    add.s32 %r2, %r2, -1;
    setp.ne.s32 %p3, %r2, 0;
    @%p3 bra $L__BB0_1;
    ret;
}
"""


@pytest.fixture
def cycles(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    return importlib.import_module("cycles")


def test_the_fit_meets_the_rows_of_audit(cycles):
    model = cycles.fit()
    assert [work.case for work in cycles.FITTED] == ["audit"] * 3
    assert all(abs(model.error(work)) < 0.03 for work in cycles.FITTED)


def test_all_other_rows_are_missed_by_what_the_docstring_says(cycles):
    model = cycles.fit()
    errors = {(w.case, w.precision, w.program): model.error(w) for w in cycles.HELD_OUT}
    assert errors.pop(("mlp-64 sgd", "float32", "loops")) == pytest.approx(-0.26, abs=0.01)
    assert errors.pop(("mlp-64 adam", "float32", "loops")) == pytest.approx(-0.17, abs=0.01)
    assert max(map(abs, errors.values())) < 0.075
    assert [model.error(w) for w in cycles.profiled()] == pytest.approx([0, 0.13], abs=0.01)
    assert cycles.widest(model) == pytest.approx(1.36, abs=0.01)


def test_a_loop_takes_its_turns_and_a_branch_on_data_leads_around(cycles):
    # Warps of threads 0 and 32 take four and three turns.
    counts = cycles.Kernel(LOOP).step(64)
    assert counts["ld.shared.f32"] == 4 + 3
    assert counts["bar.sync"] == 2
    assert counts["bra"] == 2 * (4 + 3) + 2
    assert counts["sqrt.rn.f32"] == counts["mov.u32"] == 0


def test_a_loop_whose_turns_hang_on_data_is_refused(cycles):
    with pytest.raises(ValueError, match=r"the turns of the loop at .*_2 hang on data"):
        cycles.Kernel(LOOP.replace("%r3, 200", "%f1, 200")).step(64)


@pytest.mark.ci
@pytest.mark.parametrize("program", ["fragments", "loops"])
def test_each_warp_of_a_compiled_program_waits_at_its_barriers(cycles, program):
    work = cycles.work(CASES["mlp-8"][1], "float32", program)
    assert work.barriers == {"fragments": 2, "loops": 31}[program]
    assert 0 < work.multiply_adds < work.instructions
    if program == "loops":  # as it was measured, but for faster roots, quotients and normals
        (measured,) = (w for w in cycles.HELD_OUT if w.case == work.case)
        assert work.instructions == pytest.approx(measured.instructions, rel=0.1)
