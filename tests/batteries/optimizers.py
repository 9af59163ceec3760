"""The battery of Optax: each of its public constructors, by name and as an object.

The constructors are found in Optax itself, and their arguments by the names of their parameters, so
that one that a new version brings is tried, too, or has to be given arguments here.
"""

import functools
import inspect
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from batteries.tracing import trace_first_step

import basin_jax as bj
from basin_jax.core.identity import digest_of
from basin_jax.core.trial import trial
from basin_jax.engine.backends import refusal
from basin_jax.report.render import Group, Line, Table


RATE, STEPS = 0.05, 8


class Line8(bj.Organism):
    """Fit a line to eight points: a convex loss, over a matrix and a vector."""

    def init(self, key):
        return {"w": jax.random.normal(key, (2, 3), jnp.float32), "b": jnp.ones(3, jnp.float32)}

    def sample(self, key):
        return jnp.array([[i % 3 - 1.0, i / 4 - 1.0] for i in range(8)])

    def loss(self, params, batch):
        out = batch @ params["w"] + params["b"][None]
        return jnp.mean((out - batch[:, :1]) ** 2)

    def probe(self, key, params):
        return {"fit": -self.loss(params, self.sample(key)), "b": params["b"].sum()}


def every_other(step, **_):
    return step % 2 == 0


def half(count):
    return 0.5 + 0 * count


def one_group(params):
    return jax.tree.map(lambda _: "all", params)


def unchanged(updates, params):
    return updates


def size(updates, *_, **__):
    return optax.tree.norm(updates)


def descent() -> optax.GradientTransformation:
    return optax.sgd(RATE)


# Arguments, by the name of the parameter. Options of a name have to be hashable: no dicts.
ARGUMENTS: dict[str, Any] = {
    "adv_optimizer": optax.chain(optax.contrib.normalize(), optax.sgd(0.01)),
    "boundaries": [3],
    "clipping": 0.1,
    "cosine_kwargs": [{"init_value": 0.0, "peak_value": RATE, "warmup_steps": 2, "decay_steps": 9}],
    "decay": 0.9,
    "decay_rate": 0.9,
    "decay_steps": 100,
    "end_value": RATE / 2,
    "eta": 1e-4,
    "every_k_schedule": 2,
    "f": unchanged,
    "freeze_mask": False,
    "gamma": 0.55,
    "init_value": RATE,
    "inner_factory": optax.sgd,
    "interpolate_type": "linear",
    "key": 0,
    "l2_norm_clip": 1.0,
    "learning_rate": RATE,
    "mask": True,
    "max_backtracking_steps": 9,
    "max_consecutive_errors": 3,
    "max_delta": 1.0,
    "max_linesearch_steps": 9,
    "max_norm": 1.0,
    "measure": size,
    "measure_name": "size",
    "measures": {"size": size},
    "noise_multiplier": 0.01,
    "param_labels": one_group,
    "peak_value": RATE,
    "power": 1.0,
    "schedules": [optax.constant_schedule(RATE), optax.constant_schedule(RATE / 2)],
    "seed": 0,
    "should_transform_fn": every_other,
    "slow_step_size": 0.5,
    "step_size": 0.5,
    "step_size_fn": half,
    "sync_period": 2,
    "threshold": 1.0,
    "transforms": {"all": optax.sgd(RATE)},
    "transition_steps": 100,
    "value": RATE,
    "warmup_steps": 2,
}
INNER = ("base_optimizer", "fast_optimizer", "inner", "opt", "optimizer", "transforms", "tx")
# Further arguments, where the defaults fit no network this small or need an argument besides.
MORE: dict[str, dict[str, Any]] = {
    "adadelta": {"learning_rate": RATE},  # without one it goes up
    "scale_by_learning_rate": {"learning_rate": RATE},
    "piecewise_constant_schedule": {"boundaries_and_scales": {3: 0.5}},
    "piecewise_interpolate_schedule": {"boundaries_and_scales": {3: 0.5}},
}
# Types of something else than a state that may be narrower than parameters.
LIKE_OTHERS = {"param_dtype", "hyperparam_dtype"}
# Functions of these modules that make neither a transformation nor a schedule.
OTHERS = {
    "init_empty_state",
    "per_example_global_norm_clip",
    "per_example_layer_norm_clip",
    "schedule_free_eval_params",
    "skip_large_updates",
    "skip_not_finite",
    "value_and_grad_from_state",
}
MODULES = re.compile(
    r"optax\.(contrib|transforms|schedules)\.|optax\._src\.(alias|base|factorized|linesearch|"
    r"lookahead|transform|wrappers)\b"
)
# What goes down by itself, though it has neither a learning rate nor an optimizer inside.
WHOLE = {"polyak_sgd", "scale_by_cocob"}
# What need not go down: it holds parameters still, or where others are better; or at each other
# step it adds the gradient as it is.
STILL = {"conditionally_transform", "freeze", "keep_params_nonnegative", "set_to_zero"}


