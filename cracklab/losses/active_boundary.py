"""Active boundary loss: where the prediction changes most, it is pulled towards the true outline. Wang 2022."""

from collections.abc import Mapping
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional as F

from cracklab.losses.base import Loss, build_loss, register, require
from cracklab.losses.morphology import dilate
from cracklab.losses.reduce import image_mean

NEIGHBOURS = [step for step in product((-1, 0, 1), repeat=2) if step != (0, 0)]
"""Offsets (down, right) of the eight neighbours."""

PIXELS_PER_BOUNDARY_PIXEL = 100
"""The predicted boundary is the 1 % of the pixels where the prediction changes most."""

SMOOTHING = 0.2
"""Label smoothing of the direction to the true outline."""

REACH_PX = 20.0
"""Distance from the true outline beyond which pixels weigh alike, px."""


def divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Return KL(p || q) = sum_c p_c (log p_c - log q_c) over axis 1.

    Example:
        >>> p, q = torch.tensor([[0.5, 0.5]]), torch.tensor([[0.25, 0.75]])
        >>> divergence(p.log(), q.log())  # 0.5 log 2 + 0.5 log 2/3
        tensor([0.1438])
    """
    return (log_p.exp() * (log_p - log_q)).sum(1)


def log_probabilities(logits: Tensor) -> Tensor:
    """Return log probabilities (B, C, H, W) of logits (B, C, H, W); if C = 1, (B, 2, H, W) of crack and background.

    Example:
        >>> log_probabilities(torch.zeros(1, 1, 1, 1)).flatten()
        tensor([-0.6931, -0.6931])
    """
    if logits.shape[1] == 1:
        return F.logsigmoid(torch.cat([logits, -logits], 1))
    return logits.log_softmax(1)


def predicted_boundary(log_p: Tensor, valid: Tensor) -> Tensor:
    """Return the 1 % of an image's pixels with the largest KL to the neighbours below and to the right, dilated 3 x 3.

    Args:
        log_p: (B, C, H, W).
        valid: (B, H, W) bool.

    Returns:
        (B, H, W) bool; empty if the prediction is constant.

    Example:
        >>> logits = torch.zeros(1, 1, 10, 20)
        >>> logits[..., 10:] = 4.0  # the prediction changes between columns 9 and 10
        >>> boundary = predicted_boundary(log_probabilities(logits), torch.ones(1, 10, 20, dtype=torch.bool))
        >>> boundary[0, 0].nonzero().flatten().tolist()
        [8, 9, 10]
    """
    change = torch.zeros_like(log_p[:, 0])
    both = valid[:, 1:] & valid[:, :-1]
    change[:, :-1] += divergence(log_p[:, :, :-1], log_p[:, :, 1:]) * both
    both = valid[:, :, 1:] & valid[:, :, :-1]
    change[:, :, :-1] += divergence(log_p[..., :-1], log_p[..., 1:]) * both
    count = valid.flatten(1).sum(1) // PIXELS_PER_BOUNDARY_PIXEL
    ranked = change.flatten(1).topk(max(1, change[0].numel() // PIXELS_PER_BOUNDARY_PIXEL), dim=1).values
    least = ranked.gather(1, (count - 1).clamp(min=0)[:, None])[..., None]
    largest = (change >= least) & (change > 0) & (count > 0)[:, None, None]
    return (dilate(largest[:, None].to(torch.uint8))[:, 0] > 0) & valid


def direction_loss(log_p: Tensor, neighbours: Tensor, boundary: Tensor, distance: Tensor, valid: Tensor) -> Tensor:
    """Return the cross entropy of the KLs to the eight neighbours against the neighbour nearest to the true outline.

    At each pixel of the predicted boundary, the logits are KL(neighbour || pixel) of the eight neighbours, the label is
    the neighbour of smallest M (smoothing 0.2), and the weight is min(M, 20) / 20. A neighbour outside of the image or
    of `valid` has KL 0 and is never the label.

    Args:
        log_p: (B, C, H, W).
        neighbours: `log_p` without gradient, from which the neighbours are taken.
        boundary: the predicted boundary, (B, H, W) bool.
        distance: M, px, (B, H, W).
        valid: (B, H, W) bool.

    Returns:
        (B, 1), the mean over an image's predicted boundary; 0 if that or the true outline is empty.

    Example:
        >>> log_p = log_probabilities(torch.zeros(1, 1, 3, 3))  # constant, so that all eight KLs are 0
        >>> boundary, distance = torch.zeros(1, 3, 3, dtype=torch.bool), torch.full((1, 3, 3), 10.0)
        >>> boundary[0, 1, 1], distance[0, 0, 0] = True, 0.0  # the true outline is at the upper left corner
        >>> direction_loss(log_p, log_p, boundary, distance, torch.ones_like(boundary))  # log 8 * 10 / 20
        tensor([[1.0397]])
    """
    distance = distance.masked_fill(~valid, torch.inf)
    has_outline = distance.flatten(1).amin(1) == 0
    near, inside, start, around = (
        _rows(F.pad(x, (1, 1, 1, 1))) for x in (distance, valid, boundary & has_outline[:, None, None], neighbours)
    )
    index = start.nonzero()[:, 0]
    centre = _rows(F.pad(log_p, (1, 1, 1, 1))).index_select(0, index)
    kls, distances = [], []
    for down, right in NEIGHBOURS:
        there = index + down * (distance.shape[-1] + 2) + right
        exists = inside.index_select(0, there)
        kls.append(divergence(around.index_select(0, there), centre) * exists)
        distances.append(near.index_select(0, there).masked_fill(~exists, torch.inf))
    label = torch.stack(distances, 1).argmin(1)
    values = F.cross_entropy(torch.stack(kls, 1), label, reduction="none", label_smoothing=SMOOTHING)
    values = values * near[index].clamp(max=REACH_PX) / REACH_PX
    image = index // (len(near) // len(log_p))
    total = values.new_zeros(len(log_p)).index_add(0, image, values)
    return (total / torch.bincount(image, minlength=len(log_p)).clamp(min=1))[:, None]


def _rows(values: Tensor) -> Tensor:
    """Return (B, H, W) as (B H W), or (B, C, H, W) as (B H W, C), where neighbours are a constant number of rows apart."""
    return values.flatten() if values.ndim == 3 else values.movedim(1, -1).flatten(0, 2)


@register("active_boundary")
class ActiveBoundary(Loss):
    """base + weight * `direction_loss`: the predicted boundary is pulled towards the true one, by its neighbours.

    The predicted boundary is computed at each step, see `predicted_boundary`; for several classes M is the distance to
    the nearest outline of any class. Wang 2022; Gül 2023, sec. 2.1.5.6.

    Args:
        weight: weight of the second term.
        base: name of a registered loss, with its defaults, for the first term.

    Example:
        >>> loss = ActiveBoundary(base="dice")
        >>> maps = {"boundary_distance": torch.zeros(1, 1, 2, 2)}
        >>> loss(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2), maps)  # constant: no predicted boundary, so dice 2/7
        tensor(0.2857)
    """

    def __init__(self, weight: float = 1.0, base: str = "combo") -> None:
        super().__init__()
        require(weight >= 0, "weight", weight, "a number of at least 0")
        self.weight, self.base = weight, build_loss(base)
        self.maps = tuple(dict.fromkeys((*self.base.maps, "boundary_distance")))

    def compute(self, logits: Tensor, mask: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """Return the sum; `terms` holds both parts."""
        base = self.base.compute(logits, mask, {name: maps[name] for name in self.base.maps}, valid)
        counted = torch.ones_like(logits[:, 0], dtype=torch.bool) if valid is None else valid[:, 0] > 0
        log_p = log_probabilities(logits)
        with torch.no_grad():
            boundary = predicted_boundary(log_p, counted)
        distance = maps["boundary_distance"].amin(1)
        direction = image_mean(direction_loss(log_p, log_p.detach(), boundary, distance, counted), valid)
        self.terms = {"base": base.detach(), "direction": direction.detach()}
        return base + self.weight * direction
