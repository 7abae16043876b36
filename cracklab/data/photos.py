"""Which photos are meant, and what their results are called."""

import os
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from cracklab.data.images import ENDINGS
from cracklab.errors import DataError


@dataclass(frozen=True)
class Photo:
    """A photo, and the name of its results: a path inside of `--out`, without an ending."""

    path: Path
    name: str

    def size(self) -> tuple[int, int]:
        """(height, width), px, from the file's header; (0, 0) where it cannot be told. Turned photos count the same."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # large photos are what this is for
                with Image.open(self.path) as image:
                    return image.height, image.width
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            return 0, 0


def find(places: Sequence[str], out: Path | None = None, option: str = "--images") -> list[Photo]:
    """The photos that files, folders (with all below them) and patterns name, in order, each once.

    Results keep the way from the folder, or from the part of a pattern before its first wildcard, to the photo. Photos
    that differ in their ending alone keep it: `a.jpg` and `a.png` become `a.jpg.png` and `a.png.png`.

    Raises:
        DataError: where a place names no photo, or photos would lie in `out` itself or end up in the same file.
    """
    found: dict[Path, Path] = {}
    for place in places:
        base, paths = _below(place, out, option)
        photos = [path for path in paths if path.suffix.lower() in ENDINGS and path.is_file()]
        if not photos:
            raise DataError(
                f"{option} {place} names no photo or mask: give a file, a folder or a pattern of {', '.join(sorted(ENDINGS))}"
            )
        for path in photos:
            found.setdefault(path, path.relative_to(base))
    stems = Counter(_stem(inside).casefold() for inside in found.values())
    return [
        Photo(path, inside.as_posix() if stems[_stem(inside).casefold()] > 1 else _stem(inside))
        for path, inside in found.items()
    ]


def check_outputs(outputs: Sequence[tuple[Photo, Sequence[Path]]]) -> None:
    """Refuse to write two results to one file, or over a photo.

    Raises:
        DataError: naming both.
    """
    owner: dict[str, Photo] = {}
    photos = {os.path.realpath(photo.path): photo for photo, _ in outputs}
    for photo, files in outputs:
        for file in files:
            other = owner.setdefault(str(file).casefold(), photo)
            if other is not photo:
                raise DataError(f"{other.path} and {photo.path} would both become {file}: rename one of them")
            if os.path.realpath(file) in photos:
                raise DataError(f"{file} is a photo, and would be written over: choose another --out")


def _stem(inside: Path) -> str:
    return inside.with_suffix("").as_posix()


def _below(place: str, out: Path | None, option: str) -> tuple[Path, list[Path]]:
    """The folder that names are relative to, and the files."""
    path = Path(place)
    if path.is_dir():
        if out is not None and path.resolve() == out.resolve():
            raise DataError(
                f"--out {out} is the folder of the photos or masks, and results would lie among them: choose another"
            )
        return path, list(_files(path, None if out is None else out.resolve()))
    if path.is_file() or not has_magic(place):
        return path.parent, [path]
    base = Path(*_before_wildcard(path.parts))
    if ".." in path.parts[len(base.parts) :]:
        raise DataError(f"{option} {place} goes up again after a wildcard: leave '..' out")
    return base, [Path(name) for name in sorted(glob(place, recursive=True))]


def _before_wildcard(parts: Sequence[str]) -> Iterator[str]:
    for part in parts[:-1]:
        if has_magic(part):
            return
        yield part


def _files(folder: Path, out: Path | None) -> Iterator[Path]:
    """Files below a folder, sorted; hidden ones, links to folders, and what was written to `out` are left out."""
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name[0] != "." and Path(here, name).resolve() != out)
        yield from (Path(here, name) for name in sorted(names) if name[0] != ".")
