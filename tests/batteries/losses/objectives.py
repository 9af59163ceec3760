"""Losses of a layer's outputs: what is fitted, ranked, sampled and compared."""

import jax
import jax.numpy as jnp
import optax
from batteries.losses.given import fitted, outputs


def squared_error(p, t):
    return ((outputs(p, t)[:, 0] - t.y) ** 2).mean()


def huber(p, t):
    return optax.huber_loss(outputs(p, t)[:, 0], t.y).mean()


def quantile(p, t):
    error = t.y[:, None] - outputs(p, t)
    levels = jnp.array([0.1, 0.5, 0.9])
    return jnp.maximum(levels * error, (levels - 1) * error).mean()


def cross_entropy(p, t):
    return optax.softmax_cross_entropy(outputs(p, t), jax.nn.one_hot(t.labels, 3)).mean()


def cross_entropy_of_integer_labels(p, t):
    return optax.softmax_cross_entropy_with_integer_labels(outputs(p, t), t.labels).mean()


def cross_entropy_by_look_up(p, t):
    return -jax.nn.log_softmax(outputs(p, t))[jnp.arange(6), t.labels].mean()


def cross_entropy_of_two_classes(p, t):
    return optax.sigmoid_binary_cross_entropy(outputs(p, t)[:, 0], t.y > 0).mean()


def focal(p, t):
    labels = jax.nn.one_hot(t.labels, 3)
    return optax.sigmoid_focal_loss(outputs(p, t), labels, alpha=0.25, gamma=2.0).mean()


def hinge(p, t):
    return optax.hinge_loss(outputs(p, t)[:, 0], jnp.sign(t.y)).mean()


def hinge_of_classes(p, t):
    out, right = outputs(p, t), jax.nn.one_hot(t.labels, 3)
    others = jnp.where(right > 0, -jnp.inf, out).max(1)
    return jax.nn.relu(1 + others - (out * right).sum(1)).mean()


def sparsemax(p, t):
    return optax.losses.multiclass_sparsemax_loss(outputs(p, t), t.labels).mean()


def dice(p, t):
    on, true = jax.nn.softmax(outputs(p, t)), jax.nn.one_hot(t.labels, 3)
    return (1 - (2 * (on * true).sum(0) + 1) / (on.sum(0) + true.sum(0) + 1)).mean()


def kl_divergence(p, t):
    targets = jax.nn.softmax(2 * jax.nn.one_hot(t.labels, 3))
    return optax.kl_divergence(jax.nn.log_softmax(outputs(p, t)), targets).mean()


def cosine_distance(p, t):
    return optax.cosine_distance(outputs(p, t), t.x[:, :3], epsilon=1e-6).mean()


def contrastive_pairs(p, t):
    out = outputs(p, t)
    squared = ((out[:3] - out[3:]) ** 2).sum(1)
    apart = jax.nn.relu(1 - jnp.sqrt(squared + 1e-6)) ** 2
    return jnp.where(t.labels[:3] == t.labels[3:], squared, apart).mean()


def info_nce(p, t):
    out = outputs(p, t)
    out /= jnp.linalg.norm(out, axis=1, keepdims=True)
    return optax.softmax_cross_entropy_with_integer_labels(
        out[:3] @ out[3:].T / 0.5, jnp.arange(3)
    ).mean()


def triplet(p, t):
    out = outputs(p, t)
    return optax.losses.triplet_margin_loss(out[:2], out[2:4], out[4:]).mean()


def hard_negatives(p, t):
    out = outputs(p, t)
    far = ((out[:, None] - out[None]) ** 2).sum(2)
    same = t.labels[:, None] == t.labels[None]
    return jax.nn.softplus((far * same).max(1) - jnp.where(same, jnp.inf, far).min(1)).mean()


def barlow_twins(p, t):
    out = outputs(p, t)
    across = jnp.corrcoef(out[:3].T, out[3:].T)[:3, 3:]
    return ((across - jnp.eye(3)) ** 2).mean()


def softmax_ranking(p, t):
    return optax.losses.ranking_softmax_loss(outputs(p, t)[:, 0], t.y).mean()


def pairwise_ranking(p, t):
    score = outputs(p, t)[:, 0]
    i, j = jnp.triu_indices(6, 1)
    return jax.nn.softplus(-jnp.sign(t.y[i] - t.y[j]) * (score[i] - score[j])).mean()


def soft_ranks(p, t):
    score = outputs(p, t)[:, 0]
    ranks = jax.nn.sigmoid(score[:, None] - score[None]).sum(1)
    return ((ranks - jnp.argsort(jnp.argsort(t.y))) ** 2).mean()


def earth_movers_distance(p, t):
    on, true = jax.nn.softmax(outputs(p, t)), jax.nn.one_hot(t.labels, 3)
    return (jnp.cumsum(on - true, 1) ** 2).mean()


def wasserstein_by_sorting(p, t):
    return jnp.abs(jnp.sort(outputs(p, t)[:, 0]) - jnp.sort(t.y)).mean()


def kernel_discrepancy(p, t):
    out, target = outputs(p, t)[:, :1], t.y[:, None]

    def near(a, b):
        return jnp.exp(-((a[:, None] - b[None]) ** 2).sum(2)).mean()

    return near(out, out) - 2 * near(out, target)


def largest_losses(p, t):
    return jax.lax.top_k((outputs(p, t)[:, 0] - t.y) ** 2, 3)[0].mean()


def median_error(p, t):
    return jnp.median(jnp.abs(outputs(p, t)[:, 0] - t.y))


def masked_mean(p, t):
    kept = t.labels > 0
    return jnp.where(kept, (outputs(p, t)[:, 0] - t.y) ** 2, 0).sum() / kept.sum()


