"""Errors of lengths and widths on strips and curves of known size, and time and memory for large masks.

    python tests/benchmarks/bench_measure.py

A pixel is crack if its centre is in the strip. The usual width is twice the distance map on the skeleton, the usual length
the number of skeleton pixels.
"""

import resource
import sys
import time
from pathlib import Path

import numpy as np
from skimage.morphology import skeletonize

sys.path.insert(0, str(Path(__file__).parents[1] / "measure"))
from crack_shapes import CURVES, curve_length, drawn, strip

from cracklab.geometry.masks import distance_to
from cracklab.measure import measure_mask
from cracklab.synthetic.draw import coverage, crack_pattern

ANGLES = (0, 10, 26.57, 45)
WIDTHS = (1, 2, 3, 4, 6, 9, 12)
LENGTH = 200
POSITIONS = 12


def accuracy() -> None:
    """Print mean errors of width, px, and length, %, over positions on the grid, and the largest error of one strip."""
    print("| width, px | angle | 2 d - width, px | ours, px | largest | skeleton pixels, length | ours | largest |")
    print("|---|---|---|---|---|---|---|---|")
    rng = np.random.default_rng(0)
    for width in WIDTHS:
        for angle in ANGLES:
            errors = np.array([one(width, angle, rng.uniform(-0.5, 0.5, 2)) for _ in range(POSITIONS)])
            usual_width, our_width, usual_length, our_length = errors.mean(axis=0)
            largest = np.abs(errors).max(axis=0)
            print(
                f"| {width} | {angle} | {usual_width:+.2f} | {our_width:+.2f} | {largest[1]:.2f} "
                f"| {usual_length:+.1%} | {our_length:+.1%} | {largest[3]:.1%} |"
            )


def one(width: float, angle: float, position: np.ndarray) -> tuple[float, float, float, float]:
    """Return the errors of the usual width and of ours, px, and the relative errors of the usual length and of ours."""
    mask = strip(LENGTH, width, angle, position)
    line = skeletonize(mask, method="lee") > 0
    summary = measure_mask(mask).summary()
    return (
        2 * float(np.median(distance_to(~mask)[line])) - width,
        summary["width_p50_px"] - width,
        np.count_nonzero(line) / LENGTH - 1,
        summary["length_px"] / LENGTH - 1,
    )


def curves() -> None:
    """Print the largest errors of length, %, median and largest width, px, over angles and positions."""
    print("\n| shape | width, px | length | median width | largest width |\n|---|---|---|---|---|")
    for name, (lines, width) in CURVES.items():
        rng, errors = np.random.default_rng(0), []
        for _ in range(POSITIONS // 2):
            summary = measure_mask(drawn(lines, width, rng)).summary()
            length = summary["length_px"] / curve_length(*lines) - 1
            errors.append((length, summary["width_p50_px"] - width, summary["width_max_px"] - width))
        largest = [max(one, key=abs) for one in zip(*errors, strict=True)]
        print(f"| {name} | {width} | {largest[0]:+.1%} | {largest[1]:+.2f} | {largest[2]:+.2f} |")


def speed() -> None:
    """Print processor seconds on one core and the additional peak memory for drawn cracks on 24 megapixels."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print("\n| mask | crack, share | centre lines, px | processor, s | peak memory, GiB |\n|---|---|---|---|---|")
    for count in (1, 4, 16):
        mask = np.zeros((4000, 6000), bool)
        for seed in range(count):
            cracks = crack_pattern(np.random.default_rng(seed), (1000, 1500))
            y, x = seed // 4 * 1000, seed % 4 * 1500
            mask[y : y + 1000, x : x + 1500] = coverage(cracks, (1000, 1500)) >= 0.5
        start = time.process_time()
        length = measure_mask(mask).summary()["length_px"]
        spent = time.process_time() - start
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20
        print(f"| 24 MP, {count} x 1.5 MP cracked | {mask.mean():.1%} | {length:.0f} | {spent:.1f} | {grown:.2f} |")


if __name__ == "__main__":
    measure_mask(strip(50, 3, 10))  # compile first
    accuracy()
    curves()
    speed()
