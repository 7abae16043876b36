"""Oracles of the losses that use positions: distances, outlines, skeletons, tips; see `loss_oracles`."""

import numpy as np
from loss_maps import CROSS, reference_maps
from loss_oracles import ORACLES, classwise, dice_, oracle, probability
from scipy import ndimage

SQUARE = np.ones((3, 3), bool)


def relative(distance, valid):
    """Return D~: distances over their maximum among the valid pixels of each image and class."""
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


@oracle("boundary")
def boundary(z, y, maps, valid, inner="full", classes=None):
    diagonal = np.hypot(*z.shape[2:])

    @classwise
    def term(p, y, maps):
        phi = maps["signed_distance"] + (y if inner == "kervadec" else 0)
        return np.mean(p * phi) / diagonal * (inner == "full" or y.any())

    return term(z, y, maps, valid, classes=classes)


@oracle("distance_penalty")
def distance_penalty(z, y, maps, valid, alpha=4.0, hard=False, eps=1.0, **region):
    @classwise
    def term(p, y, maps):
        q = p > 0.5 if hard else p
        f = np.sum(q * (1 - y) * maps["d"]) / (np.sum(q * (1 - y)) + 1)
        return dice_(p, y, eps=eps) * (1 + f * (alpha - 1))

    return term(z, y, {"d": relative(maps["distance"], valid)}, valid, **region)


@oracle("distance_transform")
def distance_transform(z, y, maps, valid, inner="full", threshold=None, eps=1.0, **region):
    n = np.zeros_like(y)
    for b, c in np.ndindex(*y.shape[:2]):
        ok = np.ones(y.shape[2:], bool) if valid is None else valid[b, 0] > 0
        i = maps["interior_distance"][b, c]
        deepest = i[ok].max() if ok.any() else 0
        if inner == "full":
            n[b, c] = y[b, c] * (deepest - i + 1) / max(deepest, 1)
        else:
            reverse = (deepest - i) * y[b, c]
            n[b, c] = reverse / reverse[ok].max() if ok.any() and reverse[ok].max() > 0 else y[b, c]

    @classwise
    def term(p, y, maps):
        false = p if threshold is None else p > threshold
        return 1 - (np.sum(maps["n"] * p) + eps) / (np.sum(maps["n"]) + np.sum((1 - y) * false) + eps)

    return term(z, y, {"n": n}, valid, **region)


def outline_distance(inside, ok):
    """Return D + I of a set of pixels, by SciPy."""
    maps = reference_maps(inside[None, None], ok[None, None])
    return (maps["distance"] + maps["interior_distance"])[0, 0]


@oracle("hausdorff_dt")
def hausdorff_dt(z, y, maps, valid, alpha=2.0, classes=None):
    diagonal = np.hypot(*z.shape[2:])
    predicted = np.zeros_like(z)
    for b in range(len(z)):
        ok = np.ones(z.shape[2:], bool) if valid is None else valid[b, 0] > 0
        predicted[b] = [outline_distance(p > 0.5, ok) for p in probability(z[b])]

    @classwise
    def term(p, y, maps):
        return np.mean((p - y) ** 2 * ((maps["p"] / diagonal) ** alpha + (maps["y"] / diagonal) ** alpha))

    true = maps["distance"] + maps["interior_distance"]
    return term(z, y, {"p": predicted, "y": true}, valid, classes=classes)


def eroded(values, ok):
    return ndimage.grey_erosion(np.where(ok, values, np.inf), footprint=CROSS, mode="constant", cval=np.inf)


def dilated(values, ok):
    return ndimage.grey_dilation(np.where(ok, values, -np.inf), footprint=SQUARE, mode="constant", cval=-np.inf)


@oracle("hausdorff_er")
def hausdorff_er(z, y, maps, valid, alpha=2.0, erosions=10, classes=None):
    total = np.zeros_like(z)
    for b in range(len(z)):
        ok = np.ones(z.shape[2:], bool) if valid is None else valid[b, 0] > 0
        for c, p in enumerate(probability(z[b])):
            error = (p - y[b, c]) ** 2
            for k in range(erosions):
                total[b, c] += (k + 1) ** alpha * np.where(ok, error, 0)
                error = eroded(error, ok)
    return classwise(lambda p, y, maps: np.mean(maps["t"]))(z, y, {"t": total}, valid, classes=classes)


def skeleton(values, iterations, ok):
    """Return the soft skeleton as published: accumulate what opening removes after each erosion."""
    found = np.zeros_like(values)
    for k in range(iterations + 1):
        shrunk = eroded(values, ok)
        delta = np.maximum(np.where(ok, values - dilated(shrunk, ok), 0), 0)
        found = delta if k == 0 else found + np.maximum(delta - found * delta, 0)
        values = shrunk
    return found


