"""A rented GPU in an hour: what to run in which order, and how to take the results home."""

import marimo


app = marimo.App(width="medium")


@app.cell
def _():
    import marimo as mo
    import numpy as np

    import basin_jax as bj

    return bj, mo, np


@app.cell
def _(mo):
    mo.md(
        """
        # A rented GPU in an hour

        Everything that can be tried without the card is tried at home, with few seeds. On the
        machine:

        ```bash
        pip install "basin-jax[cuda]"
        basin-jax bench --device               # a minute: is the card as fast as others?
        basin-jax run mine.py --seeds 256      # compile, measure lanes, train the first seeds
        basin-jax run mine.py --seeds 1000000  # go on in the same folder; stop at any time
        basin-jax verify runs/mine && tar czf mine.tgz runs/mine
        ```

        A run that is stopped, or whose machine is taken away, loses some seconds of work. The
        folder may be a bucket (`--out s3://BUCKET/mine`), so that nothing needs to be taken
        home.

        How many seeds are worth an hour? The width of an interval falls with their root:
        """
    )


@app.cell
def _(bj, mo, np):
    rows = ["| seeds | half of them deceptive | none of them deceptive |", "|--:|---|---|"]
    for seeds in (10**3, 10**4, 10**5, 10**6):
        intended = np.full(seeds, bj.Verdict.INTENDED)
        half = bj.basin_fraction(np.where(np.arange(seeds) % 2, bj.Verdict.DECEPTIVE, intended))
        none = bj.basin_fraction(intended)
        width = (half.high - half.low) / 2
        rows.append(f"| {seeds:,} | 0.5 ± {width:.1g} | at most {none.high:.1g} |")
    mo.md("\n".join(rows))


@app.cell
def _(mo):
    mo.md(
        """
        At home, load the folder without running any code in it; low bits depend on the kind of
        device, and `recheck` counts how many verdicts differ on yours:

        ```bash
        basin-jax report runs/mine
        basin-jax recheck runs/mine --seeds 100
        ```
        """
    )


if __name__ == "__main__":
    app.run()
