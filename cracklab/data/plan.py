"""A plan: the settings of a training that follow from its data, where the configuration says `auto`.

A setting with any other value is kept.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cracklab.batch import GRID

SMALLEST_CROP, LARGEST_CROP = 256, 768
"""Bounds of the side of a random crop, px."""
WIDTHS = 32
"""A crop is as long as this number of crack widths, so that a net sees more than a crack."""
ROOM = 1.2
"""Images are cropped if they are longer than a crop by this factor; crops of nearly the same size would differ by little."""
PIXELS = 8 * 256**2
"""Number of pixels in a batch that is chosen."""
SMALLEST_BATCH, LARGEST_BATCH = 2, 16
"""Bounds of the number of images in a batch that is chosen."""
STEPS, EPOCHS = 1500, 40
"""A training takes at least this number of steps, and sees each image at least this number of times."""
STEPS_PER_EPOCH = 30
"""An epoch has at least this number of steps, since each ends with a validation and a checkpoint. So few images take at most 50 epochs."""
SAMPLED = 300
"""Number of images, evenly spread, beyond which sizes and crack widths are measured on a part of them."""
FEW_STEPS, FEW_VALIDATION, FEW_TEST = 500, 10, 20
"""Numbers of steps, of validation images and of test images below which a plan warns."""


def sample(positions: Sequence[int]) -> Sequence[int]:
    """Return the positions of the images that are measured.

    Example:
        >>> sample(range(5)), len(sample(range(1000)))
        (range(0, 5), 334)
    """
    return positions[:: max(1, len(positions) // SAMPLED)]


def validation_share(images: int) -> float:
    """Return the share of the images that becomes validation: a tenth, and up to a fifth of fewer than 100 images.

    Example:
        >>> [round(images * validation_share(images)) for images in (10, 40, 70, 100, 300)]
        [2, 8, 10, 10, 30]
    """
    return max(0.1, min(0.2, 10 / max(images, 1)))


def crop_side(side: float, width_px: float) -> int | None:
    """Return the side of random crops, px; None: whole images.

    Args:
        side: median of the shorter sides of the images, px.
        width_px: of wide cracks, their 95th percentile, px.

    Example:
        >>> crop_side(320, 5), crop_side(3000, 20), crop_side(96, 2)
        (256, 640, None)
    """
    wanted = np.clip(WIDTHS * width_px, SMALLEST_CROP, LARGEST_CROP)
    crop = GRID * int(min(wanted, side / ROOM) // GRID)
    return crop if crop >= SMALLEST_CROP else None


def batch_size(height: int, width: int) -> int:
    """Return the number of images in a batch of images of this size, px.

    Example:
        >>> batch_size(96, 96), batch_size(256, 256), batch_size(640, 640)
        (16, 8, 2)
    """
    fitting = np.clip(PIXELS / (height * width), SMALLEST_BATCH, LARGEST_BATCH)
    return int(2 ** math.floor(math.log2(fitting)))


def repeats(samples: int, batch: int) -> int:
    """Return how often each image is drawn in an epoch.

    Args:
        samples: number of training samples if each image is drawn once; an image of a source with a weight counts that many times.
        batch: number of images in a batch.

    Example:
        >>> repeats(8, 8), repeats(32, 8), repeats(300, 8)
        (30, 8, 1)
    """
    return max(1, math.ceil(STEPS_PER_EPOCH * batch / samples))


def epochs(steps_per_epoch: int) -> int:
    """Return the number of epochs of a training.

    Example:
        >>> epochs(30), epochs(34), epochs(100)
        (50, 45, 40)
    """
    return max(EPOCHS, math.ceil(STEPS / steps_per_epoch))


@dataclass(frozen=True)
class Choice:
    """Crops and batches as they are given, or `auto`."""

    crop: int | Literal["auto"] | None
    """Side of the random crops, px; None: whole images."""
    batch: int | Literal["auto"]
    """Number of images in a batch."""

    def resolve(
        self, sizes: Sequence[tuple[int, int]], width_px: float, images: int, may_crop: bool
    ) -> tuple[int | None, int]:
        """Return the side of the random crops, px, and the number of images in a batch.

        Args:
            sizes: height and width of the training images as they are prepared, px; whole images are padded to the largest of a batch.
            width_px: of wide cracks, px.
            images: number of training images.
            may_crop: whether crops may be chosen.

        Example:
            >>> Choice("auto", "auto").resolve([(320, 480)], 5, images=32, may_crop=True)
            (256, 8)
            >>> Choice(None, 16).resolve([(320, 480)], 5, images=32, may_crop=True)
            (None, 16)
        """
        crop = self.crop
        if crop == "auto":
            crop = crop_side(min(median_size(sizes)), width_px) if may_crop else None
        if self.batch != "auto":
            return crop, self.batch
        height, width = np.max(sizes, axis=0) if crop is None else (crop, crop)
        return crop, min(batch_size(height, width), max(images, SMALLEST_BATCH))


@dataclass(frozen=True)
class Plan:
    """The course of a training, whether planned or configured."""

    train: int
    """Number of training images, as for the next two."""
    val: int
    test: int
    size: tuple[int, int]
    """Median height and width of the training images, px."""
    crop: int | None
    """Side of the random crops, px."""
    batch: int
    """Number of images in a batch."""
    repeat: int = 1
    """How often each image is drawn in an epoch."""
    epochs: int | None = None
    """Number of epochs; None if unknown, as are the next two."""
    steps: int | None = None
    validations: int | None = None
    done: int = 0
    """Number of steps that a resumed run has done."""
    seconds: float | None = None
    """Estimate of the time that the steps to do take."""

    def lines(self, title: str = "plan", others: Sequence["Plan"] = ()) -> list[str]:
        r"""Return the plan in a few lines, with its warnings.

        Args:
            title: subject of the plan.
            others: plans of the other folds.

        Example:
            >>> plan = Plan(32, 4, 4, (320, 480), 256, 8, repeat=8, epochs=47, steps=1504, validations=47, seconds=540)
            >>> print("\n".join(plan.lines()))
            plan: 32 training images of 480 x 320 px, random crops of 256 px, batches of 8
              1,504 steps in 47 epochs of 8 times each image, validated 47 times, about 9 minutes here
              only 4 validation images to choose the epoch and the threshold by: `cracklab kfold` uses every image
              only 4 test images to compare runs by: `cracklab kfold` tests on every image
        """
        plans = [self, *others]
        images = counted([plan.train for plan in plans], "training image")
        small, large = (f"{width} x {height}" for height, width in extremes([plan.size for plan in plans]))
        crops = [plan.crop for plan in plans if plan.crop]
        crop = f"random crops of {span(crops)} px{'' if len(crops) == len(plans) else ' or none'}, " if crops else ""
        batch = span([plan.batch for plan in plans])
        lines = [f"{title}: {images} of {small}{f' to {large}' if large != small else ''} px, {crop}batches of {batch}"]
        if self.steps is not None:
            time = "" if self.seconds is None else f", about {as_minutes(self.seconds)} here"
            if self.done:
                left = self.steps - self.done
                time = f"; {left:,} step{plural(left)} to do{time}" if left else "; nothing is left to do"
            steps, epochs = (counted([getattr(p, f"{one}s") for p in plans], one) for one in ("step", "epoch"))
            repeats = counted([plan.repeat for plan in plans], "time")
            times = "" if repeats == "1 time" else f" of {repeats} each image"
            validated = "" if self.validations is None else counted([p.validations for p in plans], "time")
            lines.append(f"  {steps} in {epochs}{times}{validated and f', validated {validated}'}{time}")
        return lines + [f"  {warning}" for warning in self.warnings(others)]

    def warnings(self, others: Sequence["Plan"] = ()) -> list[str]:
        """Return a warning for each number that is too small, with the remedy; folds together test on every image."""
        plans, found = [self, *others], []
        if self.steps is not None and min(plan.steps or 0 for plan in plans) < FEW_STEPS:
            steps = counted([plan.steps for plan in plans], "step")
            found.append(f"only {steps}: leave trainer.max_epochs and max_steps out for at least {STEPS:,}")
        if 0 < min(plan.val for plan in plans) < FEW_VALIDATION:
            remedy = "raise data.val_fraction for more" if others else "`cracklab kfold` uses every image"
            images = counted([plan.val for plan in plans], "validation image")
            found.append(f"only {images} to choose the epoch and the threshold by: {remedy}")
        if 0 < self.test < FEW_TEST and not others:
            images = counted([self.test], "test image")
            found.append(f"only {images} to compare runs by: `cracklab kfold` tests on every image")
        return found


def counted(numbers: Sequence[int | None], noun: str) -> str:
    """Return a count with its noun; different counts become a range.

    Example:
        >>> counted([1], "step"), counted([1504, 1504], "step"), counted([10, 3], "step")
        ('1 step', '1,504 steps', '3 to 10 steps')
    """
    known = [number for number in numbers if number is not None]
    return f"{span(known)} {noun}{plural(max(known))}"


def span(numbers: Sequence[int]) -> str:
    """Return the range of numbers in words.

    Example:
        >>> span([1504, 3]), span([2, 2])
        ('3 to 1,504', '2')
    """
    least, most = min(numbers), max(numbers)
    return f"{least:,}{f' to {most:,}' if most > least else ''}"


def plural(number: int | None) -> str:
    """Return the ending of a noun after its number.

    Example:
        >>> plural(1), plural(2)
        ('', 's')
    """
    return "" if number == 1 else "s"


def as_minutes(seconds: float) -> str:
    """Return a rough time in words.

    Example:
        >>> as_minutes(40), as_minutes(540), as_minutes(30000)
        ('1 minute', '9 minutes', '8.3 hours')
    """
    minutes = max(1, round(seconds / 60))
    return f"{minutes} minute{plural(minutes)}" if minutes < 120 else f"{seconds / 3600:.1f} hours"


def extremes(sizes: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the sizes with the smallest and the largest area."""
    return min(sizes, key=math.prod), max(sizes, key=math.prod)


def median_size(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Return the medians of heights and of widths, px.

    Example:
        >>> median_size([(10, 20), (30, 20), (12, 24)])
        (12, 20)
    """
    height, width = np.median(np.array(sizes), axis=0)
    return int(height), int(width)
