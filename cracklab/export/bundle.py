"""Predict crack masks of photos with model.onnx; needs onnxruntime, NumPy and OpenCV alone.

    python run.py PHOTOS [PHOTOS ...] --out MASKS

PHOTOS are photos, folders, which are searched recursively, or patterns such as 'walls/**/*.jpg'. Each becomes MASKS/NAME.png in its own
size: 0 / 255 for crack or not, else the index of the most probable class; photos in a folder keep their subfolders. Photos of any size
are scored in tiles. The exit code is 1 if a photo failed.
"""

import argparse
import glob
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import onnxruntime

if TYPE_CHECKING:
    from cracklab.predict import masks, tiles
else:  # this file runs only as BUNDLE/run.py, beside the copies of both that `cracklab export` puts there
    import masks
    import tiles

SUMS = "SHA256SUMS"
ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
"""Of the photos in folders, in lower case; case is ignored."""
MEGAPIXELS = 2**30 / 1e6
"""OpenCV handles no larger photo."""


class Model:
    """The net, with the settings for preparing its photos.

    Args:
        path: model.onnx; its metadata holds the settings.
        memory_gb: memory for its tiles, 1e9 bytes; None: 3.5.
    """

    def __init__(self, path: Path, memory_gb: float | None = None) -> None:
        options: Any = onnxruntime.SessionOptions()
        self.run_options: Any = onnxruntime.RunOptions()
        # memory is kept within a tile, but not for tiles of other sizes
        self.run_options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        providers = onnxruntime.get_available_providers()
        self.session: Any = onnxruntime.InferenceSession(str(path), options, providers=providers)
        settings = json.loads(self.session.get_modelmeta().custom_metadata_map["cracklab"])
        self.channels, self.threshold = settings["channels"], settings["threshold"]
        self.scale, self.scales, self.interpolation = settings["scale"], settings["scales"], settings["interpolation"]
        tile, overlap, self.reach = settings["tile"], settings["overlap"], settings["reach"]
        if memory_gb is not None and self.reach is not None:  # a net without one has tiles of a fixed size
            tile = tiles.largest_tile(memory_gb, settings["bytes_per_px"])
            overlap = tiles.affordable_overlap(2 * self.reach, tile)
        self.tiling = tiles.Tiling(tile, overlap)

    def at_net_scale(self, photo: tiles.Photo, scale: float) -> tiles.Photo:
        """Return a photo (H, W, 3) RGB as the net sees it, at one of `scales`."""
        height, width = photo.shape[:2]
        size = max(1, round(width * self.scale[1] * scale)), max(1, round(height * self.scale[0] * scale))
        if size == (width, height):
            return photo
        if size[0] * size[1] > MEGAPIXELS * 1e6:
            raise ValueError(f"at the scale of the net it has {size[0]} x {size[1]} px, too many: cut it into parts")
        how = cv2.INTER_AREA if size[0] * size[1] < height * width else cv2.INTER_LINEAR
        how = cv2.INTER_CUBIC if self.interpolation == "bicubic" else how
        return np.asarray(cv2.resize(photo, size, interpolation=how), np.uint8)

    def score(self, batch: tiles.Photo) -> tiles.Floats:
        """Return the probabilities (B, C, h, w) of tiles (B, h, w, 3) uint8 RGB."""
        if self.channels == 1:
            planes = np.stack([cv2.cvtColor(tile, cv2.COLOR_RGB2GRAY)[None] for tile in batch])
        else:
            planes = np.ascontiguousarray(batch.transpose(0, 3, 1, 2))
        scores: tiles.Floats = self.session.run(["probability"], {"image": planes}, self.run_options)[0]
        return scores

    def mask(self, photo: tiles.Photo) -> tiles.Photo:
        """Return the mask (H, W) uint8 of a photo (H, W, 3) RGB."""
        mask = np.empty(photo.shape[:2], np.uint8)
        size = (photo.shape[0], photo.shape[1])
        passes = [
            tiles.tiled_probabilities(self.score, self.at_net_scale(photo, one), size, self.tiling)
            for one in self.scales
        ]
        for rows, scores in tiles.fused_rows(passes, size[0]):
            mask[rows] = masks.mask_of(scores, self.threshold)
        return mask


