"""Cracks without labels: models that never saw DeepCrack, and ridge filters, on its images at their own size.

    python tests/benchmarks/bench_zero_labels.py DEEPCRACK [--ckpt_path cracklab:cracks RUN/checkpoints/best.ckpt]

prints a row for each model and side: scores at the checkpoint's threshold, recall by width, and the false area farther than
20 px from any crack. `--scales 1` overrides the scales of the checkpoints, and a bare `--ckpt_path` leaves out the models.
`--ridges` adds the best of scikit-image's ridge filters: the filter and sigmas with the highest pooled F1 on every fifth training
image, and on each side the threshold with the highest pooled F1 on the very images of that side. So its rows are better than they
could be without labels.
"""

import argparse
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from cracklab.data.images import read_image, read_mask
from cracklab.metrics import Evaluator
from cracklab.metrics.options import EvaluationOptions
from cracklab.predict.load import load
from cracklab.predict.predictor import Predictor
from cracklab.predict.scales import parse_scales

NEAR, FAR = 2, 20
"""Tolerance of F1, and distance from every crack at which a predicted pixel is a false alarm, px."""
FILTERS = ("frangi", "sato", "meijering", "hessian")
SIGMAS = ((1, 2, 4), (2, 4, 8), (4, 8, 16))
"""Sets of scales of the ridge filters, px."""
LEVELS = np.geomspace(1e-12, 1, 2000)
"""Candidate thresholds of the ridge filters."""
Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
NAMES = ("iou", "f1", "precision", "recall", "f1_2px", "cl_dice", "hd95_px", "false_area")
WIDTHS = ("recall_w1_2", "recall_w3_5", "recall_w6_10", "recall_w11")


def pairs(root: Path, side: str, step: int) -> Iterator[tuple[str, NDArray[np.uint8], Bools]]:
    """Yield the name, photo and mask of every `step`-th image of a side."""
    for file in sorted((root / f"{side}_img").glob("*.jpg"))[::step]:
        truth = read_mask(str(root / f"{side}_lab" / f"{file.stem}.png")) > 0
        yield file.stem, read_image(str(file)), truth


def away(mask: Bools) -> Floats:
    """Return the distance of each pixel from a mask, px; infinite if it is empty."""
    if not mask.any():
        return np.full(mask.shape, np.inf, np.float32)
    return cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)


def scores(found: Iterable[tuple[str, Floats, Bools]], threshold: float) -> dict[str, float]:
    """Return pooled scores of probabilities; HD95 and clDice are means over images."""
    options = EvaluationOptions(threshold=threshold, thresholds=[], groups=["surface", "skeleton", "bands"])
    evaluator = Evaluator(options)
    hits, total, false, far = np.zeros(2), np.zeros(2), 0, 0
    for name, probability, truth in found:
        mask = probability > threshold
        evaluator.update([name], torch.from_numpy(probability)[None, None], torch.from_numpy(truth)[None, None])
        distance = away(truth)
        hits += (mask & (distance <= NEAR)).sum(), (truth & (away(mask) <= NEAR)).sum()
        total += mask.sum(), truth.sum()
        false, far = false + int((mask & (distance > FAR)).sum()), far + int((distance > FAR).sum())
    values = evaluator.compute(evaluator.rows())
    precision, recall = hits / np.maximum(total, 1)
    near = 2 * precision * recall / max(precision + recall, 1e-9)
    return {**values, "f1": values["dice"], "f1_2px": near, "false_area": 100 * false / far}


def predicted(predictor: Predictor, images: Iterable[tuple[str, NDArray[np.uint8], Bools]]) -> Iterator[tuple]:
    """Yield the name, probability and truth of each image; the probability is 0 outside of the mask."""
    for name, photo, truth in images:
        found = predictor.predict(photo)
        yield name, np.where(found.mask > 0, found.probability, 0), truth


