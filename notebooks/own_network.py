"""Bring your own network: an organism of another architecture, checked and measured."""

import marimo


app = marimo.App(width="medium")


@app.cell
def _():
    import tempfile

    import jax
    import marimo as mo
    from flax import nnx

    import basin_jax as bj
    from basin_jax.testing import check_organism

    return bj, check_organism, jax, mo, nnx, tempfile


@app.cell
def _(mo):
    mo.md(
        """
        # Bring your own network

        Networks are Flax NNX modules, and `Audit(network=...)` takes any plug-in that makes
        one. This one has a gate: half of its hidden units multiply the other half.
        """
    )


@app.cell
def _(bj, jax, nnx):
    class Gated(nnx.Module):
        def __init__(self, inputs, outputs, width, rngs):
            self.first = nnx.Linear(inputs, 2 * width, rngs=rngs)
            self.last = nnx.Linear(width, outputs, rngs=rngs)

        def __call__(self, x):
            gate, value = jax.numpy.split(self.first(x), 2, axis=-1)
            return self.last(jax.nn.sigmoid(gate) * value)

    class GatedNetwork(bj.Plugin):
        width: int = 16

        def __call__(self, inputs, outputs, *, rngs):
            return Gated(inputs, outputs, self.width, rngs)

    return (GatedNetwork,)


@app.cell
def _(GatedNetwork, bj, check_organism):
    organism = bj.organisms.Audit(network=GatedNetwork())
    check_organism(organism)
    return (organism,)


@app.cell
def _(mo):
    mo.md("Compare it with a plain network on the same seeds:")


@app.cell
def _(bj, organism, tempfile):
    given = {"method": bj.methods.Gradient(learning_rate=0.1), "num_steps": 400}
    cells = {
        "plain": bj.Sweep(organism=bj.organisms.Audit(), **given),
        "gated": bj.Sweep(organism=organism, **given),
    }
    records = bj.run(cells, 64, tempfile.mkdtemp(), progress=False)
    records.plot()
    return (records,)


@app.cell
def _(records):
    records.compare(to="plain")


if __name__ == "__main__":
    app.run()
