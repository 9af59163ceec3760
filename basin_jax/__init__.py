"""Measure the fraction of random seeds whose training falls into a deceptive basin.

    fraction = P over seeds [ rule( probe( train( start(seed) ) ) ) = DECEPTIVE ]

The flow of data, and the modules in its order:

    spec ──► plan ──► kernel ──► store ──► verdict ──► statistics ──► report
    Sweep    cells ×   trial,     Parquet    Rule        Estimate       table, figures,
             chunks    compiled   evidence   per seed                   HTML, LaTeX
    └────── pure ──────┘└── IO ───┘└──────── pure ───────┘└──── IO ────┘
"""

import lazy_loader


__version__ = "0.5.0"
# Loaded when first used, so that `basin-jax --help` does not wait for JAX.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
