"""Losses with control flow, derivatives, linear algebra and transforms inside."""

import jax
import jax.numpy as jnp
import optax
from batteries.losses.given import fitted, outputs, spread


def choice(p, t):
    return jax.lax.cond(t.y.sum() > 0, lambda: fitted(outputs(p, t), t), lambda: (p.w**2).sum())


def choice_among_three(p, t):
    branches = [jnp.tanh, jax.nn.relu, lambda h: h]
    return fitted(jax.lax.switch(t.labels[0], branches, outputs(p, t)), t)


def loop(p, t):
    return fitted(jax.lax.fori_loop(0, 4, lambda i, h: jnp.tanh(h @ p.u), outputs(p, t)), t)


def loop_until(p, t):
    scale = jax.lax.while_loop(lambda s: s > 1.0, lambda s: s / 2, jnp.abs(t.x).max())
    return fitted(scale * outputs(p, t), t)


def mapped_one_by_one(p, t):
    return ((jax.lax.map(lambda x: jnp.tanh(x @ p.w).sum(), t.x) - t.y) ** 2).mean()


def vmap_inside(p, t):
    return jax.vmap(lambda x, y: (jnp.tanh(x @ p.w).sum() - y) ** 2)(t.x, t.y).mean()


def jit_inside(p, t):
    return jax.jit(fitted)(outputs(p, t), t)


def remat(p, t):
    return fitted(jax.checkpoint(lambda x: jnp.tanh(x @ p.w) @ p.u)(t.x), t)


def own_reverse_rule(p, t):
    @jax.custom_vjp
    def spike(h):
        return jnp.where(h > 0, 1.0, 0.0)

    spike.defvjp(lambda h: (spike(h), h), lambda h, g: (g / (1 + jnp.abs(h)) ** 2,))
    return fitted(spike(outputs(p, t)) @ p.u, t)


def own_forward_rule(p, t):
    @jax.custom_jvp
    def safe_root(h):
        return jnp.sqrt(jnp.abs(h))

    safe_root.defjvps(lambda g, out, h: g * jnp.sign(h) / (2 * out + 0.1))
    return fitted(safe_root(outputs(p, t)), t)


def gradient_penalty(p, t):
    slopes = jax.vmap(jax.grad(lambda x: jnp.tanh(x @ p.w).sum()))(t.x)
    return ((jnp.linalg.norm(slopes, axis=1) - 1) ** 2).mean()


def adapted_once(p, t):
    slope = jax.grad(lambda w: ((t.x[:3] @ w - t.y[:3, None]) ** 2).mean())(p.w)
    return ((t.x[3:] @ (p.w - 0.1 * slope) - t.y[3:, None]) ** 2).mean()


def hessian_vector_product(p, t):
    def inner(w):
        return (jnp.tanh(t.x @ w) ** 2).mean()

    product = jax.jvp(jax.grad(inner), (p.w,), (jnp.ones((4, 3)),))[1]
    return inner(p.w) + 0.1 * (product**2).sum()


def physics_informed(p, t):
    def field(x):
        return (jnp.tanh(x * p.b) @ p.u[0]).sum()

    second = jax.vmap(jax.grad(jax.grad(field)))(t.x[:, 0])
    return ((second + jax.vmap(field)(t.x[:, 0])) ** 2).mean()


def jacobian_penalty(p, t):
    return (jax.jacfwd(lambda x: jnp.tanh(x @ p.w))(t.x[0]) ** 2).sum()


def jacobian_by_rows(p, t):
    return (jax.jacrev(lambda x: jnp.tanh(x @ p.w))(t.x[0]) ** 2).sum()


def trace_of_hessian(p, t):
    return fitted(outputs(p, t), t) + jnp.trace(jax.hessian(lambda b: (b**4).sum())(p.b))


def linear_system(p, t):
    return fitted(outputs(p, t) @ jnp.linalg.solve(spread(p), jnp.ones(3))[:, None], t)


def inverse(p, t):
    return fitted(outputs(p, t) @ jnp.linalg.inv(spread(p)), t)


def determinant(p, t):
    return fitted(outputs(p, t), t) + 0.1 * jnp.linalg.det(p.u) ** 2


def log_determinant(p, t):
    z = t.x[:, :3] @ p.u
    return (z**2).mean() / 2 - jnp.linalg.slogdet(p.u)[1] / 3


def covariance_likelihood(p, t):
    factor = jnp.linalg.cholesky(spread(p))
    z = jax.scipy.linalg.solve_triangular(factor, outputs(p, t).T, lower=True)
    return (z**2).mean() + jnp.log(jnp.diagonal(factor)).mean()


def gaussian_process(p, t):
    near = jnp.exp(-((outputs(p, t)[:, None] - outputs(p, t)[None]) ** 2).sum(2))
    factor = jax.scipy.linalg.cho_factor(near + 0.1 * jnp.eye(6))
    fit = t.y @ jax.scipy.linalg.cho_solve(factor, t.y)
    return fit / 2 + jnp.log(jnp.diagonal(factor[0])).sum()


def orthogonal_factor(p, t):
    return fitted(outputs(p, t) @ jnp.linalg.qr(p.u)[0], t)


def nuclear_norm(p, t):
    return fitted(outputs(p, t), t) + 0.1 * jnp.linalg.norm(p.u, "nuc")


def spectral_gap(p, t):
    return fitted(outputs(p, t), t) + jnp.linalg.eigvalsh(spread(p))[-1]


def matrix_exponential(p, t):
    return fitted(outputs(p, t) @ jax.scipy.linalg.expm(0.1 * p.u), t)


