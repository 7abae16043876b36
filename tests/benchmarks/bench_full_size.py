"""DeepCrack at its own size, by nets that were trained on it: F1 beside the protocols of published papers.

    python tests/benchmarks/bench_full_size.py DEEPCRACK --ckpt_path RUN/checkpoints/best.ckpt ...

prints a row for each checkpoint, on the 237 test images, at its default scales:

- `mask`: pooled scores of the masks that `cracklab predict` writes.
- `validation`: pooled F1 at the threshold with the highest pooled F1 on the images that the run validated on.
- `ODS`: the highest pooled F1 over all thresholds, and `OIS`: the mean over images of the highest F1 of each image. Both pick thresholds
  on the test images (optimal data set and image scale, Arbelaez 2011, without a tolerance), so that they are bounds and no results.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from cracklab.data.datamodule import CrackDataModule
from cracklab.data.images import read_image, read_mask
from cracklab.predict.load import load
from cracklab.predict.predictor import Predictor
from cracklab.predict.trained_model import restore

BINS = 1000
"""Number of thresholds, 0 to 1."""
Counts = NDArray[np.float64]
"""(images, 2, BINS): pixels of background and of crack whose probability is in each bin."""


def counts_of(predictor: Predictor, files: Iterable[tuple[str, str]]) -> tuple[Counts, NDArray[np.float64]]:
    """Return the counts of the probabilities of images, and hits, false alarms and misses of all their masks together."""
    bins, pooled = [], np.zeros(3)
    for image, mask in files:
        found, truth = predictor.predict(read_image(image)), read_mask(mask) > 0
        index = np.minimum((found.probability * BINS).astype(int), BINS - 1)
        bins.append([np.bincount(index[truth == side], minlength=BINS) for side in (False, True)])
        crack = found.mask > 0
        pooled += (crack & truth).sum(), (crack & ~truth).sum(), (~crack & truth).sum()
    return np.array(bins, float), pooled


def f1_by_threshold(counts: Counts) -> Counts:
    """Return the F1 (..., BINS) of pixels above each threshold, of counts (..., 2, BINS)."""
    false, true = np.moveaxis(counts[..., ::-1].cumsum(-1)[..., ::-1], -2, 0)
    return 2 * true / np.maximum(true + false + counts[..., 1, :].sum(-1, keepdims=True), 1)


def validation_files(root: Path, checkpoint: str) -> list[tuple[str, str]]:
    """Return image and mask of the images that a run of DeepCrack validated on."""
    data = restore(checkpoint).config["data"]
    keys = ("split", "val_fraction", "split_seed", "seed", "train_images", "known_overlap", "group")
    module = CrackDataModule("deepcrack", str(root), **{key: data[key] for key in keys})
    module.setup("fit")
    return [(module.records[i].image, module.records[i].mask) for i in module.splits.val]


def print_row(root: Path, checkpoint: str, high_threshold: float | None) -> None:
    """Print the scores of a checkpoint."""
    predictor = load(checkpoint, "cpu", high_threshold=high_threshold)
    counts, _ = counts_of(predictor, validation_files(root, checkpoint))
    best = int(f1_by_threshold(counts.sum(0)).argmax())
    tests = [
        (str(file), str(root / "test_lab" / f"{file.stem}.png")) for file in sorted((root / "test_img").glob("*.jpg"))
    ]
    counts, (hits, false, missed) = counts_of(predictor, tests)
    pooled = f1_by_threshold(counts.sum(0))
    mask = (
        2 * hits / (2 * hits + false + missed),
        hits / (hits + false + missed),
        hits / (hits + false),
        hits / (hits + missed),
    )
    values = *mask, best / BINS, pooled[best], pooled.max(), f1_by_threshold(counts).max(-1).mean()
    print(f"| {checkpoint} | {' | '.join(f'{value:.3f}' for value in values)} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--ckpt_path", nargs="+", required=True)
    parser.add_argument("--high_threshold", type=float, help="of `mask`")
    options = parser.parse_args()
    torch.set_num_threads(1)
    columns = (
        "F1, mask",
        "IoU, mask",
        "precision",
        "recall",
        "threshold of validation",
        "F1, validation",
        "ODS",
        "OIS",
    )
    print(f"| checkpoint | {' | '.join(columns)} |\n|---|{'--:|' * len(columns)}")
    for path in options.ckpt_path:
        print_row(options.root, path, options.high_threshold)
