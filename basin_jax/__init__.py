"""Measure the fraction of random seeds whose training falls into a deceptive basin.

    fraction = P over seeds [ rule( probe( train( start(seed) ) ) ) = DECEPTIVE ]

The flow of data, and the modules in its order:

    spec ──► plan ──► kernel ──► store ──► verdict ──► statistics ──► report
    Sweep    cells ×   trial,     Parquet    Rule        Estimate       table, figures,
             chunks    compiled   evidence   per seed                   HTML, LaTeX
    └────── pure ──────┘└── IO ───┘└──────── pure ───────┘└──── IO ────┘

From nothing to a figure, a table and a comparison, in half a minute on two cores:

    import basin_jax as bj

    sgd = bj.Sweep(
        organism=bj.organisms.Audit(difficulty=1),
        method=bj.methods.Gradient(learning_rate=0.1),
        num_steps=500,
    )
    adam = sgd.replace(method=bj.methods.Gradient(optimizer="adam", learning_rate=1e-3))
    records = bj.run({"SGD": sgd, "Adam": adam}, 256, "runs/first")  # seeds 0 to 255 of each
    records  # fractions with their intervals, at a prompt and in a notebook
    records.plot().savefig("first.pdf")
    records.to_latex()  # as text; to_markdown, to_typst, to_pandas
    records.compare(to="SGD")  # seed by seed

`bj.grid` varies fields, `bj.load` reads a folder; the plug-ins are in `bj.organisms`, `bj.starts`,
`bj.methods` and `bj.rules`.
"""

import sys
from typing import Any

import lazy_loader


__version__ = "0.5.0"
# Loaded when first used, so that `basin-jax --help` does not wait for JAX.
_load, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    """Load a public name."""
    if name in __all__:
        return _load(name)
    # With its object, from which Python finds what was probably meant.
    said = f"basin_jax has no attribute {name!r}; allowed: {', '.join(__all__)}"
    raise AttributeError(said, name=name, obj=sys.modules[__name__])
