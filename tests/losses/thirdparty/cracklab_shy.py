"""A loss from another package."""

from cracklab.losses import Loss, register


@register("shy")
class Shy(Loss):
    """Mean of (p - y)^2.

    Args:
        scale: of the loss.
    """

    def __init__(self, scale: float = 1.0):
        super().__init__()
        self.scale = scale

    def compute(self, logits, mask, maps, valid):
        error = (logits.sigmoid() - mask).square()
        return self.scale * (error.mean() if valid is None else (error * valid).sum() / valid.sum())
