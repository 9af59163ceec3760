"""Bring your own network: an organism of another architecture, checked and measured."""

import marimo


app = marimo.App(width="medium")


with app.setup:
    import tempfile

    import jax
    import marimo as mo
    from flax import nnx

    import basin_jax as bj
    from basin_jax.testing import check_organism


@app.cell
def _():
    mo.md(
        """
        # Bring your own network

        Networks are Flax NNX modules, and `Audit(network=...)` takes any plug-in that makes
        one. This one has a gate: half of its hidden units multiply the other half. `hidden` and
        `output` are optional: with them the probe can examine the input of the last layer, as it
        does that of a plain network.
        """
    )


@app.class_definition
class Gated(nnx.Module):
    def __init__(self, inputs, outputs, width, rngs):
        self.first = nnx.Linear(inputs, 2 * width, rngs=rngs)
        self.last = nnx.Linear(width, outputs, rngs=rngs)

    def __call__(self, x):
        return self.output(self.hidden(x))

    def hidden(self, x):  # [example, input] to [unit, example]
        gate, value = jax.numpy.split(self.first(x), 2, axis=-1)
        return (jax.nn.sigmoid(gate) * value).T

    def output(self, hidden):
        return self.last(hidden.T)


@app.class_definition
class GatedNetwork(bj.Plugin):
    width: int = 16

    def __call__(self, inputs, outputs, *, rngs):
        return Gated(inputs, outputs, self.width, rngs)


@app.cell
def _():
    organism = bj.organisms.Audit(network=GatedNetwork())
    check_organism(organism)
    return (organism,)


@app.cell
def _():
    mo.md("Compare it with a plain network on the same seeds:")


@app.cell
def _(organism):
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