def find_photos(places: list[str], out: Path) -> dict[Path, Path]:
    """Return photo -> name of its mask, a path below `out`, of files, folders and patterns.

    Raises:
        ValueError: if a folder or pattern has no photo.
    """
    found: dict[Path, Path] = {}
    for place in places:
        path, parts = Path(place), Path(place).parts
        if path.is_dir():
            base, files = path, [file for file in sorted(path.rglob("*")) if not _is_hidden(file.relative_to(path))]
        elif glob.has_magic(place) and not path.exists():
            base = Path(*parts[: next(i for i, part in enumerate(parts) if glob.has_magic(part))])
            files = [Path(name) for name in sorted(glob.glob(place, recursive=True))]
        else:  # a file, which is named if it cannot be read
            found.setdefault(path, Path(path.stem))
            continue
        photos = [
            file for file in files if file.suffix.lower() in ENDINGS and file.is_file() and not _is_below(file, out)
        ]
        if not photos:
            raise ValueError(f"{place} has no photo: give files, a folder or a pattern of {', '.join(ENDINGS)}")
        for photo in photos:
            found.setdefault(photo, photo.relative_to(base).with_suffix(""))
    return found


def _is_hidden(file: Path) -> bool:
    return any(part.startswith(".") for part in file.parts)


def _is_below(file: Path, folder: Path) -> bool:
    return file.resolve().is_relative_to(folder.resolve())


def read_photo(path: Path) -> tiles.Photo:
    """Return a photo (H, W, 3) uint8 RGB, upright.

    Raises:
        ValueError: if it cannot be read, or is a JPEG or PNG whose end is missing: OpenCV would fill the rest with grey.
    """
    data = path.read_bytes() if path.is_file() else b""
    start, end = 0, b""
    if data.startswith(b"\x89PNG"):
        end = b"IEND"
    elif data.startswith(b"\xff\xd8"):
        start, end = 2, b"\xff\xd9"
        while (
            data[start : start + 1] == b"\xff" and data[start + 1 : start + 2] != b"\xda"
        ):  # skip headers with thumbnails
            start += 2 + int.from_bytes(data[start + 2 : start + 4], "big")
    if data.find(end, start) < 0:
        raise ValueError(f"{path} is truncated: copy it again from its source")
    photo = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if photo is None:
        raise ValueError(f"{path} cannot be read")
    return np.asarray(photo[..., ::-1], np.uint8)


def damaged(folder: Path) -> list[str]:
    """Return the files of the model whose checksums are not those of `SUMS`; `SUMS` if it lists none."""
    listed = (folder / SUMS).read_bytes().splitlines() if (folder / SUMS).is_file() else []
    sums = {name.decode(errors="replace"): digest for digest, _, name in (line.partition(b"  ") for line in listed)}
    names = [name for name in sums if name.startswith("model.onnx")]
    found = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest().encode() if (folder / name).is_file() else b""
        for name in ("model.onnx", *names)
    }
    return [name for name, digest in found.items() if sums.get(name) != digest]


def write_whole(path: Path, mask: tiles.Photo) -> None:
    """Write a PNG whole or not at all."""
    temporary = path.with_name(f".{os.getpid()}.png")
    try:
        with temporary.open("wb") as file:
            file.write(cv2.imencode(".png", mask)[1].tobytes())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def main() -> int:
    """Predict the photos of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="+", metavar="PHOTOS")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--memory_gb", type=float, help="memory for the tiles, 1e9 bytes (default: 3.5)")
    options = parser.parse_args()
    if options.memory_gb is not None and not 0 < options.memory_gb < float("inf"):
        parser.error(f"--memory_gb is {options.memory_gb}: give a number above 0")
    try:
        found = find_photos(options.photos, options.out)
    except ValueError as error:
        parser.error(str(error))
    targets = [options.out / f"{name}.png" for name in found.values()]
    photos = {path.resolve() for path in found}
    if len(set(targets)) < len(targets) or photos & {target.resolve() for target in targets}:
        parser.error("two masks would have the same name, or a mask would overwrite a photo: choose another --out")
    folder = Path(__file__).parent
    if wrong := damaged(folder):
        print(f"error: {', '.join(wrong)} differ from {folder / SUMS}: copy the bundle again", file=sys.stderr)
        return 1
    model = Model(folder / "model.onnx", options.memory_gb)
    if text := tiles.seam_warning(model.tiling, model.reach):
        print(f"warning: {text}: give a larger --memory_gb", file=sys.stderr)
    options.out.mkdir(parents=True, exist_ok=True)
    failed = 0
    for path, target in zip(found, targets, strict=True):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            write_whole(target, model.mask(read_photo(path)))
            print(target)
        except Exception as error:  # also of ONNX Runtime, which has types of its own; the others are predicted
            print(f"{path} failed: {error}", file=sys.stderr)
            failed += 1
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
