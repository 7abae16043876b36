"""Each loss once more, in float64 NumPy, written from its formula: loops over images and classes, nothing shared with the code.

Arrays: logits z (B, C, H, W), mask y (B, C, H, W), maps {name: (B, C, H, W)}, valid (B, 1, H, W) or None.
Only moderate logits: the oracles use exp and log as the formulas print them.
"""

import numpy as np
from scipy import ndimage

ORACLES = {}


def oracle(name):
    def keep(function):
        ORACLES[name] = function
        return function

    return keep


def probability(z):
    """(C, H, W) logits to probabilities."""
    if len(z) == 1:
        return 1 / (1 + np.exp(-z))
    e = np.exp(z - z.max(0))
    return e / e.sum(0)


def images(z, y, maps, valid):
    """For each image with a valid pixel: z, p, y as (C, N) of its valid pixels, and its maps."""
    for b in range(len(z)):
        ok = np.ones(z.shape[2:], bool) if valid is None else valid[b, 0] > 0
        if ok.any():
            yield z[b][:, ok], probability(z[b])[:, ok], y[b][:, ok], {k: m[b][:, ok] for k, m in maps.items()}


def pixelwise(term):
    """Mean over pixels (and the classes of `term`), then images."""

    def value(z, y, maps, valid, **parameters):
        return np.mean([np.mean(term(*image[:3], **parameters)) for image in images(z, y, maps, valid)])

    return value


def classwise(term):
    """Mean over the classes present, then images; with the four region options."""

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


def relative(distance, valid):
    """D~: over the maximum of each image and class, among its valid pixels."""
    shown = distance if valid is None else distance * (valid > 0)
    largest = shown.max((2, 3), keepdims=True)
    return shown / np.where(largest > 0, largest, 1)


@oracle("distance_aware")
def distance_aware(z, y, maps, valid, beta=2.0, sigma=0.25, alpha=None, base="dice", eps=1.0, **region):
    if alpha is not None:
        w = np.exp(-alpha * np.minimum(maps["distance"], 4 / alpha))
    else:
        w = 1 + beta * np.exp(-relative(maps["distance"], valid) / sigma)

    @classwise
    def term(p, y, maps):
        if base == "dice":
            return dice_(p, y, maps["w"], eps)
        return np.mean(-maps["w"] * (y * np.log(p) + (1 - y) * np.log(1 - p)))

    return term(z, y, {"w": w}, valid, **region)


def boundary(z, y, maps, valid, inner="full", classes=None):
    diagonal = np.hypot(*z.shape[2:])

    @classwise
    def term(p, y, maps):
        phi = maps["signed_distance"] + (y if inner == "kervadec" else 0)
        return np.mean(p * phi) / diagonal * (inner == "full" or y.any())

    return term(z, y, maps, valid, classes=classes)


ORACLES["boundary"] = boundary


def reference_maps(mask, valid=None):
    """The target maps of (B, C, H, W) masks with SciPy, by their definitions; 0 where `valid` is 0."""
    names = ("distance", "interior_distance", "signed_distance")
    maps = {name: np.zeros(mask.shape) for name in names}
    diagonal = np.hypot(*mask.shape[2:])
    for b, c in np.ndindex(*mask.shape[:2]):
        ok = np.ones(mask.shape[2:], bool) if valid is None else valid[b, 0] > 0
        inside, outside = (mask[b, c] > 0) & ok, (mask[b, c] == 0) & ok
        distance = ndimage.distance_transform_edt(~inside) if inside.any() else np.full(ok.shape, diagonal)
        interior = ndimage.distance_transform_edt(~outside) if outside.any() else np.full(ok.shape, diagonal)
        maps["distance"][b, c] = distance
        maps["interior_distance"][b, c] = np.where(inside, interior, 0)
        maps["signed_distance"][b, c] = distance - np.where(inside, interior, 0)
    return {name: values if valid is None else values * (valid > 0) for name, values in maps.items()}
