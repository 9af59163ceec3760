"""Compare two methods for a paper: paired seeds, a figure, a table, and what to say of them."""

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
        # Compare two methods for a paper

        Decide the number of seeds before the first look. Both methods train the same seeds, so
        that their difference is paired: only seeds whose verdict differs tell of it.
        """
    )


@app.cell
def _(bj, tempfile):
    organism, Gradient = bj.organisms.Audit(difficulty=1), bj.methods.Gradient
    cells = {
        "SGD": bj.Sweep(organism=organism, method=Gradient(learning_rate=0.1), num_steps=300),
        "Adam": bj.Sweep(
            organism=organism,
            method=Gradient(optimizer="adam", learning_rate=0.003),
            num_steps=300,
        ),
    }
    records = bj.run(cells, 96, tempfile.mkdtemp(), progress=False)
    records.plot()
    return (records,)


@app.cell
def _(mo):
    mo.md("The difference, with McNemar's exact test and the melded interval that agrees with it:")


@app.cell
def _(records):
    records.compare(to="SGD").select(
        "label", "gained", "lost", "difference", "low", "high", "p_value"
    )


@app.cell
def _(mo):
    mo.md("How much does the fraction depend on the rule's threshold?")


@app.cell
def _(records):
    records.near_thresholds()


@app.cell
def _(mo):
    mo.md("The table for the paper, and the figure as a PDF:")


@app.cell
def _(mo, records):
    mo.md(f"```latex\n{records.to_latex()}\n```")


@app.cell
def _(records, tempfile):
    figure = f"{tempfile.mkdtemp()}/fractions.pdf"
    records.plot().savefig(figure)
    return (figure,)


if __name__ == "__main__":
    app.run()
