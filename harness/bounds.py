"""Lower bounds on mutual information as pure functions of critic scores, shared by objectives and evaluators of every track.

A critic gives a pair (x, y) a score u. P is the joint distribution of the pairs, Q the product of their marginals, and
r = p(x, y) / p(x)p(y) their density ratio. A bound is `bound(positive, negative)`, a scalar to be maximised; the loss is -bound.

- positive [N, P]: scores of joint pairs. A row holds those that share their negatives.
- negative [N, K]: scores of marginal pairs for the same rows; exactly those that are meant, so no pair of a sample with itself.

Only `infonce` looks at the rows; every other bound takes a mean over all positives and one over all negatives, in any shape.
Half precision is computed in float32 and gives a float32 bound. In the docstrings

- "optimum" is the score of the best possible critic, and "cap" what no score can exceed;
- "unbiased" means that for a given critic the expected value is the bound itself, however small the batch;
- "overflows" means that an exp(u) stands in the formula as it is: infinite in float32 from u = 89 on.

The f-divergence bounds are E_P[T] - E_Q[f*(T)] with T = g(u) (Nowozin et al. 2016, Table 2; its supplement for Neyman's χ²).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor


def jsd_loss(positive: Tensor, negative: Tensor) -> Tensor:
    """Loss of the Jensen-Shannon estimator: ½ E[softplus(-positive)] + ½ E[softplus(negative)].

    With as many positives as negatives this is the binary cross-entropy of Deep Graph Infomax (Veličković et al. 2019, eq. 1)
    averaged over both. ln 2 when the critic knows nothing; 0 is its infimum.

    :param positive: scores of joint pairs, any shape.
    :param negative: scores of marginal pairs, any shape.
    """
    return 0.5 * (F.softplus(-positive).mean() + F.softplus(negative).mean())


def dv(positive: Tensor, negative: Tensor) -> Tensor:
    """Donsker-Varadhan bound on KL(P‖Q), the mutual information, in nats: E_P[u] - log E_Q[exp(u)].

    One log-mean-exp over all N·K negatives. Adding a constant to every score changes nothing. Optimum: u = log r + any constant.
    No cap. Biased upwards, and its gradient biased, by the logarithm of a batch mean: on few negatives its expectation is no lower
    bound. Donsker and Varadhan 1983; Belghazi et al. 2018 (MINE).
    """
    positive, negative = _at_least_float32(positive, negative)
    return positive.mean() - log_mean_exp(negative)


def infonce(positive: Tensor, negative: Tensor) -> Tensor:
    """InfoNCE bound on the mutual information in nats: log(1 + K) + E_P[log softmax of u among itself and its row's K negatives].

    Cap: log(1 + K), however large the information is; biased downwards near it. Adding a constant to a row changes nothing.
    Optimum: u = log r + any constant per row. The K + 1 logits of each positive are never laid out: memory is that of the scores.
    Van den Oord et al. 2018; Hjelm et al. 2019, eq. 5 (there without log(1 + K)).

    :param positive: [N, P] scores of joint pairs; those of a row are never one another's negatives.
    :param negative: [N, K] scores of marginal pairs; those of row n are the candidates of every positive of row n.
    """
    positive, negative = _at_least_float32(positive, negative)
    rivals = negative.logsumexp(-1, keepdim=True)
    return math.log1p(negative.shape[-1]) - F.softplus(rivals - positive).mean()


def jsd(positive: Tensor, negative: Tensor) -> Tensor:
    """Jensen-Shannon bound in nats: E_P[log 2 - softplus(-u)] + E_Q[log 2 - softplus(u)], which is 2 log 2 - 2 `jsd_loss`.

    Bounds twice the Jensen-Shannon divergence of P and Q, so it says how far apart they are but not how many nats of information
    there are. Unbiased; cap: 2 log 2. 0 for a critic that knows nothing. Optimum: u = log r.
    Hjelm et al. 2019, eq. 4; Nowozin et al. 2016.
    """
    return 2 * math.log(2) + gan(positive, negative)


def gan(positive: Tensor, negative: Tensor) -> Tensor:
    """Value of the original GAN in nats: E_P[log σ(u)] + E_Q[log(1 - σ(u))], which is -2 `jsd_loss`.

    Bounds twice the Jensen-Shannon divergence less log 4, and differs from `jsd` by that constant only: -log 4 for a critic that
    knows nothing. Unbiased; cap: 0. Optimum: u = log r. Goodfellow et al. 2014; Nowozin et al. 2016.
    """
    return -2 * jsd_loss(*_at_least_float32(positive, negative))


def kl(positive: Tensor, negative: Tensor) -> Tensor:
    """Bound on KL(P‖Q), the mutual information, in nats: E_P[u] - E_Q[exp(u - 1)]. Known as NWJ, MINE-f and f-GAN's KL.

    Never above `dv` of the same scores. Unbiased, its variance grows as exp of the information; no cap. Optimum: u = 1 + log r.
    Overflows to -inf through large negatives. Nguyen, Wainwright and Jordan 2010; Nowozin et al. 2016; Belghazi et al. 2018.
    """
    positive, negative = _at_least_float32(positive, negative)
    return positive.mean() - torch.exp(negative - 1).mean()


def reverse_kl(positive: Tensor, negative: Tensor) -> Tensor:
    """Bound on KL(Q‖P) in nats: 1 - E_P[exp(-u)] - E_Q[u].

    T = -exp(-u), f*(T) = -1 - log(-T). Unbiased; no cap. Optimum: u = log r.
    Overflows to -inf through very negative positives. Nowozin et al. 2016.
    """
    positive, negative = _at_least_float32(positive, negative)
    return 1 - torch.exp(-positive).mean() - negative.mean()


def squared_hellinger(positive: Tensor, negative: Tensor) -> Tensor:
    """Bound on the squared Hellinger distance E_Q[(√r - 1)²], which has no unit: 2 - E_P[exp(-u)] - E_Q[exp(u)].

    T = 1 - exp(-u), f*(T) = T / (1 - T). Unbiased; cap: 2. Optimum: u = ½ log r.
    Overflows to -inf through very negative positives and large negatives. Nowozin et al. 2016.
    """
    positive, negative = _at_least_float32(positive, negative)
    return 2 - torch.exp(-positive).mean() - torch.exp(negative).mean()


def pearson_chi2(positive: Tensor, negative: Tensor) -> Tensor:
    """Bound on Pearson's χ²(P‖Q) = E_Q[(r - 1)²], which has no unit: E_P[u] - E_Q[u²/4 + u].

    T = u. Unbiased; no cap; log(1 + χ²) is never below the mutual information. Optimum: u = 2(r - 1).
    Nowozin et al. 2016. The χ² of Deep InfoMax's published code (u² and -½(|u| + 1)²) is another formula and no bound.
    """
    positive, negative = _at_least_float32(positive, negative)
    return positive.mean() - (negative.square() / 4 + negative).mean()


def neyman_chi2(positive: Tensor, negative: Tensor) -> Tensor:
    """Bound on Neyman's χ²(P‖Q) = E_P[(1/r - 1)²], which has no unit: 2 E_Q[exp(u/2)] - E_P[exp(u)] - 1.

    T = 1 - exp(u), f*(T) = 2 - 2√(1 - T). Alone among the bounds it wants *low* scores for joint pairs. Unbiased; no cap.
    Optimum: u = -2 log r. Overflows through large scores: positives to -inf, negatives to +inf, both to NaN.
    Nowozin et al. 2016, supplement.
    """
    positive, negative = _at_least_float32(positive, negative)
    return 2 * torch.exp(negative / 2).mean() - torch.exp(positive).mean() - 1


def js_information(positive: Tensor, negative: Tensor) -> Tensor:
    """Bound on the mutual information in nats read from a critic of log r: 1 + E_P[u] - E_Q[exp(u)], which is `kl` of u + 1.

    For a critic trained by `jsd` or `gan`, whose optimum u = log r is then tight here too. Unbiased, with the variance of `kl`: one
    large negative makes it very low, so report medians; no cap. Overflows to -inf through large negatives.
    Poole et al. 2019 (their JS estimator). The code of Song and Ermon 2020 takes `kl` of u itself: lower by 1/e at the optimum.
    """
    positive, negative = _at_least_float32(positive, negative)
    return kl(positive + 1, negative + 1)


def smile(positive: Tensor, negative: Tensor, clip: float) -> Tensor:
    """Estimate of the mutual information in nats from a critic of log r: E_P[u] - log E_Q[exp(min(max(u, -clip), clip))].

    `dv` for clip = ∞. A smaller `clip` lowers the variance, which no longer grows with the information, and raises the value: *no
    bound*, it exceeds the information where r exceeds exp(clip) under P. For a critic trained by `jsd`. Song and Ermon 2020,
    eq. 17.

    :param clip: τ, above 0.
    """
    return dv(positive, negative.clamp(-clip, clip))


LOWEST_LOG_AVERAGE = math.log(1e-4)
"""What the denominator of `mine` cannot fall below (Song and Ermon 2020, code)."""


def mine(positive: Tensor, negative: Tensor, log_average: Tensor) -> Tensor:
    """To be maximised for MINE: E_P[u] - E_Q[exp(u)] / a, of which only the gradient means something; `dv` is the value to report.

    The gradient of `dv` on a batch is biased, since it divides by that batch's own E_Q[exp(u)]. Here the denominator a is a moving
    average over batches, a constant to the gradient. Optimum: u = log r + any constant. Belghazi et al. 2018, section 3.2.

    :param log_average: [] log a, as `moved_log_average` gives it with this batch counted in.
    """
    positive, negative = _at_least_float32(positive, negative)
    log_denominator = log_average.detach().clamp_min(LOWEST_LOG_AVERAGE)
    return positive.mean() - torch.exp(negative - log_denominator).mean()


@torch.no_grad()
def moved_log_average(log_average: Tensor, negative: Tensor, rate: float) -> Tensor:
    """The logarithm of rate * a + (1 - rate) * E_Q[exp(u)], one batch further; computed without leaving logarithms.

    :param log_average: [] log a so far; 0 before the first batch.
    :param rate: the share of the past, at least 0 and below 1; 0.9 with Song and Ermon (2020).
    """
    _, negative = _at_least_float32(negative, negative)
    batch = log_mean_exp(negative)
    past = log_average + math.log(rate) if rate > 0 else torch.full_like(log_average, -math.inf)
    return torch.logaddexp(past.to(batch), batch + math.log1p(-rate))


BOUNDS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "dv": dv,
    "infonce": infonce,
    "jsd": jsd,
    "gan": gan,
    "kl": kl,
    "reverse-kl": reverse_kl,
    "squared-hellinger": squared_hellinger,
    "pearson-chi2": pearson_chi2,
    "neyman-chi2": neyman_chi2,
}


def log_mean_exp(scores: Tensor) -> Tensor:
    """Log of the mean of exp(scores) over all of them, any shape; a scalar."""
    return scores.flatten().logsumexp(0) - math.log(scores.numel())


def off_diagonal(scores: Tensor) -> Tensor:
    """Scores of every sample with all *other* samples of its batch, [N, N, ...] -> [N, (N-1)·...]: the diagonal is left out.

    Row n is scores[n, m] for m = 0, 1, ... without m = n, flattened. No mask, and one copy of contiguous scores: without
    its first entry, the flat N × N matrix is N - 1 rows of N + 1 entries whose last column is the rest of the diagonal.

    :raises ValueError: the first two dimensions differ, or N < 2.
    """
    if scores.dim() < 2 or scores.shape[0] != scores.shape[1]:
        raise ValueError(f"Scores must be [N, N, ...], every sample of a batch with every sample; these are {list(scores.shape)}.")
    n = scores.shape[0]
    if n < 2:
        raise ValueError(f"A batch of {n} has no negatives: give two samples or more.")
    return scores.flatten(0, 1)[1:].view(n - 1, n + 1, *scores.shape[2:])[:, :-1].reshape(n, -1)


def _at_least_float32(positive: Tensor, negative: Tensor) -> tuple[Tensor, Tensor]:
    return (
        positive.to(torch.promote_types(positive.dtype, torch.float32)),
        negative.to(torch.promote_types(negative.dtype, torch.float32)),
    )
