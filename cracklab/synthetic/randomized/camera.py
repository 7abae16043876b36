"""The camera: focus, motion, exposure, colour, vignetting, noise, sharpening, 8 bits, JPEG."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from cracklab.synthetic.randomized.fields import Floats, blend, colour, noise, white


class Focus(NamedTuple):
    """How sharp a photo is.

    Args:
        defocus: standard deviation of the blur by lens and sensor, px.
        motion: length of the path of the camera during the exposure, px.
        direction: of the motion, radians.
        enlarged: factor by which the photo was enlarged after it was taken; 1 for none.
    """

    defocus: float
    motion: float
    direction: float
    enlarged: float

    @property
    def sigma(self) -> float:
        """Standard deviation of the whole blur, px; that of a square pixel is sqrt(1/12), that of a path its length / sqrt(12)."""
        return float(np.sqrt(self.defocus**2 + (self.motion**2 / 4 + self.enlarged**2) / 12))


def random_focus(rng: Generator) -> Focus:
    """Draw how sharp a photo is: most are sharp, a fifth are blurred, an eighth were enlarged."""
    soft = rng.random()
    defocus = rng.uniform(0.3, 0.8) if soft < 0.75 else rng.uniform(0.8, 1.6) if soft < 0.93 else rng.uniform(1.6, 4)
    motion = rng.uniform(2, 8) if rng.random() < 0.06 else 0.0
    enlarged = rng.uniform(1.3, 3.5) if rng.random() < 0.12 else 1.0
    return Focus(float(defocus), float(motion), float(rng.uniform(0, np.pi)), float(enlarged))


def take(rng: Generator, scene: Floats, focus: Focus) -> NDArray[np.uint8]:
    """Take the photo of a scene (3, H, W); return it as (H, W, 3) uint8, RGB."""
    image = cv2.merge(list(_exposed(rng, scene)))
    image = _blurred(image, focus)
    if rng.random() < 0.25:
        sharp = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.7, 1.5))
        amount = rng.uniform(0.3, 1.8)
        image = cv2.addWeighted(image, 1 + amount, sharp, -amount, 0)
    pixels = cv2.convertScaleAbs(np.maximum(image, 0), alpha=255)
    pixels = _noisy(rng, pixels)
    if rng.random() < 0.85:
        quality = int(rng.integers(30, 96))
        _, file = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        pixels = np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR), np.uint8)[..., ::-1]
    return np.ascontiguousarray(pixels)


def _exposed(rng: Generator, scene: Floats) -> Floats:
    """Apply exposure, contrast, the tone curve, colour cast, saturation, haze and vignetting."""
    cast = 1 + rng.normal(0, 0.04, 3).astype(np.float32)[:, None, None]
    grey = scene.mean(axis=0)
    saturation = 0.0 if rng.random() < 0.06 else rng.uniform(0.3, 1.3)
    image = grey + (scene - grey) * np.float32(saturation)
    # aim at the middle grey that an automatic exposure aims at, and miss it
    gain = rng.uniform(0.25, 0.7) / max(0.05, float(grey.mean())) if rng.random() < 0.9 else rng.uniform(0.3, 1.3)
    image = image * (np.float32(gain) * cast)
    contrast = rng.uniform(0.6, 1.5)
    image = (image - np.float32(0.4)) * np.float32(contrast) + np.float32(0.4)
    if rng.random() < 0.3:
        height, width = grey.shape
        y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        image = image * (1 - rng.uniform(0.1, 0.5) * (x * x + y * y) / 2).astype(np.float32)
    haze = np.full((1, 1), rng.uniform(0, 0.25) if rng.random() < 0.3 else 0.0, np.float32)
    return blend(image, colour(0.8, 0.85, 0.9), haze)


def _blurred(image: Floats, focus: Focus) -> Floats:
    height, width = image.shape[:2]
    if focus.enlarged > 1:
        small = (max(8, round(width / focus.enlarged)), max(8, round(height / focus.enlarged)))
        reduced = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        image = np.asarray(cv2.resize(reduced, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)
    if focus.motion:
        side = 2 * int(np.ceil(focus.motion / 2)) + 1
        kernel = np.zeros((side, side), np.uint8)
        reach = focus.motion / 2 * np.array([np.cos(focus.direction), np.sin(focus.direction)])
        ends = np.rint(16 * (side // 2 + np.array([-reach, reach]))).astype(int).tolist()
        cv2.line(kernel, ends[0], ends[1], 255, 1, cv2.LINE_AA, 4)
        image = np.asarray(cv2.filter2D(image, -1, kernel / np.float32(kernel.sum())), np.float32)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), focus.defocus), np.float32)


def _noisy(rng: Generator, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Add the noise of the sensor, grey or coloured, fine or smeared by noise reduction."""
    size = pixels.shape[0], pixels.shape[1]
    sigma = 255 * np.exp(rng.uniform(np.log(0.002), np.log(0.06)))
    smeared = rng.random() < 0.3
    fields = [noise(rng, size, rng.uniform(1.2, 2.5)) if smeared else white(rng, size)]
    fields += [white(rng, size) for _ in range(2)] if rng.random() < 0.4 else []
    fine = cv2.merge([fields[0] * np.float32(sigma), *[field * np.float32(sigma) for field in (fields * 3)[1:3]]])
    return np.asarray(cv2.add(pixels, fine, dtype=cv2.CV_8U), np.uint8)
