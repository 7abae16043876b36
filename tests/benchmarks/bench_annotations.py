"""Masks against what the layouts read back from the files of `cracklab predict --annotations`, and time for 24 megapixels.

python tests/benchmarks/bench_annotations.py --data DEEPCRACK
"""

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from cracklab.data.images import read_mask
from cracklab.data.layouts import LAYOUTS
from cracklab.data.layouts.shapes import rasterise
from cracklab.data.photos import Photo
from cracklab.predict.annotations import Annotations, Form
from cracklab.predict.load import load
from cracklab.predict.outlines import crack_polygons

FILES: tuple[tuple[str, Form], ...] = (
    ("coco", "polygons"),
    ("cvat", "polygons"),
    ("labelme", "polygons"),
    ("cvat", "lines"),
    ("labelme", "lines"),
)


def main() -> None:
    """Print IoU and number of points per mask for each format, and then time and memory for a large mask."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of DeepCrack")
    parser.add_argument("--true", type=int, default=60, help="number of true masks")
    parser.add_argument("--predicted", type=int, default=10, help="number of masks from cracklab:cracks")
    options = parser.parse_args()
    paths = sorted((options.data / "test_img").glob("*.jpg"))
    true, predicted = spread(paths, options.true), spread(paths, options.predicted)
    model = load("cracks", "cpu")
    masks = {
        "true": {path: read_mask(str(options.data / "test_lab" / f"{path.stem}.png")) > 0 for path in true},
        "predicted": {path: model.predict(path, keep_probability=None).mask > 0 for path in predicted},
    }
    print("| masks | file | lowest IoU | median IoU | IoU below 1 | points per mask, median | most |")
    print("|---|---|---|---|---|---|---|")
    for kind, group in masks.items():
        for name, form in FILES:
            for reader, scores, points in round_trip(group, name, form):
                print(
                    f"| {len(group)} {kind} | {name}, {form}{reader} | {min(scores):.4f} | {np.median(scores):.4f} "
                    f"| {sum(score < 1 for score in scores)} | {np.median(points):.0f} | {max(points)} |"
                )
    large()


def spread(paths: list[Path], count: int) -> list[Path]:
    """Return `count` paths, evenly spread."""
    return [paths[i] for i in np.linspace(0, len(paths) - 1, count).round().astype(int)]


def round_trip(masks: dict[Path, np.ndarray], name: str, form: Form) -> Iterator[tuple[str, list[float], list[int]]]:
    """Yield IoU and points of each mask as the layout reads them, and as pycocotools does, if it is installed."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        photos = [Photo(path, path.stem) for path in masks]
        for photo in photos:
            cv2.imwrite(str(out / f"{photo.name}.png"), masks[photo.path] * np.uint8(255))
        failed = Annotations([name], form, photos, out).write(photos, ("crack",))
        if failed:
            raise SystemExit(f"failed: {failed}")
        layout = LAYOUTS[name]() if name == "labelme" else LAYOUTS[name](images=str(photos[0].path.parent))
        records, _ = layout.index(out / "labelme" if name == "labelme" else out)
        found = {Path(record.image).stem: layout.read(record)[1] > 0 for record in records}
        shapes = {Path(path).stem: entries for path, (entries, _) in layout._shapes.items()}
        points = [sum(len(shape.points) for shape in shapes[path.stem]) for path in masks]
        yield "", [iou(mask, found[path.stem]) for path, mask in masks.items()], points
        if name == "coco":
            yield from with_pycocotools(masks, out / "annotations.json", points)


def with_pycocotools(
    masks: dict[Path, np.ndarray], file: Path, points: list[int]
) -> Iterator[tuple[str, list[float], list[int]]]:
    """Yield the same for the masks that pycocotools draws."""
    try:
        from pycocotools import mask as tool
    except ImportError:
        return
    content = json.loads(file.read_text())
    names = {image["id"]: Path(image["file_name"]).stem for image in content["images"]}
    drawn = {path.stem: np.zeros_like(mask) for path, mask in masks.items()}
    for entry in content["annotations"]:
        mask = drawn[names[entry["image_id"]]]
        mask |= tool.decode(tool.merge(tool.frPyObjects(entry["segmentation"], *mask.shape))) > 0
    yield ", by pycocotools", [iou(mask, drawn[path.stem]) for path, mask in masks.items()], points


def iou(one: np.ndarray, other: np.ndarray) -> float:
    """Return intersection over union; 1 if both are empty."""
    union = np.count_nonzero(one | other)
    return np.count_nonzero(one & other) / union if union else 1.0


def large() -> None:
    """Print processor seconds and additional peak memory for wandering cracks of 3 to 9 px on 24 megapixels."""
    print("\n| mask | parts | points | processor, s | additional peak memory, GiB | drawn again, s |")
    print("|---|---|---|---|---|---|")
    for count in (10, 100):
        rng = np.random.default_rng(0)
        canvas = np.zeros((4000, 6000), np.uint8)
        for _ in range(count):
            line = np.cumsum(rng.normal(rng.normal(0, 20, 2), 15, (60, 2)), axis=0) + rng.uniform(0, (6000, 4000))
            cv2.polylines(canvas, [line.astype(np.int32)], False, 1, int(rng.integers(3, 10)))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start = time.process_time()
        cracks = crack_polygons(canvas > 0, "crack")
        spent = time.process_time() - start
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20
        shapes = [shape for crack in cracks for shape in crack]
        start = time.process_time()
        if not np.array_equal(rasterise(shapes, *canvas.shape), canvas):
            raise SystemExit("the polygons do not give the mask back")
        again = time.process_time() - start
        points = sum(len(shape.points) for shape in shapes)
        print(
            f"| 24 MP, {count} cracks, {canvas.mean():.1%} | {len(cracks)} | {points} | {spent:.1f} | {grown:.2f} "
            f"| {again:.2f} |"
        )


if __name__ == "__main__":
    main()