def ridges(name: str, sigmas: tuple[int, ...], photo: NDArray[np.uint8]) -> Floats:
    """Return the response of a ridge filter of scikit-image to dark lines."""
    from skimage import filters

    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY) / 255.0
    response = getattr(filters, name)(grey, sigmas=sigmas, black_ridges=True)
    # `hessian` sets pixels without a ridge to 1
    return np.where(response == 1, 0, response).astype(np.float32) if name == "hessian" else response.astype(np.float32)


def levels(
    name: str, sigmas: tuple[int, ...], images: Iterable[tuple[str, NDArray[np.uint8], Bools]]
) -> list[tuple[str, NDArray[np.int16], Bools]]:
    """Return the name, the response of a ridge filter as an index of `LEVELS`, and the truth of each image."""
    return [
        (stem, np.searchsorted(LEVELS, ridges(name, sigmas, photo)).astype(np.int16), truth)
        for stem, photo, truth in images
    ]


def best_level(found: list[tuple[str, NDArray[np.int16], Bools]]) -> tuple[float, int]:
    """Return the highest pooled F1 over all thresholds, and the first index above the best one."""
    counts = np.zeros((2, len(LEVELS) + 1))
    for _, level, truth in found:
        counts += [np.bincount(level[truth == value], minlength=len(LEVELS) + 1) for value in (False, True)]
    false, true = counts[:, ::-1].cumsum(1)[:, ::-1]
    f1 = 2 * true / (true + false + counts[1].sum())
    return float(f1.max()), int(f1.argmax())


def print_row(what: str, side: str, values: dict[str, float]) -> None:
    """Print a row of the table."""
    cells = [f"{values[name]:.{1 if name == 'hd95_px' else 3}f}" for name in NAMES]
    cells += ["-" if values.get(name) is None else f"{values[name]:.3f}" for name in WIDTHS]
    print(f"| {what} | {side} | {' | '.join(cells)} |", flush=True)


def print_scores(root: Path, models: dict[str, Predictor], with_ridges: bool, step: int) -> None:
    """Print the table of all models and sides."""
    print(f"| method | images | {' | '.join(NAMES + WIDTHS)} |\n|---|---|{'--:|' * len(NAMES + WIDTHS)}")
    for name, predictor in models.items():
        what = f"{name}, scales {','.join(f'{scale:g}' for scale in predictor.scales)}"
        for side in ("train", "test"):
            print_row(what, side, scores(predicted(predictor, pairs(root, side, step)), predictor.threshold))
    if with_ridges:
        print_ridges(root, step)


def print_ridges(root: Path, step: int) -> None:
    """Print the rows of the best ridge filter, and below them the F1 by which it was chosen."""
    tuned = list(pairs(root, "train", 5 * step))
    tried = {(name, sigmas): best_level(levels(name, sigmas, tuned))[0] for name in FILTERS for sigmas in SIGMAS}
    name, sigmas = max(tried, key=lambda one: tried[one])
    for side in ("train", "test"):
        found = levels(name, sigmas, pairs(root, side, step))
        least = best_level(found)[1]
        # masks as probabilities of 0 and 1, so that the response may have any unit
        masks = ((stem, (level >= least).astype(np.float32), truth) for stem, level, truth in found)
        what = f"{name}, sigmas {','.join(map(str, sigmas))}, above {LEVELS[least - 1]:.3g}, chosen on these images"
        print_row(what, side, scores(masks, 0.5))
    print(f"\nF1 on {len(tuned)} training images:")
    for (name, sigmas), f1 in tried.items():
        print(f"{name}, sigmas {','.join(map(str, sigmas))}: {f1:.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--ckpt_path", nargs="*", default=["cracklab:cracks"])
    parser.add_argument("--scales", type=parse_scales)
    parser.add_argument("--ridges", action="store_true")
    parser.add_argument("--step", type=int, default=1, help="every n-th image of a side")
    options = parser.parse_args()
    torch.set_num_threads(1)
    start = time.monotonic()
    models = {path: load(path, "cpu", scales=options.scales) for path in options.ckpt_path}
    print_scores(options.root, models, options.ridges, options.step)
    print(f"\n{time.monotonic() - start:.0f} s")
