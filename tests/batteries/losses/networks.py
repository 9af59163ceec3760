"""Losses of networks: their layers, cells, look-ups and pools, written out."""

import jax
import jax.numpy as jnp
from batteries.losses.given import fitted, outputs
from flax import nnx
from jax.experimental.ode import odeint


def embedding(p, t):
    return fitted(p.u[t.labels] + outputs(p, t), t)


def sinusoidal_positions(p, t):
    angles = jnp.arange(6)[:, None] / 10.0 ** jnp.arange(2)
    return fitted((t.x + jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], 1)) @ p.w, t)


def rotary_positions(p, t):
    even, odd = outputs(p, t)[:, 0], outputs(p, t)[:, 1]
    angle = jnp.arange(6.0)
    turned = jnp.stack([even * jnp.cos(angle) - odd * jnp.sin(angle), odd + even], 1)
    return fitted(turned, t)


def attention(p, t):
    out = outputs(p, t)
    return fitted(jax.nn.softmax(out @ p.u @ out.T / 3**0.5) @ out, t)


def causal_attention(p, t):
    out = outputs(p, t)
    scores = jnp.where(jnp.tril(jnp.ones((6, 6), bool)), out @ p.u @ out.T, -jnp.inf)
    return fitted(jax.nn.softmax(scores) @ out, t)


def attention_of_heads(p, t):
    heads = jnp.einsum("td,hde->the", t.x[:, :3], jnp.stack([p.u, p.w[:3]]))
    weights = jax.nn.softmax(jnp.einsum("the,she->hts", heads, heads))
    return fitted(jnp.einsum("hts,she->te", weights, heads), t)


def attention_of_jax(p, t):
    heads = outputs(p, t)[None, :, None]
    return fitted(jax.nn.dot_product_attention(heads, heads, heads, is_causal=True)[0, :, 0], t)


def linear_attention(p, t):
    keys, values = jax.nn.elu(outputs(p, t)) + 1, outputs(p, t) @ p.u
    sums = jnp.cumsum(keys[:, :, None] * values[:, None], 0)
    whole = (keys * jnp.cumsum(keys, 0)).sum(1, keepdims=True)
    return fitted(jnp.einsum("tk,tkv->tv", keys, sums) / whole, t)


def layer_norm(p, t):
    out = outputs(p, t)
    return fitted(p.b + (out - out.mean(1, keepdims=True)) / jnp.sqrt(out.var(1)[:, None] + 1), t)


def batch_norm(p, t):
    out = outputs(p, t)
    return fitted(jax.nn.standardize(out, axis=0) * p.b + p.u[0], t)


def weight_norm(p, t):
    return fitted(t.x @ (p.w / jnp.linalg.norm(p.w, axis=0)) * p.b, t)


def spectral_norm(p, t):
    v = jnp.ones(3)
    for _ in range(3):
        v = p.w.T @ (p.w @ v)
        v = jax.lax.stop_gradient(v / jnp.linalg.norm(v))
    return fitted(t.x @ p.w / jnp.linalg.norm(p.w @ v) + p.b, t)


def residual_blocks(p, t):
    out = outputs(p, t)
    for _ in range(3):
        out = out + 0.1 * jax.nn.gelu(out @ p.u)
    return fitted(out, t)


def activations(p, t):
    out = outputs(p, t)
    kinds = (jax.nn.selu, jax.nn.mish, jax.nn.hard_swish, jax.nn.soft_sign, jax.nn.log_sigmoid)
    return fitted(jnp.stack([kind(out) for kind in kinds]).sum(0), t)


def fourier_features(p, t):
    angles = t.x @ jax.random.normal(jax.random.key(1), (4, 3))
    return fitted(jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], 1) @ jnp.tile(p.u, (2, 1)), t)


def mixture_of_experts(p, t):
    gates = jax.nn.softmax(outputs(p, t))
    experts = jnp.stack([p.w, -p.w, p.w @ p.u])
    return fitted(jnp.einsum("te,tx,exo->to", gates, t.x, experts), t)


def routed_experts(p, t):
    gates = jax.nn.softmax(outputs(p, t))
    weight, expert = jax.lax.top_k(gates, 2)
    return fitted((weight[..., None] * p.u[expert]).sum(1), t)


def graph_network(p, t):
    sources, targets = jnp.array([0, 1, 2, 3, 4, 5, 0, 2]), jnp.array([1, 2, 3, 4, 5, 0, 3, 5])
    messages = jnp.tanh(outputs(p, t)[sources] @ p.u)
    return fitted(jax.ops.segment_sum(messages, targets, num_segments=6), t)


def largest_of_segments(p, t):
    return (jax.ops.segment_max(outputs(p, t), t.labels, num_segments=3) ** 2).mean()