def normal_likelihood(p, t):
    out = outputs(p, t)
    return -jax.scipy.stats.norm.logpdf(t.y, out[:, 0], jax.nn.softplus(out[:, 1]) + 0.1).mean()


def censored_likelihood(p, t):
    error = t.y - outputs(p, t)[:, 0]
    normal = jax.scipy.stats.norm
    return -jnp.where(t.labels > 0, normal.logpdf(error), normal.logcdf(-error)).mean()


def poisson_likelihood(p, t):
    rate = outputs(p, t)[:, 0]
    return (jnp.exp(rate) - t.labels * rate).mean()


def negative_binomial_likelihood(p, t):
    r, mean = jax.nn.softplus(outputs(p, t)[:, :2].T) + 0.1
    ways = jax.scipy.special.gammaln(t.labels + r) - jax.scipy.special.gammaln(r)
    return -(ways + r * jnp.log(r / (r + mean)) + t.labels * jnp.log(mean / (r + mean))).mean()


def mixture_density(p, t):
    weights = jax.nn.log_softmax(outputs(p, t) @ p.u)
    each = -((t.y[:, None] - outputs(p, t)) ** 2) / 2
    return -jax.nn.logsumexp(weights + each, axis=1).mean()


def evidence_lower_bound(p, t):
    mean, log_scale = outputs(p, t)[:, :1], 0.1 * outputs(p, t)[:, 1:2]
    z = mean + jnp.exp(log_scale) * jax.random.normal(t.key, mean.shape)
    divergence = (jnp.exp(2 * log_scale) + mean**2 - 1 - 2 * log_scale).mean() / 2
    return ((z * p.b - t.x[:, :3]) ** 2).mean() + 0.1 * divergence


def denoising_score_matching(p, t):
    noise = jax.random.normal(t.key, (6, 4))
    return (((t.x + 0.5 * noise) @ p.w + p.b - noise[:, :3]) ** 2).mean()


def diffusion(p, t):
    time_key, noise_key = jax.random.split(t.key)
    time, noise = jax.random.uniform(time_key, (6, 1)), jax.random.normal(noise_key, (6, 4))
    noised = jnp.cos(time) * t.x + jnp.sin(time) * noise
    return ((noised @ p.w + time * p.b - noise[:, :3]) ** 2).mean()


def gumbel_softmax(p, t):
    drawn = jax.nn.softmax((outputs(p, t) + jax.random.gumbel(t.key, (6, 3))) / 0.5)
    return fitted(drawn @ p.u, t)


def straight_through(p, t):
    soft = jax.nn.softmax(outputs(p, t))
    hard = jax.nn.one_hot(jnp.argmax(soft, 1), 3)
    return fitted((soft + jax.lax.stop_gradient(hard - soft)) @ p.u, t)


def vector_quantization(p, t):
    out = outputs(p, t)
    code = p.u[jnp.argmin(((out[:, None] - p.u) ** 2).sum(2), 1)]
    near = ((jax.lax.stop_gradient(out) - code) ** 2).mean()
    return near + fitted(out + jax.lax.stop_gradient(code - out), t)


def policy_gradient(p, t):
    log = jax.nn.log_softmax(outputs(p, t))
    action = jax.random.categorical(t.key, jax.lax.stop_gradient(log))
    reward = (action == t.labels) - 0.3
    return -(jnp.take_along_axis(log, action[:, None], 1)[:, 0] * reward).mean()


def clipped_policy_gradient(p, t):
    log = jax.nn.log_softmax(outputs(p, t))[jnp.arange(6), t.labels]
    ratio = jnp.exp(log - jnp.log(1 / 3))
    return -jnp.minimum(ratio * t.y, jnp.clip(ratio, 0.8, 1.2) * t.y).mean()


def temporal_difference(p, t):
    q = outputs(p, t)
    target = t.y[:-1] + 0.9 * jax.lax.stop_gradient(q[1:].max(1))
    return ((q[jnp.arange(5), t.labels[:-1]] - target) ** 2).mean()


def generator_and_critic(p, t):
    made = jnp.tanh(jax.random.normal(t.key, (6, 3)) @ p.u)

    def score(x, b):
        return jnp.tanh(x) @ b

    fixed = jax.lax.stop_gradient
    critic = jax.nn.softplus(score(fixed(made), p.b)) + jax.nn.softplus(-score(t.x[:, :3], p.b))
    return critic.mean() + jax.nn.softplus(-score(made, fixed(p.b))).mean()


def mixup(p, t):
    share = jax.random.beta(t.key, 2.0, 2.0, (6, 1))
    mixed = share * t.x + (1 - share) * t.x[::-1]
    return ((mixed @ p.w[:, 0] - (share[:, 0] * t.y + (1 - share[:, 0]) * t.y[::-1])) ** 2).mean()


def shuffled_examples(p, t):
    order = jax.random.permutation(t.key, 6)
    return ((outputs(p, t)[order, 0] - t.y[order]) ** 2)[:4].mean()


def subset_of_examples(p, t):
    chosen = jax.random.choice(t.key, 6, (3,))
    return ((t.x[chosen] @ p.w[:, 0] - t.y[chosen]) ** 2).mean()


def dropout(p, t):
    kept = jax.random.bernoulli(t.key, 0.8, (6, 3))
    return fitted(jnp.where(kept, jax.nn.relu(outputs(p, t)) / 0.8, 0) @ p.u, t)


def gamma_noise(p, t):
    return fitted(outputs(p, t) * jax.random.gamma(t.key, 4.0, (6, 3)) / 4, t)


def truncated_noise(p, t):
    return fitted(outputs(p, t) + 0.1 * jax.random.truncated_normal(t.key, -2, 2, (6, 3)), t)
