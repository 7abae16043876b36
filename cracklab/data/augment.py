"""Augmentation policies, by name: `--data.augment strong`. This is the only module that uses albumentations."""

import os
import random
from typing import Any

import cv2
import numpy as np

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # otherwise its import looks for a newer version on the network

import albumentations as A

from cracklab.bounds import NonNegativeFloat, bounded
from cracklab.data.images import IGNORE, Array
from cracklab.registry import Registry

POLICIES: Registry[type["Policy"]] = Registry("cracklab.data.augment", "augmentation policy")
register = POLICIES.register

WARPED = 0.25
"""A warped pixel is crack if at least this share of it was crack: lines one pixel wide stay connected, and masks of real
cracks change little (tests/benchmarks/README.md has the tables)."""


class Policy:
    """A random change of an image and its mask: a pure function of (image, mask, generator)."""

    def __call__(
        self, image: Array, mask: Array, rng: np.random.Generator, num_classes: int = 1
    ) -> tuple[Array, Array]:
        """Augment one pair.

        Args:
            image: (H, W, 3) uint8 RGB; not modified.
            mask: (H, W) uint8 class index, 255 for ignored pixels; not modified.
            rng: the only source of randomness; the same state gives the same pair.
            num_classes: 1 for crack or not; decides how the classes of warped pixels are chosen.

        Returns:
            the augmented image and mask.
        """
        raise NotImplementedError


class Composed(Policy):
    """A sequence of transforms of albumentations, which a subclass returns from `steps`.

    Masks are warped class by class, with interpolation, because nearest-neighbour sampling breaks thin cracks. A pixel is
    crack if at least a share `WARPED` of it is crack; with several classes, it gets the class with the largest share.
    """

    def __init__(self) -> None:
        self._compose = A.Compose(self.steps(), mask_interpolation=cv2.INTER_LINEAR)

    def steps(self) -> list[Any]:
        """Return the transforms, in order."""
        raise NotImplementedError

    def __call__(
        self, image: Array, mask: Array, rng: np.random.Generator, num_classes: int = 1
    ) -> tuple[Array, Array]:
        """Augment one pair."""
        # one generator for all steps: with set_random_seed each would draw the same numbers, and flips would coincide
        self._compose.set_random_state(rng, random.Random(int(rng.integers(2**63))))
        labels = np.flatnonzero(np.bincount(mask.ravel(), minlength=256)).astype(np.uint8)
        shares = np.stack([np.where(mask == label, np.uint8(255), np.uint8(0)) for label in labels], axis=-1)
        changed = self._compose(image=image, mask=shares)
        shares = changed["mask"].reshape(*changed["image"].shape[:2], len(labels))
        result = labels[shares.argmax(axis=-1)]
        if num_classes == 1 and 1 in labels:
            result[(shares[..., labels == 1][..., 0] >= WARPED * 255) & (result != IGNORE)] = 1
        return changed["image"], result


@register("none")
class NoAugmentation(Policy):
    """No augmentation: pairs are not changed."""

    def __call__(
        self, image: Array, mask: Array, rng: np.random.Generator, num_classes: int = 1
    ) -> tuple[Array, Array]:
        """Return the pair unchanged."""
        return image, mask


@register("flips")
@bounded
class Flips(Policy):
    """The eight flips and quarter turns; in half of the cases a change of light and colour, in a quarter sensor noise.

    This is the default policy. It does without albumentations, whose transforms take ten times as long on a small crop.

    Args:
        brightness: largest change of brightness, as a share of the full range.
        contrast: largest relative change of contrast.
        cast: largest relative change of one colour channel against the others.
        noise: largest standard deviation of the noise, as a share of the full range.
    """

    def __init__(
        self,
        brightness: NonNegativeFloat = 0.15,
        contrast: NonNegativeFloat = 0.2,
        cast: NonNegativeFloat = 0.08,
        noise: NonNegativeFloat = 0.03,
    ) -> None:
        self.brightness, self.contrast, self.cast, self.noise = brightness, contrast, cast, noise

    def __call__(
        self, image: Array, mask: Array, rng: np.random.Generator, num_classes: int = 1
    ) -> tuple[Array, Array]:
        """Flip and rotate one pair; change the light, the colour and the noise of its image."""
        symmetry, tinted, noisy = rng.integers((8, 2, 4)).tolist()
        if symmetry & 4:
            image, mask = np.asarray(cv2.transpose(image), np.uint8), np.asarray(cv2.transpose(mask), np.uint8)
        if symmetry & 3:
            axis = (symmetry & 3) - 2  # -1: both, 0: vertical, 1: horizontal
            image, mask = np.asarray(cv2.flip(image, axis), np.uint8), np.asarray(cv2.flip(mask, axis), np.uint8)
        if tinted:
            image = self._tint(image, rng)
        if noisy == 0:
            sigma = np.float32(255 * self.noise * rng.random())
            grain = rng.standard_normal(mask.shape, dtype=np.float32) * sigma
            image = np.asarray(cv2.add(image, cv2.merge([grain, grain, grain]), dtype=cv2.CV_8U), np.uint8)
        return image, mask

    def _tint(self, image: Array, rng: np.random.Generator) -> Array:
        """Change contrast, brightness and colour balance with a lookup table of 256 levels."""
        amount = rng.uniform(-1, 1, 5)
        gain = (1 + self.contrast * amount[0]) * (1 + self.cast * amount[1:4])
        levels = np.arange(256)[:, None] - 127.5
        table = levels * gain + 127.5 + 255 * self.brightness * amount[4]
        return np.asarray(cv2.LUT(image, np.clip(table + 0.5, 0, 255).astype(np.uint8)[:, None]), np.uint8)


