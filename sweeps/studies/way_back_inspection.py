"""Is there a way back, in the inspection game?

Run it with `basin-jax study sweeps/studies/way_back_inspection.py`. Full oversight is a bonus
below 0; from three quarters of it on, defecting never pays.
"""

from basin_jax.studies.framework.testbed import INSPECTION
from basin_jax.studies.way_back import WayBack


study = WayBack(
    testbed=INSPECTION, strengths=(0.0, 0.25, 0.5, 0.75, 1.0), lengths=(100, 400, 1600), quick=192
)
