"""Labels: short, none twice, and a user's own where there are some."""

import pytest

from basin_jax import Sweep, grid
from basin_jax.core.labels import check_names, labels_of
from basin_jax.methods import Gradient
from basin_jax.organisms import DoubleWell


def cell(**fields):
    return {"organism": "DoubleWell", "steps": 10, **fields}


@pytest.mark.parametrize(
    ("fields", "labels"),
    [
        ([{}], ["DoubleWell"]),
        ([{"a.rate": 0.1}, {"a.rate": 0.2}], ["rate=0.1", "rate=0.2"]),
        ([{"a.rate": 1, "b.rate": 3}, {"a.rate": 2, "b.rate": 4}], ["a.rate=1, b.rate=3", None]),
        # A field that a cell lacks, or that is None, says nothing.
        ([{"way": "A", "a": 1}, {"way": "B"}], ["way=A, a=1", "way=B"]),
        ([{"way": "A", "a": None}, {"way": "B", "a": 1}], ["way=A", "way=B, a=1"]),
        ([{"a": 1}, {}], ["a=1", "DoubleWell"]),
        ([{"a": 1, "b": None}, {"a": None, "b": 1}, {"a": 1, "b": 1}], ["a=1", "b=1", "a=1, b=1"]),
        # The hash of a value is left out where its name tells it.
        ([{"by": "Chain [ab12]"}, {"by": "Adam [cd34]"}], ["by=Chain", "by=Adam"]),
        ([{"by": "Chain [ab12]"}, {"by": "Chain [cd34]"}], ["by=Chain [ab12]", None]),
    ],
)
def test_a_label_is_what_varies(fields, labels):
    cells = {str(number): cell(**own) for number, own in enumerate(fields)}
    found = [*labels_of(cells).values()]
    assert all(want in (None, own) for own, want in zip(found, labels, strict=True)), found
    assert len({*found}) == len(found)


def test_labels_differ_whatever_the_names():
    cells = {"d0": cell(a=1), "d1": cell(a=2), "d2": cell(a=3)}
    found = labels_of(cells, {"d0": "ours", "d1": "a=3"})
    assert found == {"d0": "ours", "d1": "a=3 [d1]", "d2": "a=3 [d2]"}
    assert labels_of(cells, {"d0": "x", "d1": "x"})["d2"] == "a=3"


@pytest.mark.parametrize("names", [["a", "a"], [""], [" a"], ["a" * 81], ["a\nb"], [3]])
def test_a_name_that_cannot_be_shown_is_refused(names):
    with pytest.raises(ValueError, match="the name of cell"):
        check_names(names)


def test_the_cells_of_a_grid_have_labels_by_their_axes():
    sweep = Sweep(organism=DoubleWell(), method=Gradient(learning_rate=0.1), num_steps=10)
    cells = grid(sweep, {"organism.tilt": (0.0, 0.2), "method.optimizer": ("sgd", "adam")})
    fields = {str(number): own.fields() for number, own in enumerate(cells)}
    assert next(iter(labels_of(fields).values())) == "tilt=0.0, optimizer=sgd"