def mirrors(p: float) -> list[Any]:
    """Return a horizontal and a vertical flip, each with probability p."""
    return [A.HorizontalFlip(p=p), A.VerticalFlip(p=p)]


def gaussian_noise(low: float, high: float, p: float) -> Any:
    """Return Gaussian noise with a variance between two bounds, in squared grey levels of 0 to 255, as these papers give it."""
    return A.GaussNoise(std_range=(low**0.5 / 255, high**0.5 / 255), p=p)


MIRRORED = {"border_mode": cv2.BORDER_REFLECT_101, "mask_interpolation": cv2.INTER_LINEAR}
"""Options of a warp: pixels from outside the image are reflected, in image and mask."""


@register("chen2023")
class Chen2023(Composed):
    """The policy of Chen 2023, Figure 2, with all of its ranges.

    The figure gives no probability for its third step, "apply one of", whose two choices have 0.5 each; here one of them is
    always applied. It gives the variance of the noise; here the standard deviation is uniform between the square roots.
    """

    def steps(self) -> list[Any]:
        """Return quarter turns, flips, hue or brightness, noise, blur."""
        return [
            A.RandomRotate90(p=0.5),
            A.OneOf([A.HorizontalFlip(p=1), A.VerticalFlip(p=1), A.Sequential(mirrors(1), p=1)], p=0.5),
            A.OneOf(
                [
                    A.HueSaturationValue(hue_shift_limit=20, sat_shift_limit=30, val_shift_limit=20, p=0.5),
                    A.RandomBrightnessContrast(brightness_limit=0.2, contrast_limit=0.2, p=0.5),
                ],
                p=1,
            ),
            gaussian_noise(10, 50, p=1),
            A.GaussianBlur(blur_limit=(1, 7), sigma_limit=(1, 8), p=1),
        ]


@register("ozcan2024")
class Ozcan2024(Composed):
    """Oezcan and Schmiedecke 2024: rotation, flips, brightness and contrast, Gaussian noise.

    The paper names only the kinds of transforms. The ranges are ours: angles up to 30 degrees, brightness and contrast by
    20 %, noise as in `chen2023`.
    """

    def steps(self) -> list[Any]:
        """Return the transforms, geometric ones first."""
        return [
            A.Rotate(limit=30, p=0.5, **MIRRORED),
            *mirrors(0.5),
            A.RandomBrightnessContrast(brightness_limit=0.2, contrast_limit=0.2, p=0.5),
            gaussian_noise(10, 50, p=0.5),
        ]


@register("krasniqi2026")
class Krasniqi2026(Composed):
    """Krasniqi and Shehu 2026: "standard data augmentation", which made 260 samples of 87 photos.

    The paper does not name the transforms. Ours are flips, quarter turns, angles up to 15 degrees, and brightness and
    contrast by 20 %. The three samples per photo are a repeat count of the data, not part of the policy.
    """

    def steps(self) -> list[Any]:
        """Return the transforms, geometric ones first."""
        return [
            *mirrors(0.5),
            A.RandomRotate90(p=0.5),
            A.Rotate(limit=15, p=0.5, **MIRRORED),
            A.RandomBrightnessContrast(brightness_limit=0.2, contrast_limit=0.2, p=0.5),
        ]


@register("deopujari2025")
class Deopujari2025(Composed):
    """Deopujari 2025: horizontal and vertical flips, each with probability 0.5."""

    def steps(self) -> list[Any]:
        """Return both flips."""
        return mirrors(0.5)


@register("strong")
class Strong(Composed):
    """Flips, any rotation, scale 0.7 to 1.4, shear, elastic and perspective warps, colour, noise, blur, shadow."""

    def steps(self) -> list[Any]:
        """Return the transforms, geometric ones first."""
        return [
            A.D4(p=1),
            A.Affine(scale=(0.7, 1.4), rotate=(-45, 45), shear=(-8, 8), p=0.7, **MIRRORED),
            A.OneOf(
                [A.ElasticTransform(alpha=40, sigma=6, **MIRRORED), A.Perspective(scale=(0.02, 0.08), **MIRRORED)],
                p=0.3,
            ),
            A.HueSaturationValue(hue_shift_limit=10, sat_shift_limit=20, val_shift_limit=20, p=0.7),
            A.RandomBrightnessContrast(brightness_limit=0.2, contrast_limit=0.2, p=0.7),
            A.GaussNoise(std_range=(0.01, 0.04), noise_scale_factor=0.5, p=0.35),
            A.OneOf([A.GaussianBlur(sigma_limit=(0.3, 1.2), blur_limit=0), A.MotionBlur(blur_limit=(3, 5))], p=0.2),
            A.RandomShadow(p=0.2),
        ]
