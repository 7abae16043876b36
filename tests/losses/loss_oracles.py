"""Oracles of the losses: their formulas in float64 NumPy, with loops over images and classes, sharing no code with them.

Arrays: logits z (B, C, H, W), mask y (B, C, H, W), maps {name: (B, C, H, W)}, valid (B, 1, H, W) or None.
Only moderate logits: the oracles use exp and log as the formulas print them.
"""

import numpy as np

ORACLES = {}


def oracle(name):
    def keep(function):
        ORACLES[name] = function
        return function

    return keep


def probability(z):
    """Return the probabilities of (C, H, W) logits."""
    if len(z) == 1:
        return 1 / (1 + np.exp(-z))
    e = np.exp(z - z.max(0))
    return e / e.sum(0)


def images(z, y, maps, valid):
    """Yield z, p, y as (C, N) of the valid pixels, and the maps, of each image that has a valid pixel."""
    for b in range(len(z)):
        ok = np.ones(z.shape[2:], bool) if valid is None else valid[b, 0] > 0
        if ok.any():
            yield z[b][:, ok], probability(z[b])[:, ok], y[b][:, ok], {k: m[b][:, ok] for k, m in maps.items()}


def pixelwise(term):
    """Return a loss that is the mean of `term` over pixels (and its classes), then over images."""

    def value(z, y, maps, valid, **parameters):
        return np.mean([np.mean(term(*image[:3], **parameters)) for image in images(z, y, maps, valid)])

    return value


def classwise(term):
    """Return a loss that is the mean of `term` over the classes present, then over images; with the region options."""

    def value(z, y, maps, valid, per_image=True, classes=None, pool_classes=False, **parameters):
        found = list(images(z, y, maps, valid))
        if not per_image:
            joined = [np.concatenate([image[k] for image in found], 1) for k in range(3)]
            found = [(*joined, {k: np.concatenate([image[3][k] for image in found], 1) for k in maps})]
        values = []
        for _, p, y_, maps_ in found:
            chosen = classes or list(range(len(p)))
            if pool_classes:
                values.append(
                    term(
                        p[chosen].ravel(),
                        y_[chosen].ravel(),
                        {k: m[chosen].ravel() for k, m in maps_.items()},
                        **parameters,
                    )
                )
                continue
            present = [c for c in chosen if y_[c].any()] or chosen
            values.append(
                np.mean([term(p[c], y_[c], {k: m[c] for k, m in maps_.items()}, **parameters) for c in present])
            )
        return np.mean(values)

    return value


def dice_(p, y, w=1.0, eps=1.0, squared=False):
    k = 2 if squared else 1
    return 1 - (2 * np.sum(w * p * y) + eps) / (np.sum(w * p**k) + np.sum(w * y**k) + eps)


@oracle("bce")
@pixelwise
def bce(z, p, y, pos_weight=1.0):
    if len(z) == 1:
        return -(pos_weight * y * np.log(p) + (1 - y) * np.log(1 - p))
    weight = np.where(np.arange(len(z)) == 0, 1.0, pos_weight)[:, None]
    return -np.sum(weight * y * np.log(p), 0)


@oracle("dice")
@classwise
def dice(p, y, maps, eps=1.0, squared=False):
    return dice_(p, y, eps=eps, squared=squared)


@oracle("combo")
def combo(z, y, maps, valid, **region):
    return bce(z, y, maps, valid) + dice(z, y, maps, valid, **region)


def log_rest(z):
    """Return log(1 - p_c): logsumexp over the other classes minus logsumexp over all."""
    if len(z) == 1:
        return -np.logaddexp(0, z)
    total = np.logaddexp.reduce(z, 0)
    return np.stack([np.logaddexp.reduce(np.delete(z, c, 0), 0) - total for c in range(len(z))])


def log_margin(z, margin):
    """Return log q_c, q_c the softmax (sigmoid) after z_c - margin."""
    if len(z) == 1:
        return -np.logaddexp(0, margin - z)
    shifted = [z - margin * (np.arange(len(z)) == c)[:, None] for c in range(len(z))]
    return np.stack([s[c] - np.logaddexp.reduce(s, 0) for c, s in enumerate(shifted)])


@oracle("focal")
@pixelwise
def focal(z, p, y, gamma=2.0, alpha=None):
    a1, a0 = (1, 1) if alpha is None else (alpha, 1 - alpha)
    if len(z) == 1:
        return -(a1 * (1 - p) ** gamma * y * np.log(p) + a0 * p**gamma * (1 - y) * np.log(1 - p))
    weight = np.where(np.arange(len(z)) == 0, a0, a1)[:, None]
    return -np.sum(weight * y * (1 - p) ** gamma * np.log(p), 0)


@oracle("asymmetric_focal")
@pixelwise
def asymmetric_focal(z, p, y, gamma=2.0):
    return -y * np.log(p) - p**gamma * (1 - y) * log_rest(z)