class Row(NamedTuple):
    """The result of trying a constructor: "trains", or the reason why it is refused."""

    name: str  # with its module, and perhaps a parameter
    by_name: str
    as_object: str
    program: str  # that trains it on a CPU: "cpu" or "XLA"


def constructors() -> dict[str, Callable[..., Any]]:
    """Find the public constructors of transformations and schedules, by their full names."""
    found = {}
    for module in (optax, optax.contrib):
        for name, function in sorted(vars(module).items()):
            made = inspect.isfunction(function) or function is optax.MultiSteps
            if not made or name.startswith("_") or name in OTHERS:
                continue
            hint = str(inspect.signature(function).return_annotation)
            if MODULES.match(function.__module__) or "GradientTransformation" in hint:
                full = f"{module.__name__}.{name}"
                found[full] = function
                for own in sorted(taken(function)):
                    if own.endswith("_dtype") and own not in LIKE_OTHERS:
                        found[f"{full}({own}=bfloat16)"] = function
    return found


def bare(full: str) -> str:
    """Return a constructor's name without its module and its arguments."""
    return full.partition("(")[0].rpartition(".")[2]


def arguments(full: str, function: Callable[..., Any]) -> dict[str, Any]:
    """Give a value to each parameter without a default, to a random key, and to a type."""
    given = dict(MORE.get(bare(full), {}))
    if "(" in full:
        given[full.partition("(")[2].partition("=")[0]] = "bfloat16"
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.default is parameter.empty or parameter.name == "key":
            own = ARGUMENTS.get(parameter.name)
            given[parameter.name] = descent() if own is None and parameter.name in INNER else own
            assert given[parameter.name] is not None, f"{full}: no argument {parameter.name!r} here"
    return given


def make(full: str, function: Callable[..., Any]) -> Any:
    """Make the optimizer that one would write with a constructor."""
    name, given = bare(full), arguments(full, function)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        if name == "named_chain":
            return optax.named_chain(("descent", descent()))
        if any(p.kind is p.VAR_POSITIONAL for p in inspect.signature(function).parameters.values()):
            return function(descent())
        made: Any = function(**given)
    if name.startswith("inject"):
        return made(optax.exponential_decay(RATE, 9, 0.9))
    if "linesearch" in name:
        return optax.chain(optax.sgd(1.0), made)
    if name == "scale_by_rprop":  # it has a learning rate, and goes up
        return optax.chain(made, optax.scale(-1.0))
    if not hasattr(made, "update"):
        return optax.sgd(made)  # a schedule
    own = {"learning_rate", *INNER} & {*given} or "learning_rate" in taken(function)
    return made if own or name in WHOLE else optax.chain(made, optax.scale_by_learning_rate(RATE))


def taken(function: Callable[..., Any]) -> set[str]:
    return {*inspect.signature(function).parameters}


