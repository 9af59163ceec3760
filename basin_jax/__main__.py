"""Run the command line: `python -m basin_jax`."""

from basin_jax.cli import main


main()