@oracle("large_margin")
@pixelwise
def large_margin(z, p, y, margin=1.0):
    return -y * log_margin(z, margin) - (1 - y) * log_rest(z)


@oracle("focal_margin")
@pixelwise
def focal_margin(z, p, y, gamma=2.0, margin=0.5, asymmetric=True):
    if asymmetric:
        return -y * log_margin(z, margin) - p**gamma * (1 - y) * log_rest(z)
    # the softmax of "not c" with a margin: the other logits each minus the margin
    if len(z) == 1:
        log_not = -np.logaddexp(0, z + margin)
    else:
        log_not = []
        for c in range(len(z)):
            others = np.delete(z, c, 0) - margin
            rest = np.logaddexp.reduce(others, 0)
            log_not.append(rest - np.logaddexp(rest, z[c]))
    return -((1 - p) ** gamma) * y * log_margin(z, margin) - p**gamma * (1 - y) * log_not


@oracle("iou")
@classwise
def iou(p, y, maps, eps=1.0):
    return 1 - (np.sum(p * y) + eps) / (np.sum(p + y - p * y) + eps)


def tversky_index(p, y, delta, eps):
    hits = np.sum(p * y)
    return (hits + eps) / (hits + delta * np.sum((1 - p) * y) + (1 - delta) * np.sum(p * (1 - y)) + eps)


def power(u, gamma):
    return u**gamma if u >= 1e-6 else u * 1e-6 ** (gamma - 1)


@oracle("tversky")
@classwise
def tversky(p, y, maps, delta=0.7, eps=1.0):
    return 1 - tversky_index(p, y, delta, eps)


@oracle("focal_tversky")
@classwise
def focal_tversky(p, y, maps, delta=0.7, gamma=0.75, eps=1.0):
    return power(1 - tversky_index(p, y, delta, eps), gamma)


@oracle("log_cosh_dice")
@classwise
def log_cosh_dice(p, y, maps, **parameters):
    return np.log(np.cosh(dice_(p, y, **parameters)))


@oracle("dice_focal")
def dice_focal(z, y, maps, valid, gamma=2.0, **region):
    return dice(z, y, maps, valid, **region) + focal(z, y, maps, valid, gamma=gamma)


def mixed(first, second, weight):
    return first + second if weight is None else weight * first + (1 - weight) * second


@oracle("hybrid_focal")
def hybrid_focal(
    z, y, maps, valid, gamma_focal=2.0, delta=0.7, gamma_tversky=0.75, weight=None, asymmetric=True, **region
):
    entropy = (asymmetric_focal if asymmetric else focal)(z, y, maps, valid, gamma=gamma_focal)
    return mixed(entropy, focal_tversky(z, y, maps, valid, delta=delta, gamma=gamma_tversky, **region), weight)


@oracle("hybrid_focal_margin")
def hybrid_focal_margin(
    z,
    y,
    maps,
    valid,
    gamma_focal=2.0,
    margin=0.5,
    delta=0.7,
    gamma_tversky=0.75,
    weight=None,
    asymmetric=True,
    **region,
):
    entropy = focal_margin(z, y, maps, valid, gamma=gamma_focal, margin=margin, asymmetric=asymmetric)
    return mixed(entropy, focal_tversky(z, y, maps, valid, delta=delta, gamma=gamma_tversky, **region), weight)


@oracle("unified_focal")
def unified_focal(z, y, maps, valid, weight=0.5, delta=0.6, gamma=0.5, asymmetric=True, eps=1.0, per_image=True):
    crack_gamma = 0 if asymmetric else gamma

    @pixelwise
    def entropy(z, p, y):
        if len(z) == 1:
            crack = delta * (1 - p) ** crack_gamma * y * np.log(p)
            return -crack - (1 - delta) * p**gamma * (1 - y) * np.log(1 - p)
        background = (1 - delta) * (1 - p[0]) ** gamma * y[0] * np.log(p[0])
        return -background - np.sum(delta * (1 - p[1:]) ** crack_gamma * y[1:] * np.log(p[1:]), 0)

    def background_loss(p, y):
        u = 1 - tversky_index(p, y, delta, eps)
        return u if asymmetric else power(u, 1 - gamma)

    def crack_loss(p, y):
        return power(1 - tversky_index(p, y, delta, eps), 1 - gamma)

    def classwise_(p, y, maps):
        if len(z[0]) == 1:
            return (background_loss(1 - p, 1 - y) + crack_loss(p, y)) / 2
        return background_loss(p, y) if maps["channel"][0] == 0 else crack_loss(p, y)

    channel = np.broadcast_to(np.arange(z.shape[1])[:, None, None], z.shape)
    region = classwise(classwise_)(z, y, {"channel": channel}, valid, per_image=per_image)
    return mixed(entropy(z, y, maps, valid), region, weight)