def named(full: str, function: Callable[..., Any]) -> bj.methods.Gradient:
    """Make the method that has the constructor by its name, or raise `ValueError`."""
    name, options = bare(full), arguments(full, function)
    if any(isinstance(value, dict | list) for value in options.values()):
        raise ValueError("; allowed: a transformation, since options cannot hold its arguments")
    inside = {*INNER} & {*options} or name in WHOLE
    rate = options.pop("learning_rate", None if inside else RATE)
    for key in ("key", "seed"):
        options.pop(key, None)
    return bj.methods.Gradient(optimizer=name, learning_rate=rate, options=options)


def reason(error: ValueError) -> str:
    """Return the last words of a refusal, which say why."""
    said = str(error).partition("; allowed: ")[2]
    if not said or "\n" in said:
        raise error
    return said.partition(", since ")[2] or said


def attempt(make_method: Callable[[], bj.methods.Gradient], *, traced: bool) -> bj.Sweep | str:
    """Return a sweep, or the reason of its refusal, which has to come before any training."""
    try:
        sweep = bj.Sweep(organism=Line8(), method=make_method(), num_steps=STEPS)
        sweep.fields()
        if traced:
            trace_first_step(sweep)
    except ValueError as error:
        return reason(error)
    return sweep


def goes_down(name: str, sweep: bj.Sweep) -> str:
    """Check that training lowers the loss, at finite numbers; return the program that trains."""
    with jax.numpy_rank_promotion("allow"):  # as users have it
        digest_of(sweep)
        fit = np.asarray(trial(sweep.replace(save_at=(0,)), 3)["fit"])
        program = "XLA" if refusal(sweep) else "cpu"
    assert np.isfinite(fit).all(), (name, fit)
    assert fit[-1] > fit[0] or bare(name) in STILL, (name, fit)
    return program


def rows(*, train: bool) -> Iterator[Row]:
    """Try all constructors; with `train`, take their steps and find the program that does."""
    for full, function in constructors().items():

        def as_object(full: str = full, function: Any = function) -> bj.methods.Gradient:
            return bj.methods.Gradient(optimizer=make(full, function))

        found: list[bj.Sweep | str] = [attempt(as_object, traced=True)]
        if function.__module__.startswith("optax.schedules"):
            found.append("-")
        else:
            # By name it is the same step, which is traced once more only to see it fail or train.
            traced = train or isinstance(found[0], str)
            found.append(attempt(functools.partial(named, full, function), traced=traced))
        programs = [goes_down(full, one) for one in found if train and isinstance(one, bj.Sweep)]
        object_, name = (one if isinstance(one, str) else "trains" for one in found)
        yield Row(full, name, object_, programs[0] if programs else "")


def section(found: list[Row]) -> str:
    """Write the section of the page."""
    refused = [row for row in found if row.as_object != "trains"]
    unnamed = [row for row in found if row.by_name not in ("trains", "-")]
    shown = Table(
        head=("constructor", "by name", "as an object", "program on a CPU"),
        groups=[
            Group(
                [
                    Line([f"`{r.name}`", *(shortened(how) for how in r[1:3]), r.program or "-"])
                    for r in found
                ]
            )
        ],
    )
    lists = [
        ["Refused as an object, too:", "", *(f"- `{r.name}`: {r.as_object}" for r in refused)],
        ["Refused by name:", "", *(f"- `{r.name}`: {r.by_name}" for r in unnamed)],
    ]
    text = "\n\n".join("\n".join(lines) for lines in lists if len(lines) > 2)
    return f"{INTRODUCTION}\n\n{text}\n\n{shown.markdown()}\n"


def shortened(how: str) -> str:
    return how if how in ("trains", "-") else "refused"


INTRODUCTION = f"""## Optimizers

`Gradient(optimizer=...)` takes an Optax transformation as an object, or the name of its function.
These are all public constructors of transformations and schedules in Optax {optax.__version__}
and in `optax.contrib`. As an object, what has no learning rate is followed by
`optax.scale_by_learning_rate`, a line search follows `optax.sgd`, and a schedule is that of
`optax.sgd`. By name, what has no learning rate is followed by the method's. The program is the
CPU's own, or XLA's where the compiler lacks an operation. Each that trains has lowered a convex
loss in {STEPS} steps, but for {", ".join(f"`{name}`" for name in sorted(STILL))}."""