@oracle("cl_dice")
def cl_dice(z, y, maps, valid, iterations=10, weight=0.5, eps=1.0, **region):
    s = np.zeros_like(z), np.zeros_like(z)
    for b in range(len(z)):
        ok = np.ones(z.shape[2:], bool) if valid is None else valid[b, 0] > 0
        for c, p in enumerate(probability(z[b])):
            s[0][b, c], s[1][b, c] = skeleton(p, iterations, ok), skeleton(y[b, c], iterations, ok)

    @classwise
    def term(p, y, maps):
        precision = (np.sum(maps["p"] * y) + eps) / (np.sum(maps["p"]) + eps)
        recall = (np.sum(maps["y"] * p) + eps) / (np.sum(maps["y"]) + eps)
        line = 1 - 2 * precision * recall / (precision + recall)
        return (1 - weight) * dice_(p, y, eps=eps) + weight * line

    return term(z, y, {"p": s[0], "y": s[1]}, valid, **region)


@oracle("skeleton_recall")
@classwise
def skeleton_recall(p, y, maps, weight=1.0, eps=1.0):
    k = maps["skeleton"]
    return dice_(p, y, eps=eps) + weight * (1 - (np.sum(p * k) + eps) / (np.sum(k) + eps))


@oracle("tip_weighted")
@classwise
def tip_weighted(p, y, maps, base="dice", weight=4.0, eps=1.0):
    w = 1 + weight * maps["tips"]
    if base == "dice":
        return dice_(p, y, w, eps)
    return np.mean(-w * (y * np.log(p) + (1 - y) * np.log(1 - p)))


@oracle("tip_distance")
def tip_distance(z, y, maps, valid, weight=1.0, radius=15.0, eps=1.0, **region):
    near = np.where(maps["tip_distance"] <= radius, maps["tip_distance"], 0.0)
    for b, c in np.ndindex(*y.shape[:2]):
        ok = np.ones(y.shape[2:], bool) if valid is None else valid[b, 0] > 0
        if not (maps["tip_distance"][b, c][ok] == 0).any():
            near[b, c] = 0

    @classwise
    def term(p, y, maps):
        t = maps["t"]
        return dice_(p, y, eps=eps) + weight * (np.sum((p - y) ** 2 * t) / np.sum(t) if t.any() else 0)

    return term(z, y, {"t": near}, valid, **region)


def kl(p, q):
    return np.sum(p * (np.log(p) - np.log(q)))


@oracle("active_boundary")
def active_boundary(z, y, maps, valid, weight=1.0, base="combo"):
    height, width = z.shape[2:]
    values = []
    for b in range(len(z)):
        ok = np.ones((height, width), bool) if valid is None else valid[b, 0] > 0
        if not ok.any():
            continue
        p = probability(z[b])
        p = np.concatenate([p, 1 - p]) if len(p) == 1 else p
        change = np.zeros((height, width))
        for i, j in np.ndindex(height, width):
            for di, dj in ((1, 0), (0, 1)):
                if i + di < height and j + dj < width and ok[i, j] and ok[i + di, j + dj]:
                    change[i, j] += kl(p[:, i, j], p[:, i + di, j + dj])
        count = ok.sum() // 100
        outline = maps["boundary_distance"][b].min(0)
        if count == 0 or not (outline[ok] == 0).any():
            values.append(0.0)
            continue
        chosen = (change >= np.sort(change.ravel())[-count]) & (change > 0)
        chosen = ndimage.binary_dilation(chosen, SQUARE) & ok
        terms = []
        for i, j in np.argwhere(chosen):
            logits, distances = [], []
            for di, dj in [(a, c) for a in (-1, 0, 1) for c in (-1, 0, 1) if (a, c) != (0, 0)]:
                k, m = i + di, j + dj
                exists = 0 <= k < height and 0 <= m < width and ok[k, m]
                logits.append(kl(p[:, k, m], p[:, i, j]) if exists else 0.0)
                distances.append(outline[k, m] if exists else np.inf)
            log_q = np.array(logits) - np.logaddexp.reduce(logits)
            target = np.full(8, 0.2 / 8)
            target[np.argmin(distances)] += 0.8
            terms.append(-np.sum(target * log_q) * min(outline[i, j], 20) / 20)
        values.append(np.mean(terms))
    return ORACLES[base](z, y, maps, valid) + weight * np.mean(values)


@oracle("weighted_sum")
def weighted_sum(z, y, maps, valid, losses):
    return sum(weight * ORACLES[name](z, y, maps, valid) for name, weight in losses)
