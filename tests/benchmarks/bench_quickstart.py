"""How far one global threshold on the grey value gets on the quickstart's test images, against a trained run.

    python tests/benchmarks/bench_quickstart.py --run RUN      # RUN: fitted on configs/quickstart.yaml and tested

The threshold is chosen on the very images that it is scored on, dark cracks and bright ones tried: more than any honest
threshold could reach. IoU is pooled over all pixels.
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import yaml

from cracklab.data.layouts import LAYOUTS
from cracklab.run_folder import CONFIG, TEST_METRICS


def best_threshold_iou(grey: np.ndarray, truth: np.ndarray) -> float:
    """The highest pooled IoU of `grey <= t` or `grey >= t` over all t, from two histograms."""
    crack, rest = (np.bincount(grey[truth == value], minlength=256) for value in (1, 0))
    best = 0.0
    for order in (slice(None), slice(None, None, -1)):
        hit, false = np.cumsum(crack[order]), np.cumsum(rest[order])
        best = max(best, float((hit / (crack.sum() + false)).max()))
    return best


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True)
    folder = parser.parse_args().run
    layout = LAYOUTS["synthetic"](**yaml.safe_load((folder / CONFIG).read_text())["data"]["layout"]["init_args"])
    pairs = [layout.read(record) for record in layout.index(Path())[0] if record.split == "test"]
    grey = np.stack([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image, _ in pairs])
    threshold = best_threshold_iou(grey, np.stack([mask for _, mask in pairs]))
    trained = json.loads((folder / TEST_METRICS).read_text())["test/iou@0.5"]
    print("| pooled IoU on the test images | |\n|---|---|")
    print(
        f"| best single global threshold | {threshold:.3f} |\n| trained | {trained:.3f} |\n| difference | {trained - threshold:.3f} |"
    )
