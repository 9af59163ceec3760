"""Every kind of optimizer by fragments, in each precision and at odd sizes, against XLA."""

import functools

import numpy as np
import optax
import pytest

from basin_jax import Sweep, build_kernel
from basin_jax.bench.cases import Quadrant
from basin_jax.core.sweep import Precision
from basin_jax.core.trial import signature_of
from basin_jax.engine.backends import CUDA
from basin_jax.methods import Gradient
from basin_jax.networks import MLP


NESTEROV = {"momentum": 0.9, "nesterov": True}
METHODS = {
    "sgd": Gradient(optimizer="sgd", learning_rate=0.1),
    "momentum": Gradient(optimizer="sgd", learning_rate=0.1, options={"momentum": 0.9}),
    "nesterov": Gradient(optimizer="sgd", learning_rate=0.1, options=NESTEROV),
    "adam": Gradient(optimizer="adam", learning_rate=1e-2),
    "adamw": Gradient(optimizer="adamw", learning_rate=1e-2),
    "rmsprop": Gradient(optimizer="rmsprop", learning_rate=1e-2),
    "lion": Gradient(optimizer="lion", learning_rate=1e-3),
    "l2": Gradient(optimizer="adam", learning_rate=1e-2, l2=0.1),
    "noise": Gradient(optimizer="sgd", learning_rate=0.1, noise=0.1),
    "clipping": Gradient(optimizer=optax.chain(optax.clip_by_global_norm(0.1), optax.adam(1e-2))),
}
# By the number of hidden layers: widths and a batch, none of which fills its tiles.
SIZES = {
    "one": ((9,), 17),
    "two": ((33, 17), 7),
    "three": ((5, 12, 3), 65),
}
# Relative, of the loss after five steps: XLA on a CPU rounds no factor, and where gradients are
# divided by their size (`rmsprop`, `lion`) rounding may turn the sign of a step.
ERRORS: dict[Precision, float] = {"float32": 2e-5, "tf32": 2e-2, "bf16": 1e-1}
SEEDS = np.arange(3, dtype=np.uint64)


def sweep_of(method: str, size: str) -> Sweep:
    widths, batch = SIZES[size]
    organism = Quadrant(batch=batch, network=MLP(widths=widths))
    return Sweep(organism=organism, method=METHODS[method], num_steps=5, save_at=(1,))


@functools.cache
def by_xla(method: str, size: str) -> np.ndarray:
    return build_kernel(sweep_of(method, size), lanes=3, backend="xla")(SEEDS)["loss"]


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("precision", ERRORS)
def test_an_optimizer_by_fragments_is_that_of_xla_in_either_order_of_threads(
    method, size, precision, monkeypatch
):
    sweep = sweep_of(method, size).replace(precision=precision)
    assert CUDA.steps(signature_of(sweep)).kernel == "fragments"
    kernel = build_kernel(sweep, lanes=3, backend="cuda")
    found = kernel(SEEDS)
    np.testing.assert_allclose(found["loss"], by_xla(method, size), rtol=ERRORS[precision])
    monkeypatch.setenv("BASIN_JAX_BACKWARDS", "1")
    turned = kernel(SEEDS)
    assert all(np.array_equal(turned[key], values) for key, values in found.items())
