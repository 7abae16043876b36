"""Entropies of each pixel: pure functions, under the losses of `entropy` and `compound`."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from cracklab.losses.reduce import one_vs_rest


def cross_entropy(logits: Tensor, mask: Tensor, pos_weight: float | None = None) -> Tensor:
    """-[w y log p + (1 - y) log(1 - p)], or -sum_c w_c y_c log p_c for C > 1; w = `pos_weight`, 1 for channel 0.

    Args:
        logits: (B, C, H, W).
        mask: (B, C, H, W), 0 / 1.
        pos_weight: factor of the crack term (C > 1: of every class but the background, channel 0).

    Returns:
        (B, 1, H, W).
    """
    if logits.shape[1] == 1:
        weight = None if pos_weight is None else logits.new_tensor(pos_weight)
        return F.binary_cross_entropy_with_logits(logits, mask, pos_weight=weight, reduction="none")
    if pos_weight is not None:
        mask = torch.cat([mask[:, :1], mask[:, 1:] * pos_weight], 1)
    return -(mask * logits.log_softmax(1)).sum(1, keepdim=True)


def focal_margin_entropy(
    logits: Tensor,
    mask: Tensor,
    gamma: float = 0.0,
    margin: float = 0.0,
    asymmetric: bool = False,
    weights: tuple[float, float] = (1.0, 1.0),
) -> Tensor:
    """Cross entropy with a focal factor and a margin, of each pixel and channel by itself.

    symmetric: -(1-p)^gamma y log sigmoid(z - margin) - p^gamma (1-y) log sigmoid(-z - margin)
    asymmetric: -y log sigmoid(z - margin) - p^gamma (1-y) log(1-p)
    each half times its weight

    With s = z on the crack and -z off it, both are -(1-q)^gamma log sigmoid(s - margin), q = sigmoid(s); the
    asymmetric form has gamma only off the crack and the margin only on it. Paper 003, eq. 2, 3, 11, 12.

    Args:
        logits: binary logits, any shape; for several classes those of `one_vs_rest`.
        mask: 0 / 1, the same shape.
        gamma: focal exponent, at least 0.
        margin: how far beyond its boundary a logit is pushed.
        asymmetric: which of the two forms.
        weights: factors off the crack and on it.
    """
    values: Tensor = _FocalMargin.apply(logits, mask, gamma, margin, asymmetric, weights)
    return values


class _FocalMargin(torch.autograd.Function):
    """`focal_margin_entropy` with its gradient in closed form: one tensor is kept for backward, the slope.

    With u = -s and a = u + margin, a value is w f P, P = softplus(a), f = sigmoid(u)^gamma, and its slope in u is
    w f (gamma sigmoid(-u) P + sigmoid(a)). Works in place: elementwise operations spend most time on fresh memory.
    """

    @staticmethod
    def forward(
        ctx: Any,
        logits: Tensor,
        mask: Tensor,
        gamma: float,
        margin: float,
        asymmetric: bool,
        weights: tuple[float, float],
    ) -> Tensor:
        u = torch.addcmul(logits, logits, mask, value=-2)
        if asymmetric:
            u.add_(mask, alpha=margin)  # where this changes u, f is 1 and needs no u
        shifted = u if asymmetric or margin == 0 else u + margin
        entropy = F.softplus(shifted, threshold=50)
        slope = shifted.sigmoid() if ctx.needs_input_grad[0] else None
        if gamma > 0:
            if slope is not None:
                focus = (1 - slope if shifted is u else torch.sigmoid(-u)).mul_(entropy).mul_(gamma)
                if asymmetric:
                    focus.addcmul_(focus, mask, value=-1)
                slope.add_(focus)
            log_factor = u.sub_(entropy) if shifted is u else F.logsigmoid(u)
            if asymmetric:
                log_factor.addcmul_(log_factor, mask, value=-1)
            factor = log_factor.mul_(gamma).exp_()
            entropy.mul_(factor)
            slope = None if slope is None else slope.mul_(factor)
        if weights != (1, 1):
            weight = (mask * (weights[1] - weights[0])).add_(weights[0])
            entropy.mul_(weight)
            slope = None if slope is None else slope.mul_(weight)
        if slope is not None:
            ctx.save_for_backward(slope.addcmul_(slope, mask, value=-2))
        return entropy

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (slope,) = ctx.saved_tensors
        return (slope * gradient, *[None] * 5)


def focal_entropy(logits: Tensor, mask: Tensor, gamma: float, alpha: float | None = None) -> Tensor:
    """-(1 - p_t)^gamma log p_t, times alpha on the crack and 1 - alpha off it.

    Args:
        logits: (B, C, H, W).
        mask: (B, C, H, W), 0 / 1.
        gamma: focal exponent, at least 0.
        alpha: weight of the crack (C > 1: of every class but the background, channel 0); None: both weigh 1.

    Returns:
        (B, 1, H, W).
    """
    if logits.shape[1] == 1:
        return focal_margin_entropy(logits, mask, gamma, weights=(1, 1) if alpha is None else (1 - alpha, alpha))
    if alpha is not None:
        mask = torch.cat([mask[:, :1] * (1 - alpha), mask[:, 1:] * alpha], 1)
    return (mask * focal_margin_entropy(one_vs_rest(logits), torch.ones_like(mask), gamma)).sum(1, keepdim=True)
