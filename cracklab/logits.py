"""Probabilities of logits, and the mask that probabilities predict."""

import torch
from torch import Tensor


def probabilities(logits: Tensor) -> Tensor:
    """Return the probabilities of logits (B, C, H, W): sigmoid if C = 1, else softmax over the classes.

    Example:
        >>> probabilities(torch.zeros(1, 1, 1, 2))
        tensor([[[[0.5000, 0.5000]]]])
    """
    return logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(1)


def predicted_mask(probabilities: Tensor, threshold: float) -> Tensor:
    """Return the predicted mask: p > threshold for one class, the most probable class for several.

    Args:
        probabilities: (B, C, H, W), any floating dtype.
        threshold: probability above which a pixel is crack; ignored for several classes.

    Returns:
        (B, C, H, W) bool.

    Example:
        >>> predicted_mask(torch.tensor([[[[0.2, 0.7]]]]), threshold=0.5)
        tensor([[[[False,  True]]]])
    """
    if probabilities.shape[1] == 1:
        return probabilities.float() > threshold
    best = probabilities.argmax(1, keepdim=True)
    return best == torch.arange(probabilities.shape[1], device=best.device)[:, None, None]
