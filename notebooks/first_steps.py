"""First steps in ten minutes: a sweep, its fractions, a figure, another rule."""

import marimo


app = marimo.App(width="medium")


@app.cell
def _():
    import tempfile

    import marimo as mo

    import basin_jax as bj

    return bj, mo, tempfile


@app.cell
def _(mo):
    mo.md(
        """
        # First steps

        A network can behave well because it is good, or because it is watched. In the audit
        game it may answer a question or defect, and is punished for defecting where it is
        watched. How often does training from a random initialization end with a network that
        defects exactly where it is not?
        """
    )


@app.cell
def _(bj):
    sweep = bj.grid(
        bj.Sweep(
            organism=bj.organisms.Audit(),
            method=bj.methods.Gradient(learning_rate=0.1),
            num_steps=400,
        ),
        {"organism.difficulty": (1, 2, 3)},
    )
    return (sweep,)


@app.cell
def _(mo):
    mo.md(
        """
        A *sweep* is all that decides a seed's evidence; a *grid* varies some of its fields. The
        cells of a grid run the same seeds. Training goes into a folder, and running the cell
        again trains only what is missing.
        """
    )


@app.cell
def _(bj, sweep, tempfile):
    folder = tempfile.mkdtemp()
    records = bj.run(sweep, 64, folder, progress=False)
    records
    return folder, records


@app.cell
def _(records):
    records.plot()


@app.cell
def _(mo):
    mo.md(
        """
        Thick bars are 95 % intervals, each by itself; thin ones hold for all fractions at once.
        No hit is a result, too: its interval has an upper limit.

        What counts as deceptive is a *rule*, which judges stored evidence. A stricter one needs
        no training:
        """
    )


@app.cell
def _(bj, folder):
    strict = bj.load(folder, rule=bj.rules.Behavior(deceptive_gap=0.95))
    strict.table()
    return (strict,)


@app.cell
def _(mo):
    mo.md("The evidence of each seed is a row of a frame:")


@app.cell
def _(records):
    records.frame.head()


if __name__ == "__main__":
    app.run()