def convolution_of_sequence(p, t):
    kernel = jnp.stack([p.w, -p.w, p.w @ p.u])  # [place, in, out]
    out = jax.lax.conv_general_dilated(
        t.x[None], kernel, (1,), "SAME", dimension_numbers=("NWC", "WIO", "NWC")
    )
    return fitted(out[0], t)


def convolution_of_image(p, t):
    image = jax.lax.conv(t.x[None, None], p.u[None, None], (1, 1), "SAME")[0, 0]
    return fitted(jax.nn.relu(image) @ p.w, t)


def convolved_signal(p, t):
    return ((jnp.convolve(t.x[:, 0], p.b, mode="same") - t.y) ** 2).mean()


def max_pool(p, t):
    image = jax.nn.relu(outputs(p, t))[None, :, :, None]
    return ((nnx.max_pool(image, (2, 1), (2, 1)) - 1) ** 2).mean()


def average_pool(p, t):
    image = jax.nn.relu(outputs(p, t))[None, :, :, None]
    return ((nnx.avg_pool(image, (2, 1), (2, 1)) - 1) ** 2).mean()


def pool_by_reshape(p, t):
    return ((outputs(p, t).reshape(3, 2, 3).max(1) - 1) ** 2).mean()


def random_crop(p, t):
    first = jax.random.randint(t.key, (), 0, 3)
    rows = jax.lax.dynamic_slice(t.x, (first, 0), (4, 4))
    return ((rows @ p.w[:, 0] - jax.lax.dynamic_slice(t.y, (first,), (4,))) ** 2).mean()


def recurrent_network(p, t):
    def turn(h, x):
        return jnp.tanh(x @ p.w + h @ p.u), None

    last, _ = jax.lax.scan(turn, p.b, t.x)
    return ((last - t.y[:3]) ** 2).mean()


def recurrent_network_of_all_turns(p, t):
    def turn(h, x):
        h = jnp.tanh(x @ p.w + h @ p.u)
        return h, h

    return fitted(jax.lax.scan(turn, p.b, t.x)[1], t)


def recurrent_network_unrolled(p, t):
    h = p.b
    for x in t.x:
        h = jnp.tanh(x @ p.w + h @ p.u)
    return ((h - t.y[:3]) ** 2).mean()


def lstm(p, t):
    def turn(carry, x):
        h, c = carry
        z = x @ p.w + h @ p.u
        c = jax.nn.sigmoid(z) * c + jax.nn.sigmoid(-z) * jnp.tanh(z + p.b)
        h = jax.nn.sigmoid(z) * jnp.tanh(c)
        return (h, c), h

    return fitted(jax.lax.scan(turn, (jnp.zeros(3), jnp.zeros(3)), t.x)[1], t)


def gru(p, t):
    def turn(h, x):
        z = jax.nn.sigmoid(x @ p.w + h @ p.u)
        return (1 - z) * h + z * jnp.tanh(x @ p.w + z * h), None

    return ((jax.lax.scan(turn, p.b, t.x, reverse=True)[0] - t.y[:3]) ** 2).mean()


def state_space(p, t):
    gains = jnp.broadcast_to(jax.nn.sigmoid(p.b), (6, 3))

    def joined(a, b):
        return a[0] * b[0], b[0] * a[1] + b[1]

    return fitted(jax.lax.associative_scan(joined, (gains, t.x @ p.w))[1], t)


def differential_equation(p, t):
    def slope(h):
        return jnp.tanh(h @ p.u) - h

    def turn(i, h):
        middle = h + 0.05 * slope(h)
        return h + 0.1 * slope(middle)

    return fitted(jax.lax.fori_loop(0, 5, turn, outputs(p, t)), t)


def adaptive_differential_equation(p, t):
    ends = odeint(lambda h, time: jnp.tanh(h @ p.u) - h, outputs(p, t), jnp.array([0.0, 0.5]))
    return fitted(ends[1], t)


def equilibrium(p, t):
    inside = outputs(p, t)

    def move(h):
        return jnp.tanh(0.3 * h @ p.u + inside)

    def far(c):
        return jnp.abs(c[0] - c[1]).max() > 1e-3

    fixed = jax.lax.while_loop(far, lambda c: (move(c[0]), c[0]), (move(inside), inside))[0]
    return fitted(move(jax.lax.stop_gradient(fixed)), t)


def hypernetwork(p, t):
    weights = (outputs(p, t)[:, :, None] * p.u).reshape(6, 3, 3)
    return fitted(jax.vmap(lambda x, w: x[:3] @ w)(t.x, weights), t)


def cells_of_flax(p, t):
    cell = nnx.GRUCell(4, 3, rngs=nnx.Rngs(0))
    return fitted(cell(outputs(p, t), t.x)[1], t)
