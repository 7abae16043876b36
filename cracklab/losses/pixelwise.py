"""Entropies of single pixels as pure functions; the losses of `entropy` and `compound` use them."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from cracklab.losses.reduce import one_vs_rest


def cross_entropy(logits: Tensor, mask: Tensor, pos_weight: float | None = None) -> Tensor:
    """Return -[w y log p + (1 - y) log(1 - p)], or -sum_c w_c y_c log p_c if C > 1.

    w is `pos_weight`; if C > 1, w_0 of the background is 1 and all others are `pos_weight`.

    Args:
        logits: (B, C, H, W).
        mask: (B, C, H, W), 0 / 1.
        pos_weight: weight of the crack term; None: 1.

    Returns:
        (B, 1, H, W).

    Example:
        >>> cross_entropy(torch.zeros(1, 1, 1, 2), torch.tensor([[[[0.0, 1.0]]]]), pos_weight=3.0)  # log 2, 3 log 2
        tensor([[[[0.6931, 2.0794]]]])
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
    """Return the cross entropy of each pixel and channel with a focal factor and a margin.

    symmetric: -(1-p)^gamma y log sigmoid(z - margin) - p^gamma (1-y) log sigmoid(-z - margin)
    asymmetric: -y log sigmoid(z - margin) - p^gamma (1-y) log(1-p)
    with the term in y times the second weight, the term in 1-y times the first

    With s = z on the crack and -z off it, both are -(1-q)^gamma log sigmoid(s - margin), q = sigmoid(s). The
    asymmetric form applies gamma only off the crack and the margin only on it. Chen 2023, eq. 2, 3, 11, 12.

    Args:
        logits: binary logits, any shape; for several classes those of `one_vs_rest`.
        mask: 0 / 1, the same shape.
        gamma: focal exponent, at least 0.
        margin: distance from the decision boundary that a logit has to reach.
        asymmetric: which of the two forms.
        weights: factors off the crack and on it.

    Example:
        >>> z, y = torch.tensor([0.0, 1.0]), torch.tensor([0.0, 1.0])
        >>> focal_margin_entropy(z, y, gamma=2.0, margin=1.0, asymmetric=True)  # 0.5^2 log 2; -log sigmoid(1 - 1)
        tensor([0.1733, 0.6931])
    """
    values: Tensor = _FocalMargin.apply(logits, mask, gamma, margin, asymmetric, weights)
    return values


class _FocalMargin(torch.autograd.Function):
    """`focal_margin_entropy` with its gradient in closed form, which keeps one tensor for backward, the slope.

    With u = -s and a = u + margin, a value is w f P, where P = softplus(a) and f = sigmoid(u)^gamma. Its slope in u is
    w f (gamma sigmoid(-u) P + sigmoid(a)). The code works in place, since allocation dominates elementwise operations.
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
            u.add_(mask, alpha=margin)  # u changes on the crack only, where f is 1 and does not need it
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
    """Return -(1 - p_t)^gamma log p_t, times alpha on the crack and 1 - alpha off it.

    Args:
        logits: (B, C, H, W).
        mask: (B, C, H, W), 0 / 1.
        gamma: focal exponent, at least 0.
        alpha: weight of the crack (C > 1: of every class but the background, channel 0); None: both weigh 1.

    Returns:
        (B, 1, H, W).

    Example:
        >>> focal_entropy(torch.zeros(1, 1, 1, 2), torch.tensor([[[[0.0, 1.0]]]]), gamma=2.0, alpha=0.75)  # log 2 / 16, 3 log 2 / 16
        tensor([[[[0.0433, 0.1300]]]])
    """
    if logits.shape[1] == 1:
        return focal_margin_entropy(logits, mask, gamma, weights=(1, 1) if alpha is None else (1 - alpha, alpha))
    if alpha is not None:
        mask = torch.cat([mask[:, :1] * (1 - alpha), mask[:, 1:] * alpha], 1)
    return (mask * focal_margin_entropy(one_vs_rest(logits), torch.ones_like(mask), gamma)).sum(1, keepdim=True)
