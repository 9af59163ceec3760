"""Engines: they start the workers of a run, here, on a Ray cluster, or as a Slurm array."""
