"""Write a small data set in the layout of a configuration, as `data.root` would hold it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from cracklab.data.layouts.scenes import CITYSCAPES
from cracklab.synthetic.draw import draw

SIDE = 64
COUNTS = {"train": 12, "val": 4, "test": 4}
"""Number of photos on each side."""

Pair = tuple[np.ndarray, np.ndarray]


def pairs(side: str, classes: int = 1) -> list[Pair]:
    """Draw photos with masks of cracks, or of patches of several classes."""
    drawn = []
    for i in range(COUNTS[side]):
        seed = 100 * list(COUNTS).index(side) + i
        image, mask = draw(seed, size=(SIDE, SIDE))
        if classes > 1:
            patches = np.random.default_rng(seed).integers(0, classes, (8, 8), dtype=np.uint8)
            mask = np.kron(patches, np.ones((SIDE // 8, SIDE // 8), np.uint8))
        drawn.append((image, mask))
    return drawn


def save(path: Path, values: np.ndarray) -> None:
    """Write an image file; three channels are RGB."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), values[..., ::-1] if values.ndim == 3 else values)


def deepcrack(root: Path, options: Mapping[str, Any]) -> None:
    for side in ("train", "test"):
        for i, (image, mask) in enumerate(pairs(side)):
            save(root / f"{side}_img" / f"{side}{i}.jpg", image)
            save(root / f"{side}_lab" / f"{side}{i}.png", mask * 255)


def folders(root: Path, options: Mapping[str, Any]) -> None:
    classes = options["num_classes"]
    for i, (image, mask) in enumerate(pairs("train", classes)):
        save(root / options["images"] / f"photo{i}.jpg", image)
        name = options["mask_pattern"].format(stem=f"photo{i}")
        save(root / options["masks"] / f"{name}.png", mask * (255 if classes == 1 else 1))


def table(root: Path, options: Mapping[str, Any]) -> None:
    rows = ["image,mask,group,split"]
    for side in COUNTS:
        for i, (image, mask) in enumerate(pairs(side, options["num_classes"])):
            rows.append(f"i/{side}{i}.jpg,m/{side}{i}.png,{side}{i},{side}")
            save(root / f"i/{side}{i}.jpg", image)
            save(root / f"m/{side}{i}.png", mask * (255 if options["num_classes"] == 1 else 1))
    (root / options["file"]).write_text("\n".join(rows))


def crack500(root: Path, options: Mapping[str, Any]) -> None:
    for number, side in enumerate(COUNTS):
        for i, (image, mask) in enumerate(pairs(side)):
            stem = f"2016022{number}_0808{i:02d}" + ("_1_361" if options["part"] == "crop" else "")
            save(root / f"{side}{options['part']}/{stem}.jpg", image)
            save(root / f"{side}{options['part']}/{stem}_mask.png", mask * 255)


def crack_collection(root: Path, options: Mapping[str, Any]) -> None:
    for i, (image, mask) in enumerate(pairs("train")):
        name = f"{('CFD', 'forest', 'Volker_DSC01646')[i % 3]}_{i:03d}"
        save(root / f"images/{name}.jpg", image)
        save(root / f"masks/{name}.jpg", mask * 255)


def fcd108(root: Path, options: Mapping[str, Any]) -> None:
    for folder, side in (("train", "train"), ("valid", "val")):
        for i, (image, mask) in enumerate(pairs(side)):
            save(root / folder / f"{side}{i}.jpg", image)
            save(root / folder / f"{side}{i}_mask.png", mask * 255)


def camvid(root: Path, options: Mapping[str, Any]) -> None:
    for side in COUNTS:
        for i, (image, mask) in enumerate(pairs(side, 12)):
            save(root / f"{side}_img/{side}{i}.png", image)
            save(root / f"{side}_lab/{side}{i}.png", mask)


def cityscapes(root: Path, options: Mapping[str, Any]) -> None:
    label_ids = np.array([0, *CITYSCAPES.values()], np.uint8)
    for side in ("train", "val"):
        for i, (image, mask) in enumerate(pairs(side, len(label_ids))):
            name = f"{side}/aachen/aachen_{i:06d}_000019"
            save(root / f"leftImg8bit/{name}_leftImg8bit.png", image)
            save(root / f"gtFine/{name}_gtFine_labelIds.png", label_ids[mask])


def ade20k(root: Path, options: Mapping[str, Any]) -> None:
    for folder, side in (("training", "train"), ("validation", "val")):
        for i, (image, mask) in enumerate(pairs(side, 151)):
            save(root / f"images/{folder}/ADE_{side}_{i:08d}.jpg", image)
            save(root / f"annotations/{folder}/ADE_{side}_{i:08d}.png", mask)


def celebamask_hq(root: Path, options: Mapping[str, Any]) -> None:
    for i, (image, mask) in enumerate(pairs("train")):
        save(root / f"CelebA-HQ-img/{i}.jpg", cv2.resize(image, (2 * SIDE, 2 * SIDE)))
        for part, half in (("skin", slice(None, SIDE // 2)), ("hair", slice(SIDE // 2, None))):
            values = np.zeros_like(mask)
            values[half] = mask[half] * 255
            save(root / f"CelebAMask-HQ-mask-anno/0/{i:05d}_{part}.png", values)


def tiles(root: Path, options: Mapping[str, Any]) -> None:
    write(root, options["layout"])


def sources(root: Path, options: Mapping[str, Any]) -> None:
    for i, source in enumerate(options["sources"]):
        write(root / source["root"], source["layout"])
        if i:  # invert the photos, or they would be duplicates of the first source
            for path in (root / source["root"]).rglob("*.jpg"):
                save(path, 255 - cv2.imread(str(path))[..., ::-1])


def synthetic(root: Path, options: Mapping[str, Any]) -> None:
    """Write nothing, since the layout reads no files."""


WRITERS: Mapping[str, Callable[[Path, Mapping[str, Any]], None]] = {
    **{writer.__name__: writer for writer in (deepcrack, folders, crack500, crack_collection, fcd108, camvid)},
    **{writer.__name__: writer for writer in (cityscapes, ade20k, celebamask_hq, tiles, sources, synthetic)},
    "csv": table,
}


def write(root: Path, layout: Mapping[str, Any]) -> None:
    """Write a data set for a layout.

    Args:
        root: the folder to write to.
        layout: `class_path` and complete `init_args`.
    """
    name = layout["class_path"].rpartition(".")[2]
    assert name in WRITERS, f"no writer for the layout {name!r}: add one to {__file__}"
    root.mkdir(parents=True, exist_ok=True)
    WRITERS[name](root, layout.get("init_args") or {})


def shrink(layout: Any) -> None:
    """Change a parsed layout, in place, so that it reads a few photos of `SIDE` x `SIDE` px."""
    options = layout.get("init_args") or {}
    match layout["class_path"].rpartition(".")[2]:
        case "synthetic":
            options["size"] = (SIDE, SIDE)
            for side, count in COUNTS.items():
                options[side] = count
        case "tiles":
            options["side"] = SIDE // 2
            options["photos"] = None if options["photos"] is None else 6
            shrink(options["layout"])
        case "sources":
            nested: Sequence[Any] = options["sources"]
            for source in nested:
                shrink(source["layout"])
