"""Is there a way back, in the inspection game?

Run it with `basin-jax study sweeps/studies/way_back_inspection.py`. Full oversight is a bonus
below 0; from three quarters of it on, defecting never pays. Windows are longer than in the audit
game, up to the first that brings most seeds back.
"""

from basin_jax.studies.framework.testbed import INSPECTION
from basin_jax.studies.way_back import WayBack


study = WayBack(
    testbed=INSPECTION,
    strengths=(0.0, 0.25, 0.5, 0.75, 1.0),
    windows=(0.8, 1.6, 3.2),
    timed=0.5,
    quick=640,
    full=2400,
)
