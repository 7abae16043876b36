"""Masks and predictions for the tests of metrics, and the work of one process of several; few imports, for a fast start."""

import json
import math

import cv2
import numpy as np
import torch
import torch.distributed as dist
from scipy import ndimage

from cracklab.metrics import Evaluator
from cracklab.metrics.options import EvaluationOptions
from cracklab.metrics.rows import without_histograms


def blobs(rng, shape, sigma=2.0, share=0.15):
    """Smooth random masks, bool, with about `share` of the pixels inside."""
    field = ndimage.gaussian_filter(rng.standard_normal(shape), sigma, axes=(-2, -1))
    return field > np.quantile(field, 1 - share)


def real_pairs(deepcrack, count):
    """Pairs of (prediction, truth), (1, 1, H, W) bool: real masks, and the predictions of a mediocre net."""
    rng = np.random.default_rng(5)
    for path in sorted((deepcrack / "test_lab").glob("*.png"))[:: 237 // count][:count]:
        truth = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) > 127
        noisy = np.roll(truth, (2, -1), (0, 1)) ^ (rng.random(truth.shape) < 0.02)
        pred = cv2.medianBlur(noisy.view(np.uint8), 3) > 0
        yield tuple(torch.from_numpy(mask)[None, None] for mask in (pred, truth))


def case(rng, images=5, channels=1, shape=(33, 47)):
    """Ids, probabilities and masks of random images."""
    masks = blobs(rng, (images, channels, *shape), 3, 0.2)
    if channels == 1:
        probabilities = torch.from_numpy(3 * masks - 1.5 + rng.standard_normal(masks.shape)).sigmoid()
    else:
        best = (3 * masks + rng.standard_normal(masks.shape)).argmax(1)
        masks = np.stack([best == c for c in range(channels)], 1)
        probabilities = torch.from_numpy(2 * masks + rng.standard_normal(masks.shape)).softmax(1)
    return [f"image_{i:02d}" for i in range(images)], probabilities.float(), torch.from_numpy(masks).float()


def shrinking(images):
    """A size (height, width) for each image, all different."""
    return torch.tensor([[33 - 2 * i, 47 - 3 * i] for i in range(images)])


def make_evaluator(costly=True, curves=False, class_names=None, **options):
    """An evaluator; without HD95 at further thresholds, unless they are given."""
    options = EvaluationOptions(**{"surface_thresholds": [], **options})
    return Evaluator(options, costly=costly, curves=curves, class_names=class_names)


def work(rank, folder, cases):
    """Evaluate, as one process of several, a share of the images of each case, padded as a DistributedSampler pads it."""
    for processes, images in cases:
        if rank >= processes:
            continue
        meeting = f"file://{folder}/meeting_{processes}"
        dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=processes)
        ids, probabilities, mask = case(np.random.default_rng(3), images)
        evaluator = make_evaluator(thresholds=[0.1], curves=True)
        for k in range(math.ceil(images / processes)):
            i = (rank + k * processes) % images
            one = slice(i, i + 1)
            size = shrinking(images)[one]
            evaluator.update([ids[i]], probabilities[one], mask[one], size=size, columns={"loss": [i / 7]})
        rows = evaluator.rows()
        (folder / f"{processes}_{images}_{rank}.json").write_text(
            json.dumps([without_histograms(rows), evaluator.compute(rows)])
        )
        dist.destroy_process_group()
