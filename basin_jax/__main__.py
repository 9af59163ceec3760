"""Run the command line: `python -m basin_jax`."""

from basin_jax.cli.main import main


main()
