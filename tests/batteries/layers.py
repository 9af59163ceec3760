"""The battery of Flax NNX: each of its public layers, inside a network that fits a number."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import flax
import jax
import jax.numpy as jnp
import numpy as np
from batteries.tracing import trace_first_step
from flax import nnx

import basin_jax as bj
from basin_jax.core.identity import digest_of
from basin_jax.core.trial import trial
from basin_jax.engine.backends import refusal
from basin_jax.report.render import Group, Line, Table


WIDTH, STEPS = 4, 8
# Arguments of layers, by the name of the parameter.
ARGUMENTS: dict[str, Any] = {
    "einsum_str": "npf,fg->npg",
    "features": WIDTH,
    "hidden_features": WIDTH,
    "in_features": WIDTH,
    "kernel_shape": (WIDTH, WIDTH),
    "kernel_size": (3,),
    "lora_rank": 2,
    "num_embeddings": 2,
    "num_features": WIDTH,
    "num_heads": 2,
    "out_features": WIDTH,
    "rate": 0.25,
}
# Parameters that hold another layer.
INNER: dict[str, Callable[..., Any]] = {
    "backward_rnn": lambda rngs: nnx.RNN(nnx.SimpleCell(WIDTH, WIDTH, rngs=rngs)),
    "cell": lambda rngs: nnx.SimpleCell(WIDTH, WIDTH, rngs=rngs),
    "forward_rnn": lambda rngs: nnx.RNN(nnx.SimpleCell(WIDTH, WIDTH, rngs=rngs)),
    "layer_instance": lambda rngs: nnx.Linear(WIDTH, WIDTH, rngs=rngs),
}
MORE: dict[str, dict[str, Any]] = {
    "GroupNorm": {"num_groups": 2},
    "MultiHeadAttention": {"decode": False},
}
# What holds layers, and is none.
HOLDERS = {"Dict", "List", "Module", "RNNCellBase", "Sequential"}
HELD = "all state as parameters"
SPLIT = "`nnx.Param` split off"


def layers() -> dict[str, type[nnx.Module]]:
    """Find the public layers."""
    return {
        name: thing
        for name, thing in sorted(vars(nnx).items())
        if inspect.isclass(thing) and issubclass(thing, nnx.Module) and name not in HOLDERS
    }


def build(name: str, rngs: nnx.Rngs | None) -> Any:
    """Make a layer; without random numbers of its own where they are None."""
    own = nnx.Rngs(0) if rngs is None else rngs
    given = dict(MORE.get(name, {}))
    for parameter in inspect.signature(layers()[name].__init__).parameters.values():
        if parameter.name in ("self", "args", "kwargs"):
            continue
        if parameter.name == "rngs":
            given["rngs"] = rngs if name == "Dropout" else own
        elif parameter.name in INNER:
            given[parameter.name] = INNER[parameter.name](own)
        elif parameter.default is parameter.empty:
            given[parameter.name] = ARGUMENTS[parameter.name]
    return layers()[name](**given)


def applied(layer: Any, x: Any, key: jax.Array | None) -> Any:
    """Apply a layer to [example, place, feature]."""
    if isinstance(layer, nnx.Embed):
        return layer((x[..., 0] > 0).astype(int))
    if isinstance(layer, nnx.BatchNorm):
        return layer(x, use_running_average=False)
    if isinstance(layer, nnx.Dropout):
        return layer(x, rngs=None if key is None else nnx.Rngs(dropout=key))
    if isinstance(layer, nnx.SpectralNorm):
        return layer(x, update_stats=True)
    if isinstance(layer, nnx.RoPE):
        return layer(x, jnp.arange(x.shape[1]))
    if isinstance(layer, nnx.Bidirectional):
        both: Any = layer(x)
        return both[..., :WIDTH] + both[..., WIDTH:]
    if isinstance(layer, nnx.RNNCellBase):
        carry = layer.initialize_carry(x[:, 0].shape, nnx.Rngs(0))
        return layer(carry, x[:, 0])[1][:, None]
    return layer(x)


class Net(nnx.Module):
    """A layer between two others."""

    def __init__(self, layer: str, rngs: nnx.Rngs, *, random: bool):
        self.first = nnx.Linear(WIDTH, WIDTH, rngs=rngs)
        self.layer = build(layer, rngs if random else None)
        self.last = nnx.Linear(WIDTH, 1, rngs=rngs)

    def __call__(self, x: jax.Array, key: jax.Array | None = None) -> jax.Array:
        h = applied(self.layer, self.first(x), key)
        return self.last(h.mean(1))[:, 0]


class Reading(bj.Organism):
    """Fit a number to four sequences, by a network with a layer.

    With `split` the parameters alone are trained, and dropout draws from a key of the batch.
    """

    layer: str
    split: bool

    def build(self, key):
        return Net(self.layer, nnx.Rngs(key), random=not self.split)

    def init(self, key):
        return (
            nnx.split(self.build(key), nnx.Param, ...)[1]
            if self.split
            else nnx.state(self.build(key))
        )

    def sample(self, key):
        x = np.sin(np.arange(4 * 3 * WIDTH, dtype=np.float32)).reshape(4, 3, WIDTH)
        return jnp.asarray(x), key

    def loss(self, params, batch):
        x, drop_key = batch
        if self.split:
            graph, _, rest = nnx.split(self.build(jax.random.key(0)), nnx.Param, ...)
            out = nnx.merge(graph, params, rest)(x, drop_key)
        else:
            out = nnx.merge(nnx.graphdef(self.build(jax.random.key(0))), params)(x)
        return jnp.mean((out - jnp.array([1.0, -1.0, 2.0, 0.0])) ** 2)

    def probe(self, key, params):
        return {"fit": -self.loss(params, self.sample(key))}


class Row(NamedTuple):
    """The result of trying a layer: "trains", or the reason why it is refused."""

    name: str
    held: str  # where all of its state is given as parameters
    split: str  # where only what is an `nnx.Param` is
    program: str  # that trains it on a CPU: "cpu" or "XLA"


def attempt(name: str, *, split: bool) -> bj.Sweep | str:
    """Return a sweep, or the reason of its refusal, which has to come before any training."""
    method = bj.methods.Gradient(learning_rate=0.02)
    sweep = bj.Sweep(organism=Reading(layer=name, split=split), method=method, num_steps=STEPS)
    try:
        trace_first_step(sweep)
    except ValueError as error:
        said = str(error).partition("training would lose: ")[2].partition("; allowed: ")[0]
        if not said:
            raise
        return said
    return sweep


def goes_down(name: str, sweep: bj.Sweep) -> str:
    """Check that training lowers the loss, at finite numbers; return the program that trains."""
    with jax.numpy_rank_promotion("allow"):  # as users have it
        digest_of(sweep)
        fit = np.asarray(trial(sweep.replace(save_at=(0,)), 3)["fit"])
        program = "XLA" if refusal(sweep) else "cpu"
    assert np.isfinite(fit).all(), (name, fit)
    assert fit[-1] > fit[0], (name, fit)
    return program


def rows(*, train: bool) -> Iterator[Row]:
    """Try all layers; with `train`, take their steps and find the program that does."""
    for name in layers():
        found = [attempt(name, split=split) for split in (False, True)]
        programs = [goes_down(name, one) for one in found if train and isinstance(one, bj.Sweep)]
        held, split = (one if isinstance(one, str) else "trains" for one in found)
        yield Row(name, held, split, programs[-1] if programs else "")


def section(found: list[Row]) -> str:
    """Write the section of the page."""
    lines = [
        Line([f"`nnx.{row.name}`", *(worded(how) for how in row[1:3]), row.program])
        for row in found
    ]
    shown = Table(head=("layer", HELD, SPLIT, "program on a CPU"), groups=[Group(lines)])
    return f"{INTRODUCTION}\n\n{shown.markdown()}\n"


def worded(how: str) -> str:
    return how if how == "trains" else f"refused: {how}"


INTRODUCTION = f"""## Networks

These are all public layers of Flax NNX {flax.__version__}, each between two linear layers. A module
that keeps statistics or random numbers has state beside its parameters. Given as parameters, it is
refused; split off, as [extending.md](extending.md) shows, the layer trains: batch normalization by
the batch's own mean and variance, dropout by a key that comes with the batch. Each that trains has
lowered a loss in {STEPS} steps."""
