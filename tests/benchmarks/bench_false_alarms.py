"""False alarms: the area predicted as crack on photos without any, and what is mistaken for a crack.

    python tests/benchmarks/bench_false_alarms.py [--ckpt_path cracklab:cracks] [--count 60] [--kinds 20] [--picture FILE.jpg]

prints the false area on drawn photos without a crack and on the pictures of surfaces that scikit-image ships. `--kinds 20` prints
the false area by kind of what is drawn: 20 photos each show one kind of surface, or one kind of mark, object or weathering on
concrete. The photos of a kind differ from those of plain concrete in nothing else, so that the difference is due to the kind.
`--picture FILE.jpg` writes a picture of false alarms and of cracks that are missed, all on drawn photos. `--scales 1` overrides the
scales of the checkpoint.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray

from cracklab import pictures
from cracklab.predict.load import load
from cracklab.predict.predictor import Predictor
from cracklab.predict.scales import parse_scales
from cracklab.synthetic.randomized import objects, surfaces
from cracklab.synthetic.randomized.camera import random_focus, take
from cracklab.synthetic.randomized.draw import SCALE, SURFACES, WEATHER, draw
from cracklab.synthetic.randomized.fields import Floats
from cracklab.synthetic.randomized.marks import MARKS

SIDE = 512
"""Height and width of the drawn photos, px."""
GOAL = 0.05
"""Largest false area, %."""
ALARMS = {"surface stones": 7, "shadow": 8, "object grass": 7, "mark sealed_crack": 5, "object leaves": 2}
"""Kind and seed of the photos whose false alarms are shown."""
MISSES = {"dust in the crack": 29, "cracks among stones": 8, "wide, out of focus": 41}
"""Title and seed of the photos whose missed cracks are shown."""
PICTURES = ("brick", "grass", "gravel")
Photo = NDArray[np.uint8]
Scene = Callable[[Generator, Floats, float], Floats]
"""Changes an image of plain concrete, given a generator and the scale."""


def false_area(predictor: Predictor, photo: Photo) -> float:
    """Return the share of a photo without a crack that is predicted as crack, %."""
    return float(100 * (predictor.predict(photo, keep_probability=None).mask > 0).mean())


def crack_free(count: int, side: int = SIDE) -> Iterator[Photo]:
    """Yield drawn photos without a crack."""
    seed = 1_000_000
    while count:
        photo, mask = draw(np.random.default_rng(seed), (side, side))
        seed += 1
        if not mask.any():
            count -= 1
            yield photo


def print_alarms(predictor: Predictor, count: int) -> None:
    """Print the false area on photos without a crack."""
    from skimage import data

    area = np.array([false_area(predictor, photo) for photo in crack_free(count)])
    print(f"| {count} drawn photos, mean, % | largest | above {GOAL} % | {' | '.join(PICTURES)} |")
    print(f"|--:|--:|--:|{'--:|' * len(PICTURES)}")
    cells = [f"{false_area(predictor, getattr(data, name)()):.3f}" for name in PICTURES]
    print(f"| {area.mean():.3f} | {area.max():.2f} | {(area > GOAL).sum()} | {' | '.join(cells)} |", flush=True)


def of_surface(surface: surfaces.Draw) -> Scene:
    """Return a scene that is another surface instead of concrete."""
    return lambda rng, image, scale: surface(rng, (image.shape[1], image.shape[2]), scale)


def with_object(thing: objects.Thing) -> Scene:
    """Return a scene with an object in front of the concrete."""
    return lambda rng, image, scale: objects.place(rng, image, thing, scale)[0]


def with_shadow(rng: Generator, image: Floats, scale: float) -> Floats:
    """Return concrete with a shadow of an edge, branches or wires: `shadows` draws none in most photos, in one channel."""
    light: Floats = np.ones((1, 1, 1), np.float32)
    while len(light) == 1:
        light = objects.shadows(rng, (image.shape[1], image.shape[2]), scale)
    return image * light


def scenes() -> dict[str, Scene]:
    """Return every kind of scene."""
    found: dict[str, Scene] = {f"surface {one.__name__}": of_surface(one) for one, _ in SURFACES}
    found |= {f"weathering {one.__name__}": one for one, _ in WEATHER}
    found |= {f"mark {one.__name__}": one for one, _ in MARKS}
    found |= {f"object {one.__name__}": with_object(one) for one, _ in objects.THINGS}
    return {**found, "shadow": with_shadow}


def scene_photo(scene: Scene, seed: int, side: int = SIDE) -> Photo:
    """Draw a photo of a scene; concrete, scale and camera follow from the seed alone."""
    base, change, camera = np.random.default_rng(seed).spawn(3)
    scale = float(np.exp(base.uniform(*np.log(SCALE))))
    image = scene(change, surfaces.concrete(base, (side, side), scale), scale)
    return take(camera, np.asarray(np.clip(image, 0.02, 1.2), np.float32), random_focus(camera))


def print_kinds(predictor: Predictor, count: int) -> None:
    """Print the false area by kind of scene, the largest first."""
    area = {
        name: np.array([false_area(predictor, scene_photo(scene, seed)) for seed in range(count)])
        for name, scene in scenes().items()
    }
    print(f"\n| {count} photos each of | false area, mean, % | largest | photos above {GOAL} % | seed of the largest |")
    print("|---|--:|--:|--:|--:|")
    for name in sorted(area, key=lambda name: -area[name].mean()):
        one = area[name]
        print(f"| {name} | {one.mean():.3f} | {one.max():.2f} | {(one > GOAL).sum()} | {one.argmax()} |", flush=True)


def write_picture(predictor: Predictor, path: Path, side: int = 184) -> None:
    """Write photos on which the model fails, each above its errors in colour."""
    shown = {}
    for name, seed in ALARMS.items():
        photo = scene_photo(scenes()[name], seed)
        shown[name.rpartition(" ")[2].replace("_", " ")] = photo, np.zeros(photo.shape[:2], np.bool_)
    for name, seed in MISSES.items():
        photo, mask = draw(np.random.default_rng(seed), (256, 256))
        shown[name] = photo, mask > 0
    tiles = []
    for photo, truth in shown.values():
        errors = pictures.error_overlay(photo, truth, predictor.predict(photo).mask > 0)
        pair = [cv2.resize(one, (side, side), interpolation=cv2.INTER_AREA) for one in (photo, errors)]
        tiles.append(np.concatenate(pair))
    half = len(tiles) // 2
    rows = [pictures.side_by_side(tiles[part], list(shown)[part]) for part in (slice(half), slice(half, None))]
    cv2.imwrite(str(path), pictures.stack_rows(rows)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 75])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ckpt_path", default="cracklab:cracks")
    parser.add_argument("--scales", type=parse_scales)
    parser.add_argument("--count", type=int, default=60, help="drawn photos without a crack")
    parser.add_argument("--kinds", type=int, default=0, metavar="COUNT", help="photos of each kind")
    parser.add_argument("--picture", type=Path, help="a file to write")
    options = parser.parse_args()
    torch.set_num_threads(1)
    start = time.monotonic()
    model = load(options.ckpt_path, "cpu", scales=options.scales)
    for count, show in ((options.count, print_alarms), (options.kinds, print_kinds)):
        if count:
            show(model, count)
    if options.picture:
        write_picture(model, options.picture)
    print(f"\n{time.monotonic() - start:.0f} s")
