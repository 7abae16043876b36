"""Examine a data set: every pair by itself, then the set as a whole. Problems are collected, not raised."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from cracklab.data.datamodule import CrackDataModule
from cracklab.data.duplicates import near_duplicates, thumbnail
from cracklab.data.encodings import binarise
from cracklab.data.groups import overlaps, with_groups
from cracklab.data.images import IGNORE, Array, crack_pixels, orientation, read_values
from cracklab.data.parallel import parallel_map
from cracklab.data.samples import Problem, Record, Splits
from cracklab.errors import ConfigError, CracklabError, DataError
from cracklab.geometry.masks import Mask, widths
from cracklab.metrics.surface import image_hausdorff95

NOISE_IMAGES = 200
"""Label noise is measured on about this many images, evenly spaced."""


@dataclass
class ExaminedPair:
    """One image and its mask, as examined."""

    record: Record
    problems: list[Problem] = field(default_factory=list)
    sound: bool = False
    """Whether the pair can be trained on; the fields below are set only if it can."""
    size: tuple[int, int] = (0, 0)
    """Height and width, px."""
    encoding: str = ""
    """Name of the mask's encoding, such as `0/255`; empty for class indices, and for masks that are not images."""
    digest: str = ""
    """Hash of the decoded image."""
    thumbnail: Array = field(default_factory=lambda: np.zeros((32, 32), np.uint8))
    share: float = 0.0
    """Share of all pixels that are crack, ignored ones included, 0 to 1; splits are balanced by it, as those of a run are."""
    crack_px: int = 0
    """Number of crack pixels."""
    valid_px: int = 0
    """Number of pixels that are not ignored."""
    prepared_px: int = 0
    """Number of pixels that are not ignored, at the size that the net sees."""
    components: tuple[int, int] = (0, 0)
    """Number of connected regions of crack before and after the configured resize, both after the configured crop."""
    widths: tuple[NDArray[np.float32], NDArray[np.int64]] = (np.zeros(0, np.float32), np.zeros(0, np.int64))
    """Crack widths, px, at the size that the net sees, and the number of centre-line pixels of each."""
    depths: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))
    """Number of crack pixels by depth at the size that the net sees: the number of erosions of Boundary IoU that remove them."""
    label_noise: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    """The mask against itself shifted by one pixel: intersection and union, px, and HD95, px."""


@dataclass(frozen=True)
class CheckReport:
    """The result of examining a data set."""

    problems: list[Problem]
    pairs: list[ExaminedPair]
    """Every pair of the index."""
    splits: Splits
    """Positions among the sound pairs; empty if the data cannot be split."""
    photos: int
    """Number of photos that the sound pairs are of."""

    @property
    def sound(self) -> list[ExaminedPair]:
        """The pairs that can be trained on."""
        return [pair for pair in self.pairs if pair.sound]


