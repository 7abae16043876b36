"""HD95 against MONAI's, and what evaluating a test set costs.

    python tests/benchmarks/bench_metrics.py [--data DEEPCRACK] [--repeats 5]

First table: milliseconds an image of 512 x 512 on one thread, the best of several repeats, mean over images, ours and
MONAI's `compute_hausdorff_distance` in turn; with the largest difference of the values, px. `cracks`: DeepCrack's test
masks, shifted by (3, 2) px and frayed; `fields`: smooth random masks, whose outlines are several times as long; `noise`:
half of all pixels. Second table: seconds for all 237 test images of 544 x 384, predictions made from the masks, by group
of metrics, with as many threads as PyTorch has (OMP_NUM_THREADS). Third: milliseconds for the counts alone of a batch of
16 images of 96 x 96.
"""

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from monai.metrics import compute_hausdorff_distance

from cracklab.metrics import Evaluator, hausdorff95
from cracklab.metrics.image_scores import GROUPS
from cracklab.metrics.options import EvaluationOptions

Pair = tuple[torch.Tensor, torch.Tensor]
warnings.simplefilter("ignore", FutureWarning)


def masks(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """The true masks of the test images, bool."""
    for path in sorted((folder / "test_lab").glob("*.png")):
        yield path.stem, cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) > 127


def families(folder: Path) -> dict[str, list[Pair]]:
    """Pairs of masks of 512 x 512, (1, 1, H, W) bool."""
    rng = np.random.default_rng(0)
    found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {"cracks": [], "fields": [], "noise": []}
    for _, mask in masks(folder):
        truth = cv2.resize(mask.astype(np.float32), (512, 512), interpolation=cv2.INTER_AREA) > 0.5
        frayed = np.roll(truth, (3, 2), (0, 1)) ^ (rng.random(truth.shape) < 0.02)
        found["cracks"].append((cv2.medianBlur(frayed.view(np.uint8), 3) > 0, truth))
    for _ in range(20):
        a, b = (cv2.GaussianBlur(rng.standard_normal((512, 512)), (0, 0), 16) > 0 for _ in range(2))
        found["fields"].append((a, b))
    found["noise"] = [tuple(rng.random((2, 512, 512)) < 0.5) for _ in range(3)]
    return {name: [tuple(torch.from_numpy(m)[None, None] for m in p) for p in pairs] for name, pairs in found.items()}


def best(function: Callable[[], object], repeats: int) -> float:
    """Milliseconds of the fastest call."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times) * 1e3


def distances(folder: Path, repeats: int) -> None:
    """Print the first table."""
    print("| masks | images | MONAI ms | cracklab ms | ratio | largest difference px |\n|---|--:|--:|--:|--:|--:|")
    for name, pairs in families(folder).items():
        theirs, ours, difference = [], [], 0.0
        for pair in pairs:

            def monai(pair: Pair = pair) -> torch.Tensor:
                return compute_hausdorff_distance(*pair, include_background=True, percentile=95)

            def cracklab(pair: Pair = pair) -> torch.Tensor:
                return hausdorff95(*pair)

            theirs.append(best(monai, repeats))
            ours.append(best(cracklab, repeats))
            difference = max(difference, abs(monai().item() - cracklab().item()))
        ratio = np.mean(ours) / np.mean(theirs)
        print(
            f"| {name} | {len(pairs)} | {np.mean(theirs):.2f} | {np.mean(ours):.2f} | {ratio:.2f} | {difference:.1e} |"
        )


def test_set(folder: Path, threads: int) -> None:
    """Print the second table."""
    rng = np.random.default_rng(0)
    batches = []
    for name, mask in masks(folder):
        logits = 4 * np.roll(mask, (1, 1), (0, 1)) - 2 + 1.5 * rng.standard_normal(mask.shape)
        blurred = torch.from_numpy(cv2.GaussianBlur(logits, (0, 0), 1.5)).float()
        batches.append(([name], blurred.sigmoid()[None, None], torch.from_numpy(mask)[None, None]))
    torch.set_num_threads(threads)
    print(f"\n| metrics | s for {len(batches)} images, {threads} threads |\n|---|--:|")
    runs = {"counts": {"groups": []}} | {f"counts, {name}": {"groups": [name]} for name in GROUPS}
    for name, options in (runs | {"all, histograms too": {"curves": True}}).items():
        curves = options.pop("curves", False)
        evaluator = Evaluator(EvaluationOptions(boundary_width_px=2, surface_thresholds=[], **options), curves=curves)
        start = time.perf_counter()
        for batch in batches:
            evaluator.update(*batch)
        evaluator.compute(evaluator.rows())
        print(f"| {name} | {time.perf_counter() - start:.2f} |")


def counts(repeats: int) -> None:
    """Print the third table."""
    torch.set_num_threads(1)
    probabilities = torch.rand(16, 1, 96, 96)
    mask = (probabilities + 0.3 * torch.randn_like(probabilities) > 1).float()
    evaluator = Evaluator(costly=False)
    ids = [str(i) for i in range(16)]
    size = torch.tensor([[96, 96]] * 16)
    cost = best(lambda: evaluator.update(ids, probabilities, mask, torch.ones_like(mask), size), 10 * repeats)
    print(f"\n| counts of 16 x 96 x 96 | ms |\n|---|--:|\n| two thresholds | {cost:.2f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[3] / "shared/data/DeepCrack")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    distances(options.data, options.repeats)
    test_set(options.data, threads)
    counts(options.repeats)