def least_squares(p, t):
    head = jnp.linalg.lstsq(jnp.tanh(outputs(p, t)), t.y)[0]
    return ((jnp.tanh(outputs(p, t)) @ head - t.y) ** 2).mean()


def matrix_power(p, t):
    return fitted(outputs(p, t) @ jnp.linalg.matrix_power(p.u, 3), t)


def products_of_many(p, t):
    return fitted(jnp.einsum("tx,xo,op,p->tp", t.x, p.w, p.u, p.b), t)


def spectrum(p, t):
    return (jnp.abs(jnp.fft.rfft(outputs(p, t)[:, 0] - t.y)) ** 2).mean()


def fourier_layer(p, t):
    waves = jnp.fft.fft(outputs(p, t), axis=0)
    return fitted(jnp.fft.ifft(waves * jnp.exp(-jnp.arange(6.0))[:, None], axis=0).real, t)


def complex_numbers(p, t):
    z = t.x @ (p.w + 1j * p.w[::-1])
    return fitted(jnp.abs(z) * jnp.cos(jnp.angle(z)), t)


def interpolated(p, t):
    return ((jnp.interp(t.x[:, 0], jnp.array([-1.0, 0.0, 1.0]), p.b) - t.y) ** 2).mean()


def places_in_a_table(p, t):
    place = jnp.searchsorted(jnp.array([-0.5, 0.5]), t.x[:, 0])
    return ((p.b[place] - t.y) ** 2).mean()


def polynomial(p, t):
    return ((jnp.polyval(p.b, t.x[:, 0]) - t.y) ** 2).mean()


def soft_histogram(p, t):
    centers = jnp.linspace(-1, 1, 5)
    counts = jax.nn.softmax(-((outputs(p, t)[:, :1] - centers) ** 2)).mean(0)
    return ((counts - 0.2) ** 2).sum()


def running_product(p, t):
    return ((jnp.cumprod(jax.nn.sigmoid(outputs(p, t)), 1) - 0.5) ** 2).mean()


def running_maximum(p, t):
    return ((jax.lax.cummax(outputs(p, t)[:, 0]) - t.y) ** 2).mean()


def running_log_sum(p, t):
    return ((jax.lax.cumlogsumexp(outputs(p, t)[:, 0]) - t.y) ** 2).mean()


def total_variation(p, t):
    return fitted(outputs(p, t), t) + 0.1 * jnp.abs(jnp.diff(outputs(p, t), axis=0)).mean()


def set_at_places(p, t):
    return fitted(outputs(p, t).at[jnp.arange(6), t.labels].set(0), t)


def added_at_places(p, t):
    return fitted(outputs(p, t).at[jnp.arange(6), t.labels].add(t.y), t)


def largest_at_places(p, t):
    return ((jnp.zeros(3).at[t.labels].max(outputs(p, t)[:, 0]) - 1) ** 2).mean()


def sinkhorn(p, t):
    costs = (outputs(p, t)[:, None, 0] - t.y[None]) ** 2
    kernel = jnp.exp(-costs / 0.5)

    def turn(i, scale):
        return 1 / (kernel @ (1 / (kernel.T @ scale)))

    scale = jax.lax.fori_loop(0, 5, turn, jnp.ones(6))
    return (scale[:, None] * kernel / (kernel.T @ scale) * costs).sum() / 6


def connectionist_temporal(p, t):
    log = jax.nn.log_softmax(outputs(p, t))

    def turn(alpha, row):
        alpha = jnp.logaddexp(alpha, jnp.append(-1e5, alpha[:-1])) + row
        return alpha, None

    start = jnp.array([0.0, -1e5, -1e5])
    return -jax.lax.scan(turn, start, log)[0][-1]


def connectionist_temporal_of_optax(p, t):
    blanks = jnp.zeros((1, 6))
    return optax.ctc_loss(outputs(p, t)[None], blanks, t.labels[None, :2] + 1, blanks[:, :2])[0]


def hidden_markov(p, t):
    moves, log = jax.nn.log_softmax(p.u), jax.nn.log_softmax(outputs(p, t))

    def turn(alpha, row):
        return jax.nn.logsumexp(alpha[:, None] + moves, axis=0) + row, None

    return -jax.nn.logsumexp(jax.lax.scan(turn, log[0], log[1:])[0])


def time_warping(p, t):
    costs = (outputs(p, t)[:, :1] - t.y[None]) ** 2

    def turn(above, row):
        best = jnp.minimum(above, jnp.append(1e5, above[:-1]))
        return row + best, None

    return jax.lax.scan(turn, costs[0], costs[1:])[0][-1]


def kalman_filter(p, t):
    def turn(carry, y):
        mean, spread = carry
        gain = spread / (spread + jnp.exp(p.b[0]))
        new = jnp.tanh(p.b[1]) * (mean + gain * (y - mean)), (1 - gain) * spread + jnp.exp(p.b[2])
        return new, (y - mean) ** 2

    return jax.lax.scan(turn, (0.0, 1.0), t.y)[1].mean()


def discounted_returns(p, t):
    def turn(later, now):
        later = now + 0.9 * later
        return later, later

    returns = jax.lax.scan(turn, 0.0, t.y, reverse=True)[1]
    return ((outputs(p, t)[:, 0] - returns) ** 2).mean()


def half_precision(p, t):
    out = t.x.astype(jnp.bfloat16) @ p.w.astype(jnp.bfloat16)
    return fitted(out.astype(jnp.float32) + p.b, t)


def printed(p, t):
    loss = fitted(outputs(p, t), t)
    jax.debug.callback(lambda value: None, loss)  # as jax.debug.print does
    return loss
