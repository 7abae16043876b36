"""Finding the photos that a command is given, and the names of their results."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path

from cracklab.data.image_files import stored_size
from cracklab.data.images import ENDINGS
from cracklab.errors import DataError
from cracklab.tables import check_utf8


@dataclass(frozen=True)
class Photo:
    """A photo, and the name of its results: a path relative to `--out`, without an extension."""

    path: Path
    name: str

    def size(self) -> tuple[int, int]:
        """Return (height, width), px, from the file's header, before any EXIF rotation; (0, 0) if it cannot be read."""
        if not self.path.is_file():  # opening a pipe would wait forever
            return 0, 0
        try:
            with self.path.open("rb") as file:
                return stored_size(file)
        except OSError:
            return 0, 0


def find_photos(places: Sequence[str], out: Path | None = None, option: str = "--images") -> list[Photo]:
    """Find the photos of files, folders (searched recursively) and glob patterns, in order and without repetition.

    The name of a result is the path of the photo relative to the folder, or to the part of a pattern before its first
    wildcard. Photos that differ only in their extension keep it: the masks of `a.jpg` and `a.png` are `a.jpg.png` and
    `a.png.png`. A pipe, a broken link or an empty folder with such an extension counts as a photo, so that it is named when
    it cannot be read.

    Args:
        places: files, folders and patterns.
        out: folder of the results, which is not searched.
        option: the option that gave the places, for error messages.

    Raises:
        DataError: if a place has no photo, a pattern has `..` after a wildcard, or `out` is the folder of the photos.
    """
    found: dict[Path, Path] = {}
    for place in places:
        base, paths = _below(place, out, option)
        photos = [path for path in paths if path.suffix.lower() in ENDINGS and _is_single(path)]
        if not photos:
            raise DataError(
                f"{option} {place} names no photo or mask: give a file, a folder or a pattern of {', '.join(sorted(ENDINGS))}"
            )
        for path in photos:
            found.setdefault(path, path.relative_to(base))
    stems = Counter(_stem(inside).casefold() for path, inside in found.items() if path.is_file())
    return [
        Photo(path, _stem(inside) if stems[_stem(inside).casefold()] == 1 and path.is_file() else inside.as_posix())
        for path, inside in found.items()
    ]


def check_names(photos: Sequence[Photo]) -> None:
    """Check that names can be ids in a table: each is there once, and is UTF-8.

    Raises:
        DataError: if not; names the files.

    Example:
        >>> check_names([Photo(Path("2025/wall.png"), "wall"), Photo(Path("2026/wall.png"), "wall")])
        Traceback (most recent call last):
        cracklab.errors.DataError: 2025/wall.png and 2026/wall.png would both have the id 'wall': rename one, or give the folder above both
    """
    by_name: dict[str, Photo] = {}
    for photo in photos:
        check_utf8(photo.name, photo.path)
        other = by_name.setdefault(photo.name, photo)
        if other is not photo:
            raise DataError(
                f"{other.path} and {photo.path} would both have the id {photo.name!r}: rename one, or give the folder above both"
            )


def check_outputs(outputs: Sequence[tuple[Photo, Sequence[Path]]]) -> None:
    """Check that no two photos write to the same file, and that no result overwrites a photo.

    Raises:
        DataError: if they would; names the files.
    """
    owner: dict[str, Photo] = {}
    photos = {os.path.realpath(photo.path): photo for photo, _ in outputs}
    for photo, files in outputs:
        for file in files:
            other = owner.setdefault(str(file).casefold(), photo)
            if other is not photo:
                raise DataError(f"{other.path} and {photo.path} would both become {file}: rename one of them")
            if os.path.realpath(file) in photos:
                raise DataError(f"{file} is a photo, and would be overwritten: choose another --out")


def _stem(inside: Path) -> str:
    return inside.with_suffix("").as_posix()


def _below(place: str, out: Path | None, option: str) -> tuple[Path, list[Path]]:
    """Return the folder that names are relative to, and the files of a place."""
    path = Path(place)
    if os.path.isdir(path) and not (path.suffix.lower() in ENDINGS and _is_single(path)):
        _check_apart(path, out)
        return path, list(_files(path, None if out is None else out.resolve()))
    if os.path.lexists(path) or not has_magic(place):
        return path.parent, [path]
    base = Path(*_before_wildcard(path.parts))
    if ".." in path.parts[len(base.parts) :]:
        raise DataError(f"{option} {place} goes up again after a wildcard: remove '..'")
    _check_apart(base, out)
    paths = [Path(name) for name in sorted(glob(place, recursive=True))]
    if out is None or base.resolve().is_relative_to(out.resolve()):
        return base, paths
    return base, [path for path in paths if not path.parent.resolve().is_relative_to(out.resolve())]


def _check_apart(folder: Path, out: Path | None) -> None:
    """Refuse to search a folder that is also that of the results."""
    if out is not None and folder.resolve() == out.resolve():
        raise DataError(
            f"--out {out} is the folder of the photos or masks, and results would be mixed with them: choose another"
        )


def _before_wildcard(parts: Sequence[str]) -> Iterator[str]:
    for part in parts[:-1]:
        if has_magic(part):
            return
        yield part


def _files(folder: Path, out: Path | None) -> Iterator[Path]:
    """Yield the files below a folder, sorted, and its empty folders, without hidden ones, linked folders and the folder `out`."""
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name[0] != "." and Path(here, name).resolve() != out)
        yield from (Path(here, name) for name in sorted(names) if name[0] != ".")
        yield from (path for name in folders if _is_single(path := Path(here, name)))


def _is_single(path: Path) -> bool:
    """Return whether a path exists and holds no others; a folder that cannot be read holds none."""
    try:
        return os.path.lexists(path) and not (os.path.isdir(path) and os.listdir(path))
    except OSError:
        return True
