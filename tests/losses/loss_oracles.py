"""Each loss once more, in float64 NumPy, written from its formula: loops over images and classes, no code shared.

Arrays: logits z (B, C, H, W), mask y (B, C, H, W), maps {name: (B, C, H, W)}, valid (B, 1, H, W) or None.
Only moderate logits: the oracles use exp and log as the formulas print them.
"""

import numpy as np
from scipy import ndimage
from skimage.morphology import skeletonize

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


def log_rest(z):
    """log(1 - p_c): logsumexp over the other classes minus logsumexp over all."""
    if len(z) == 1:
        return -np.logaddexp(0, z)
    total = np.logaddexp.reduce(z, 0)
    return np.stack([np.logaddexp.reduce(np.delete(z, c, 0), 0) - total for c in range(len(z))])


def log_margin(z, margin):
    """log q_c: q_c the softmax (sigmoid) after z_c - margin."""
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
    # the softmax of "not c" after its logit lost the margin: the others' logits, each minus the margin
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
    """D + I of a set of pixels, by SciPy."""
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


CROSS, SQUARE = ndimage.generate_binary_structure(2, 1), np.ones((3, 3), bool)


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
    """Soft skeleton as published: open by erosion and dilation, collect what that removes."""
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


def reference_maps(mask, valid=None):
    """The target maps of (B, C, H, W) masks with SciPy, by their definitions; 0 where `valid` is 0."""
    found = [
        [
            one_map(mask[b, c] > 0, np.ones(mask.shape[2:], bool) if valid is None else valid[b, 0] > 0)
            for c in range(len(mask[b]))
        ]
        for b in range(len(mask))
    ]
    maps = {name: np.array([[one[name] for one in image] for image in found]) for name in found[0][0]}
    return {name: values if valid is None else values * (valid > 0) for name, values in maps.items()}


def distance_to(where):
    return ndimage.distance_transform_edt(~where) if where.any() else np.full(where.shape, np.hypot(*where.shape))


def one_map(mask, ok):
    """The target maps of one (H, W) mask."""
    inside, outside = mask & ok, ~mask & ok
    distance, interior = distance_to(inside), np.where(inside, distance_to(outside), 0)
    line = skeletonize(inside)
    neighbours = ndimage.convolve(line.astype(int), np.ones((3, 3), int), mode="constant") - 1
    ends = line & (neighbours == 1)
    border = np.ones_like(ends)
    border[3:-3, 3:-3] = False
    ends &= ~border
    rows, columns = np.indices(mask.shape)
    tips = sum(
        (np.exp(-((rows - i) ** 2 + (columns - j) ** 2) / 50) for i, j in np.argwhere(ends)), np.zeros(mask.shape)
    )
    return {
        "distance": distance,
        "interior_distance": interior,
        "signed_distance": distance - interior,
        "skeleton": ndimage.binary_dilation(line, CROSS, iterations=2) & inside,
        "tips": np.minimum(tips, 1),
        "tip_distance": distance_to(ends),
        "boundary_distance": distance_to(inside & ndimage.binary_dilation(outside, CROSS)),
    }
