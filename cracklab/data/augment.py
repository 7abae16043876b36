"""Augmentation policies, by name: `--data.augment strong`. The only place that knows albumentations."""

import os
import random
from typing import Any

import cv2
import numpy as np

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else its import looks for a newer version on the network

import albumentations as A

from cracklab.data.images import Array
from cracklab.registry import Registry

POLICIES: Registry[type["Policy"]] = Registry("cracklab.data.augment", "augmentation policy")
register = POLICIES.register


class Policy:
    """Changes a pair at random: a pure function of (image, mask, generator)."""

    def __call__(self, image: Array, mask: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        """Change one pair.

        Args:
            image: (H, W, 3) uint8 RGB; not written to.
            mask: (H, W) uint8 class index, 255 where a pixel counts nowhere; not written to.
            rng: where chance comes from; the same state gives the same pair.
        """
        raise NotImplementedError


class Composed(Policy):
    """A chain of albumentations' transforms: a subclass lists them in `steps`.

    Masks are warped class by class, with interpolation, and the largest share wins: nearest sampling breaks thin
    cracks.
    """

    def __init__(self) -> None:
        self._compose = A.Compose(self.steps(), mask_interpolation=cv2.INTER_LINEAR)

    def steps(self) -> list[Any]:
        """The transforms, in order."""
        raise NotImplementedError

    def __call__(self, image: Array, mask: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        """Change one pair."""
        # one generator for all steps: set_random_seed would give each the same draws, so that flips would coincide
        self._compose.set_random_state(rng, random.Random(int(rng.integers(2**63))))
        labels = np.flatnonzero(np.bincount(mask.ravel(), minlength=256)).astype(np.uint8)
        shares = np.stack([np.where(mask == label, np.uint8(255), np.uint8(0)) for label in labels], axis=-1)
        changed = self._compose(image=image, mask=shares)
        winner = changed["mask"].reshape(*changed["image"].shape[:2], len(labels)).argmax(axis=-1)
        return changed["image"], labels[winner]


@register("none")
class Nothing(Policy):
    """Leaves every pair as it is."""

    def __call__(self, image: Array, mask: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        """The pair itself."""
        return image, mask


@register("flips")
class Flips(Policy):
    """The eight flips and quarter turns; half of the time light and colour, a quarter of the time sensor noise.

    Written out, since it is the default: a tenth of the time that a chain of transforms takes on a small crop.

    Args:
        brightness: largest change of brightness, as a share of the full range.
        contrast: largest relative change of contrast.
        cast: largest relative change of one colour against the others.
        noise: largest standard deviation of noise, as a share of the full range.
    """

    def __init__(
        self, brightness: float = 0.15, contrast: float = 0.2, cast: float = 0.08, noise: float = 0.03
    ) -> None:
        self.brightness, self.contrast, self.cast, self.noise = brightness, contrast, cast, noise

    def __call__(self, image: Array, mask: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        """Turn, flip, tint and roughen one pair."""
        symmetry, tinted, noisy = rng.integers((8, 2, 4)).tolist()
        if symmetry & 4:
            image, mask = np.asarray(cv2.transpose(image), np.uint8), np.asarray(cv2.transpose(mask), np.uint8)
        if symmetry & 3:
            axis = (symmetry & 3) - 2  # -1 both, 0 up and down, 1 left and right
            image, mask = np.asarray(cv2.flip(image, axis), np.uint8), np.asarray(cv2.flip(mask, axis), np.uint8)
        if tinted:
            image = self._tint(image, rng)
        if noisy == 0:
            sigma = np.float32(255 * self.noise * rng.random())
            grain = rng.standard_normal(mask.shape, dtype=np.float32) * sigma
            image = np.asarray(cv2.add(image, cv2.merge([grain, grain, grain]), dtype=cv2.CV_8U), np.uint8)
        return image, mask

    def _tint(self, image: Array, rng: np.random.Generator) -> Array:
        """Change contrast, brightness and the balance of colours, by a table of 256 levels."""
        amount = rng.uniform(-1, 1, 5)
        gain = (1 + self.contrast * amount[0]) * (1 + self.cast * amount[1:4])
        levels = np.arange(256)[:, None] - 127.5
        table = levels * gain + 127.5 + 255 * self.brightness * amount[4]
        return np.asarray(cv2.LUT(image, np.clip(table + 0.5, 0, 255).astype(np.uint8)[:, None]), np.uint8)


def colour(p: float) -> list[Any]:
    """Light, colour and sensor noise, each with probability p."""
    return [
        A.HueSaturationValue(hue_shift_limit=10, sat_shift_limit=20, val_shift_limit=20, p=p),
        A.RandomBrightnessContrast(brightness_limit=0.2, contrast_limit=0.2, p=p),
        A.GaussNoise(std_range=(0.01, 0.04), noise_scale_factor=0.5, p=p / 2),
    ]


@register("strong")
class Strong(Composed):
    """Flips and turns, any rotation, scale 0.7 to 1.4, elastic and perspective warps, colour, blur, shadow.

    Borders are mirrored, in mask and image alike.
    """

    def steps(self) -> list[Any]:
        """Geometry first."""
        mirrored = {"border_mode": cv2.BORDER_REFLECT_101, "mask_interpolation": cv2.INTER_LINEAR}
        return [
            A.D4(p=1),
            A.Affine(scale=(0.7, 1.4), rotate=(-45, 45), shear=(-8, 8), p=0.7, **mirrored),
            A.OneOf(
                [A.ElasticTransform(alpha=40, sigma=6, **mirrored), A.Perspective(scale=(0.02, 0.08), **mirrored)],
                p=0.3,
            ),
            *colour(0.7),
            A.OneOf([A.GaussianBlur(sigma_limit=(0.3, 1.2), blur_limit=0), A.MotionBlur(blur_limit=(3, 5))], p=0.2),
            A.RandomShadow(p=0.2),
        ]
