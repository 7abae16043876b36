"""`cracklab predict --annotations`: the masks of a folder as polygons or lines in the files of annotation tools."""

import math
import os
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

from cracklab.data.image_files import MAX_MEGAPIXELS
from cracklab.data.images import read_values
from cracklab.data.photos import Photo
from cracklab.errors import ConfigError, CracklabError, DataError
from cracklab.files import remove_leftovers
from cracklab.predict.annotation_files import SHARED, WRITERS, Annotation, check_xml, labelme_path
from cracklab.predict.outlines import crack_lines, crack_polygons
from cracklab.predict.prediction import output_files
from cracklab.predict.signature import is_unchanged
from cracklab.progress import Progress
from cracklab.registry import nearest

Form = Literal["polygons", "lines"]
FORMS: tuple[Form, ...] = ("polygons", "lines")


class Annotations:
    """The annotation files of the masks below a folder.

    They are made from the masks on disk, so that those of earlier starts are among them.

    Args:
        formats: keys of `WRITERS`.
        form: outlines of the cracks, or their centre lines.
        photos: the photos of the masks.
        out: folder of the masks.

    Attributes:
        root: the folder that the names in files of all photos are relative to.
        kept: files of LabelMe that were changed by hand, and so not written.

    Raises:
        ConfigError: for lines in a format that has none, or an unknown format.
        DataError: if a file would be overwritten that was changed by hand, or that has photos which are not given.
    """

    def __init__(self, formats: Sequence[str], form: Form, photos: Sequence[Photo], out: Path) -> None:
        for name in formats:
            if name not in WRITERS:
                raise ConfigError(f"--annotations is {name!r}{nearest(name, WRITERS)}")
        if form == "lines" and "coco" in formats:
            raise ConfigError("COCO has no lines: leave out coco, or --annotation_shapes lines")
        self.formats, self.form, self.out = sorted(set(formats)), form, out
        self.root, self.names = _names(photos)
        self.kept: list[Path] = []
        self.check()

    def check(self) -> None:
        """Check that the files can be written, and that no manual correction is lost.

        Raises:
            DataError: if a name cannot be in a file, a file was changed by hand, or has photos that are not given.
        """
        for name in self.formats:
            _check(name, self.out, self.names.values())

    def write(
        self, photos: Sequence[Photo], class_names: Sequence[str], max_megapixels: float = MAX_MEGAPIXELS
    ) -> dict[Photo, str]:
        """Write the files; LabelMe files changed by hand are kept.

        Args:
            photos: those whose masks exist.
            class_names: of the masks; the first of several is the background.
            max_megapixels: a larger mask fails, 1e6 px.

        Returns:
            The photos that are in no file, with the reason.

        Raises:
            DataError: if a file of all photos has been changed in the meantime.
            OSError: if a file cannot be written.
        """
        failed: dict[Photo, str] = {}
        self.check()
        for folder in {self.out, *(labelme_path(self.out, photo.name).parent for photo in photos)}:
            remove_leftovers(folder)
        labels = class_names[1:] or class_names
        with (
            ExitStack() as files,
            Progress([math.prod(photo.size()) for photo in photos], "photos annotated") as progress,
        ):
            writers = {name: files.enter_context(WRITERS[name](self.out, labels)) for name in self.formats}
            for photo in photos:
                try:
                    annotation = self._annotation(photo, class_names, max_megapixels)
                except Exception as error:  # a photo that fails does not stop the others
                    failed[photo] = (
                        str(error) if isinstance(error, CracklabError) else f"{type(error).__name__}: {error}"
                    )
                else:
                    for name, add in writers.items():
                        if name != "labelme" or not self._is_kept(photo):
                            add(annotation)
                progress.finish_item(skipped=photo in failed)
        return failed

    def _is_kept(self, photo: Photo) -> bool:
        path = labelme_path(self.out, photo.name)
        if not path.exists() or is_unchanged(path):
            return False
        self.kept.append(path)
        return True

    def _annotation(self, photo: Photo, class_names: Sequence[str], max_megapixels: float) -> Annotation:
        (path,) = output_files(self.out, photo.name, ["mask"])
        mask = read_values(str(path), max_megapixels)
        trace = crack_polygons if self.form == "polygons" else crack_lines
        if len(class_names) == 1:
            cracks = trace(mask > 0, class_names[0])
        else:
            cracks = [crack for i, name in enumerate(class_names) if i for crack in trace(mask == i, name)]
        height, width = mask.shape
        return Annotation(photo.path, self.names[photo], photo.name, height, width, cracks)

    def summary(self) -> str:
        """Return where the files are, and which were kept, for the end of the command."""
        shared = [str(self.out / SHARED[name][0]) for name in self.formats if name in SHARED]
        places = shared + [str(self.out / "labelme")] * ("labelme" in self.formats)
        lines = [f"annotations in {', '.join(places)}; names of photos are relative to {self.root}"]
        if self.kept:
            files = "1 file that was" if len(self.kept) == 1 else f"{len(self.kept)} files that were"
            lines.append(f"kept {files} changed by hand, such as {self.kept[0]}")
        return "\n".join(lines)


def _names(photos: Sequence[Photo]) -> tuple[Path, dict[Photo, str]]:
    """Return the folder of all photos, and their paths in it.

    For photos of one `--images` that is this folder; otherwise it is the deepest one that holds all.
    """
    paths = {photo: Path(os.path.abspath(photo.path)) for photo in photos}
    bases = {paths[photo].parents[len(Path(photo.name).parts) - 1] for photo in photos}
    root = Path(os.path.commonpath(bases))
    return root, {photo: path.relative_to(root).as_posix() for photo, path in paths.items()}


def _check(name: str, out: Path, names: Collection[str]) -> None:
    """Check one format."""
    if name == "cvat":
        for photo in names:
            check_xml(photo)
    if name not in SHARED:
        return
    file, names_in = SHARED[name]
    path = out / file
    if not os.path.lexists(path):
        return
    if not path.is_file() or not is_unchanged(path):
        raise DataError(
            f"{path} was changed since `cracklab predict` wrote it, or is not from it, and would be overwritten: move it, "
            "or choose another --out"
        )
    if lost := sorted(names_in(path) - set(names)):
        raise DataError(
            f"{path} has {lost[0]!r}{f' and {len(lost) - 1} more photos' if len(lost) > 1 else ''}, which --images does "
            "not name, and would lose it: give all photos, or move the file"
        )