def examine_data(data: CrackDataModule) -> CheckReport:
    """Examine every pair of a data module, and its splits.

    Raises:
        DataError: if the folder does not follow its layout at all.
        ConfigError: for settings that cannot work.
    """
    records, problems = data.index()
    every = max(1, len(records) // NOISE_IMAGES)
    pairs = list(
        parallel_map(lambda i: examine_pair(data, records[i], i % every == 0), len(records), "Examining images")
    )
    sound = [pair for pair in pairs if pair.sound]
    copies = near_duplicates([pair.thumbnail for pair in sound])
    records, splits, split_problems = _split(data, sound, copies)
    problems = [
        *problems,
        *(problem for pair in pairs for problem in pair.problems),
        *split_problems,
        *_duplicate_problems(data, sound, copies, splits),
        *_crack_free_sides(sound, splits),
        *_resize_problems(sound),
    ]
    return CheckReport(problems, pairs, splits, len({record.group for record in records}))


def examine_pair(data: CrackDataModule, record: Record, with_label_noise: bool) -> ExaminedPair:
    """Read one pair, find its problems and measure its mask."""
    pair = ExaminedPair(record)

    def attempt(kind: str, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except DataError as error:
            files = data.layout.files(record) if kind == "size" else ()
            pair.problems.append(Problem(kind, files, str(error)))
            return None

    image = attempt("unreadable-image", lambda: data.layout.read_image(record))
    mask = attempt("unreadable-mask", lambda: data.layout.read_mask(record))
    both = (
        None if image is None or mask is None else attempt("size", lambda: data.layout.match_sizes(image, mask, record))
    )
    if both is None:
        return pair
    image, mask = both
    crack = crack_pixels(mask)
    pair.sound, pair.size = True, mask.shape
    pair.digest = hashlib.blake2b(image.tobytes(), digest_size=16).hexdigest()
    pair.thumbnail = thumbnail(image)
    pair.share = float(crack.mean())
    pair.crack_px, pair.valid_px = int(crack.sum()), int((mask != IGNORE).sum())
    if data.num_classes == 1:
        pair.encoding = _encoding(record)
    if data.class_names == ("crack",):
        pair.problems += _share_problems(pair.share, record)
    pair.problems += _exif_problems(data, record, mask)
    _measure(pair, mask, data, with_label_noise)
    return pair


def _encoding(record: Record) -> str:
    """Return the name of a mask's encoding; empty for masks that are not images."""
    try:
        return binarise(read_values(record.mask), record.mask, lossy=True)[1]
    except DataError:
        return ""


def _share_problems(share: float, record: Record) -> list[Problem]:
    if share == 1:
        return [Problem("full-mask", (record.mask,), "every pixel is crack: draw the mask again, or remove the pair")]
    if share > 0.5:
        fact = f"{share:.0%} of its pixels are crack, so it seems inverted: invert it, or set data.layout.invert"
        return [Problem("inverted-mask", (record.mask,), fact)]
    if share == 0:
        fact = "no pixel is crack: correct the mask if the photo shows a crack"
        return [Problem("empty-mask", (record.mask,), fact, "note")]
    return []


def _exif_problems(data: CrackDataModule, record: Record, mask: Array) -> list[Problem]:
    if not data.layout.files(record):
        return []
    with open(record.image, "rb") as file:
        tag = orientation(file.read())
    if tag == 1:  # upright
        return []
    if mask.shape[0] == mask.shape[1]:
        fact = f"its EXIF tag ({tag}) rotates a square photo, and it is unknown whether its mask is rotated too: save both upright"
        return [Problem("exif", (record.image, record.mask), fact)]
    return [Problem("exif", (record.image,), f"is rotated by its EXIF tag ({tag}) to the shape of its mask", "note")]


def _measure(pair: ExaminedPair, mask: Array, data: CrackDataModule, with_label_noise: bool) -> None:
    """Measure components, widths, depths and label noise of a mask at the size that the net sees."""
    blank = np.zeros((*mask.shape, 3), np.uint8)
    prepared = data.transform.prepare(blank, mask, data.num_classes)[1]
    crack = crack_pixels(prepared)
    pair.prepared_px = int((prepared != IGNORE).sum())
    pair.components = _components(crack_pixels(data.transform.cropped(mask))), _components(crack)
    if not crack.any() or crack.all():
        return
    pair.widths = np.unique(widths(crack), return_counts=True)
    pair.depths = np.bincount(_depths(crack))
    if with_label_noise and min(crack.shape) > 1:
        shifted = [(crack[1:], crack[:-1]), (crack[:, 1:], crack[:, :-1])]
        counts = [((a & b).sum(), (a | b).sum(), image_hausdorff95(a, b)) for a, b in shifted]
        pair.label_noise = np.array(counts, np.float64).mean(axis=0)


def _depths(crack: Mask) -> NDArray[np.int64]:
    """Return the number of erosions by the 3 x 3 square that remove each crack pixel; outside of the image is background."""
    padded = np.pad(crack, 1).astype(np.uint8)
    return cv2.distanceTransform(padded, cv2.DIST_C, 3)[1:-1, 1:-1][crack].astype(np.int64)


def _components(crack: Mask) -> int:
    """Return the number of connected regions."""
    return int(cv2.connectedComponents(crack.astype(np.uint8), connectivity=8)[0]) - 1


def _split(
    data: CrackDataModule, sound: Sequence[ExaminedPair], copies: Sequence[tuple[int, int]]
) -> tuple[list[Record], Splits, list[Problem]]:
    """Return the index with photos, the splits, and a problem for every photo on several sides."""
    records = [pair.record for pair in sound]
    try:
        records = with_groups(records, data.group, data.split_plan.parts, copies)
        splits = data.split_plan.assign(records, np.array([pair.share for pair in sound]))
    except ConfigError:
        raise
    except CracklabError as error:
        return records, Splits((), (), ()), [Problem("split", (), str(error))]
    problems = splits.problems()
    for photo, sides in overlaps(records, splits).items():
        listed = "; ".join(f"{side}: {', '.join(files)}" for side, files in sides.items())
        fact = f"photo {photo!r} is on several sides of the split ({listed}): split by photo with data.split: official-clean or holdout"
        files = tuple(name for names in sides.values() for name in names)
        problems.append(Problem("overlap", files, fact, _overlap_severity(data, records)))
    return records, splits, problems


def _overlap_severity(data: CrackDataModule, records: Sequence[Record]) -> Literal["fault", "note"]:
    return "note" if data.accepted_overlap(records) == "report" else "fault"


def _duplicate_problems(
    data: CrackDataModule, sound: Sequence[ExaminedPair], copies: Sequence[tuple[int, int]], splits: Splits
) -> list[Problem]:
    """Return the groups of equal or nearly equal images; a group is a fault if it is on several sides of the split."""
    side_of = {i: side for side, positions in splits.by_side().items() for i in positions}
    by_digest: dict[str, list[int]] = defaultdict(list)
    for i, pair in enumerate(sound):
        by_digest[pair.digest].append(i)
    exact = [tuple(same) for same in by_digest.values() if len(same) > 1]
    known = {(i, j) for same in exact for i in same for j in same}
    near = [copy for copy in copies if copy not in known]
    across = _overlap_severity(data, [pair.record for pair in sound])
    problems = []
    for kind, groups in (("duplicate", exact), ("near-duplicate", near)):
        for group in groups:
            sides = sorted({side_of[i] for i in group if i in side_of})
            where = f" on several sides ({', '.join(sides)})" if len(sides) > 1 else ""
            files = tuple(sound[i].record.image for i in group)
            severity = across if len(sides) > 1 else "note"
            problems.append(Problem(kind, files, f"show the same photo{where}: keep one of them", severity))
    return problems


def _crack_free_sides(sound: Sequence[ExaminedPair], splits: Splits) -> list[Problem]:
    return [
        Problem("no-crack", (), f"none of the {len(positions)} {side} images shows a crack: check the masks")
        for side, positions in splits.by_side().items()
        if len(positions) > 1 and not any(sound[i].share for i in positions)
    ]


def _resize_problems(sound: Sequence[ExaminedPair]) -> list[Problem]:
    """Return a note if the configured resize joins or splits many cracks."""
    before, after = (sum(pair.components[i] for pair in sound) for i in (0, 1))
    if not before or 0.8 <= after / before <= 1.25:
        return []
    fact = f"the configured resize turns {before} connected regions of crack into {after}: resize less, or set data.coverage"
    return [Problem("resize", (), fact, "note")]
