"""The same work by PyTorch: one network after the other, and many at once by torch.func.

Imported only where PyTorch is installed.
"""

import importlib
import os
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from basin_jax.bench.cases import INPUTS, Case
from basin_jax.bench.peers import SEED_COUNTS, SIDE
from basin_jax.bench.timing import TRIAL_SECONDS, Prepared, fastest
from basin_jax.organisms.audit import Audit


torch: Any = importlib.import_module("torch")
functional: Any = importlib.import_module("torch.nn.functional")

# Steps of a call of the loop: enough for Python's timer to cost nothing.
LOOP_STEPS = 20


def torch_loop(case: Case) -> list[Prepared]:
    """Prepare the training of one module, with one thread and with a thread a core."""
    network = _network(case)
    optimizer = _optimizer(case, network.parameters())
    sample, loss = _sampler(case), _loss(case)

    def step() -> None:
        optimizer.zero_grad()
        batch = sample()
        loss(network(batch), batch).backward()
        optimizer.step()

    return _by_threads([(LOOP_STEPS, lambda: [step() for _ in range(LOOP_STEPS)], "")])


def torch_vmap(case: Case) -> list[Prepared]:
    """Prepare the training of the best number of stacked modules, likewise."""
    return _by_threads([_stacked(case, models) for models in SEED_COUNTS])


def torch_vmap_on_gpu(
    case: Case, counts: tuple[int, ...], *, tf32: bool, device: str = "cuda"
) -> Prepared:
    """Prepare the training of the best number of stacked modules on a GPU.

    Args:
        case: the work.
        counts: the numbers of modules that are tried.
        tf32: whether products may round their factors to TF32.
        device: where PyTorch trains.
    """
    torch.backends.cuda.matmul.allow_tf32 = tf32
    candidates = []
    for models, step, _ in (_stacked(case, models, device) for models in counts):

        def call(step: Callable[[], Any] = step) -> None:
            for _ in range(LOOP_STEPS):
                step()
            if device == "cuda":
                torch.cuda.synchronize()

        call()  # warm
        candidates.append(Prepared(work=models * LOOP_STEPS, call=call, note=f"{models:,} seeds"))
    return fastest(candidates, TRIAL_SECONDS)


def _stacked(case: Case, models: int, device: str = "cpu") -> tuple[int, Callable[[], Any], str]:
    skeleton = _network(case).to("meta")
    networks = [_network(case) for _ in range(models)]
    params, buffers = torch.func.stack_module_state(networks)
    params = {name: p.detach().to(device).requires_grad_() for name, p in params.items()}
    optimizer = _optimizer(case, params.values())
    sample, loss = _sampler(case, models, device=device), _loss(case, device)

    def loss_of(params: Any, buffers: Any, batch: Any) -> Any:
        return loss(torch.func.functional_call(skeleton, (params, buffers), (batch,)), batch)

    dims = (0, 0, None if case.task == "audit" else 0)
    gradient = torch.func.vmap(torch.func.grad(loss_of), in_dims=dims)

    def step() -> None:
        detached = {name: values.detach() for name, values in params.items()}
        gradients = gradient(detached, buffers, sample())
        for name, values in params.items():
            values.grad = gradients[name]
        optimizer.step()

    return models, step, f"{models} seeds, "


def _network(case: Case) -> Any:
    layers = [torch.nn.Linear(*sizes) for sizes in case.layers]
    between = [module for layer in layers[:-1] for module in (layer, torch.nn.ReLU())]
    return torch.nn.Sequential(*between, layers[-1])


def _optimizer(case: Case, params: Any) -> Any:
    factory = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[case.optimizer]
    return factory(params, lr=case.learning_rate)


def _sampler(case: Case, *models: int, device: str = "cpu") -> Callable[[], Any]:
    if case.task == "audit":
        inputs, _ = _full_batch(device)
        return lambda: inputs
    return lambda: torch.randn(*models, case.batch, INPUTS, device=device)


def _full_batch(device: str) -> tuple[Any, Any]:
    inputs, rewards = Audit().sample(jax.random.key(0))
    return tuple(torch.tensor(np.asarray(x), device=device) for x in (inputs, rewards))


def _loss(case: Case, device: str = "cpu") -> Callable[[Any, Any], Any]:
    if case.task == "audit":
        rewards = _full_batch(device)[1]
        return lambda logits, x: -(torch.softmax(logits, -1) * rewards).sum(-1).mean()
    return lambda logits, x: functional.cross_entropy(logits, (x[:, 0] * x[:, 1] > 0).long())


def _by_threads(candidates: list[tuple[int, Callable[[], Any], str]]) -> list[Prepared]:
    """Return the fastest candidate for each number of threads: either may be the faster."""
    best = []
    for threads in sorted({1, os.cpu_count() or 1}):
        prepared = []
        for work, step, note in candidates:
            call = _with_threads(threads, step)
            call()  # warm
            plural = "s" * (threads > 1)
            prepared.append(Prepared(work=work, call=call, note=f"{note}{threads} thread{plural}"))
        best.append(fastest(prepared, TRIAL_SECONDS))
    return best


def _with_threads(threads: int, step: Callable[[], Any]) -> Callable[[], Any]:
    def call() -> None:
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        step()

    return call


def torch_ceiling() -> Prepared:
    """Prepare one large matrix product on all cores."""
    factor = torch.ones(SIDE, SIDE)
    call = _with_threads(os.cpu_count() or 1, lambda: factor @ factor)
    return Prepared(work=2 * SIDE**3, call=call)
