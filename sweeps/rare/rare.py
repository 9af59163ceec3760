"""How rare can a deceptive basin be, and still be found?

Run it with `basin-jax study sweeps/rare/rare.py`.
"""

from basin_jax.studies.rare import Rare


study = Rare()
