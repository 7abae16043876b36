"""The data doctor: one pass over everything, all problems at once, and what follows from the masks."""

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
from cracklab.data.groups import overlaps, with_groups
from cracklab.data.images import Array, binarise, crack_pixels, orientation, read_values
from cracklab.data.parallel import parallel_map
from cracklab.data.samples import Problem, Record, Splits, with_ids
from cracklab.errors import ConfigError, CracklabError, DataError
from cracklab.geometry.masks import distance_to, widths
from cracklab.metrics.surface import image_hausdorff95

NOISE_IMAGES = 200
"""The label-noise ceiling is measured on so many images, evenly spread."""
WIDTH_STEP = 0.5
"""Widths are counted in steps of this, px."""


@dataclass
class Examined:
    """What one pair is found to be."""

    record: Record
    problems: list[Problem] = field(default_factory=list)
    sound: bool = False
    """Whether it can be trained on; the rest is known only then."""
    size: tuple[int, int] = (0, 0)
    encoding: str = ""
    digest: str = ""
    thumbnail: Array = field(default_factory=lambda: np.zeros((32, 32), np.uint8))
    share: float = 0.0
    components: tuple[int, int] = (0, 0)
    """Connected regions of crack before and after the configured crop and resize."""
    widths: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))
    """Centre-line pixels by width, in steps of `WIDTH_STEP`, as the net sees them."""
    depths: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))
    """Crack pixels by distance to the ground, rounded up, px."""
    shifted: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    """Of the mask against itself one pixel aside: intersection and union, px, and HD95, px."""


@dataclass(frozen=True)
class Report:
    """What the doctor found."""

    problems: list[Problem]
    examined: list[Examined]
    splits: Splits
    records: list[Record]


def diagnose(data: CrackDataModule) -> Report:
    """Examine every pair of a data module, and its splits.

    Raises:
        DataError: where the folder does not follow its layout at all.
        ConfigError: for settings that cannot work.
    """
    found, problems = data.layout.index(data.root)
    records = with_ids(found)
    every = max(1, len(records) // NOISE_IMAGES)
    examined = list(
        parallel_map(lambda i: examine(data, records[i], noise=i % every == 0), len(records), "Examining images")
    )
    problems = [*problems, *(problem for one in examined for problem in one.problems)]
    sound = [one for one in examined if one.sound]
    pairs = near_duplicates([one.thumbnail for one in sound])
    records, splits, faults = _splits(data, sound, pairs)
    problems += faults + _duplicates(data, sound, pairs, splits) + _empty_sides(sound, splits) + _broken(sound)
    return Report(problems, examined, splits, records)


def examine(data: CrackDataModule, record: Record, noise: bool) -> Examined:
    """Read one pair and look at everything that can be seen of it alone."""
    found = Examined(record)

    def attempt(kind: str, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except DataError as error:
            files = data.layout.files(record) if kind == "size" else ()
            found.problems.append(Problem(kind, files, str(error)))
            return None

    image = attempt("unreadable-image", lambda: data.layout.read_image(record))
    mask = attempt("unreadable-mask", lambda: data.layout.read_mask(record))
    pair = None if image is None or mask is None else attempt("size", lambda: data.layout.matched(image, mask, record))
    if pair is None:
        return found
    image, mask = pair
    found.sound, found.size = True, mask.shape
    found.digest = hashlib.blake2b(image.tobytes(), digest_size=16).hexdigest()
    found.thumbnail = thumbnail(image)
    found.share = float(crack_pixels(mask).mean())
    if data.num_classes == 1:
        found.encoding = _encoding(data, record)
    if data.class_names == ("crack",):
        found.problems += _of_share(found, record)
    found.problems += _of_exif(data, record, mask)
    _measure(found, mask, data, noise)
    return found


def _encoding(data: CrackDataModule, record: Record) -> str:
    """The name of a mask's encoding; none where masks are no images."""
    try:
        return binarise(read_values(record.mask), record.mask, lossy=True)[1]
    except DataError:
        return ""


def _of_share(found: Examined, record: Record) -> list[Problem]:
    if found.share == 1:
        return [Problem("full-mask", (record.mask,), "every pixel is crack: draw the mask again, or remove the pair")]
    if found.share > 0.5:
        fact = f"{found.share:.0%} of its pixels are crack, so it seems inverted: invert it, or set data.layout.invert"
        return [Problem("inverted-mask", (record.mask,), fact)]
    if found.share == 0:
        return [Problem("empty-mask", (record.mask,), "no pixel is crack: right if the photo shows none", "note")]
    return []


def _of_exif(data: CrackDataModule, record: Record, mask: Array) -> list[Problem]:
    if not data.layout.files(record):
        return []
    with open(record.image, "rb") as file:
        turn = orientation(file.read())
    if turn == 1:
        return []
    if mask.shape[0] == mask.shape[1]:
        fact = f"its EXIF tag ({turn}) turns a square photo, and nothing tells whether the mask is turned too: save it upright"
        return [Problem("exif", (record.image, record.mask), fact)]
    return [Problem("exif", (record.image,), f"is turned upright by its EXIF tag ({turn}), as its mask is", "note")]


def _measure(found: Examined, mask: Array, data: CrackDataModule, noise: bool) -> None:
    """Components, widths, depths and the label noise of a mask."""
    blank = np.zeros((*mask.shape, 3), np.uint8)
    prepared = data.transform.prepare(blank, mask, data.num_classes)[1]
    crack = crack_pixels(prepared)
    before = data.transform.cropped(crack_pixels(mask).astype(np.uint8))
    found.components = _components(before), _components(crack.astype(np.uint8))
    if not crack.any() or crack.all():
        return
    found.widths = np.bincount(np.rint(widths(crack) / WIDTH_STEP).astype(np.int64))
    found.depths = np.bincount(np.ceil(distance_to(~crack)[crack]).astype(np.int64))
    if noise and min(crack.shape) > 1:
        pairs = [(crack[1:], crack[:-1]), (crack[:, 1:], crack[:, :-1])]
        counts = [((a & b).sum(), (a | b).sum(), image_hausdorff95(a, b)) for a, b in pairs]
        found.shifted = np.array(counts, np.float64).mean(axis=0)


def _components(mask: Array) -> int:
    return int(cv2.connectedComponents(mask, connectivity=8)[0]) - 1


# -- what is seen of all together -----------------------------------------------------------------------------------


def _splits(
    data: CrackDataModule, sound: Sequence[Examined], pairs: Sequence[tuple[int, int]]
) -> tuple[list[Record], Splits, list[Problem]]:
    """The index with photos, the splits, and every photo on two sides of them."""
    records = [one.record for one in sound]
    try:
        records = with_groups(records, data.group, data.split_plan.parts, pairs)
        splits = data.split_plan.assign(records, np.array([one.share for one in sound]))
    except ConfigError:
        raise
    except CracklabError as error:
        return records, Splits((), (), ()), [Problem("split", (), str(error))]
    problems = []
    for photo, sides in overlaps(records, splits).items():
        listed = "; ".join(f"{side}: {', '.join(files)}" for side, files in sides.items())
        fact = f"photo {photo!r} is on several sides of the split ({listed}): split by photo with data.split: official-clean or holdout"
        files = tuple(name for names in sides.values() for name in names)
        problems.append(Problem("overlap", files, fact, _severity(data)))
    return records, splits, problems


def _severity(data: CrackDataModule) -> Literal["fault", "note"]:
    return "note" if data.accepted_overlap == "report" else "fault"


def _duplicates(
    data: CrackDataModule, sound: Sequence[Examined], pairs: Sequence[tuple[int, int]], splits: Splits
) -> list[Problem]:
    """Photos that are there twice: a fault where the copies are on two sides of the split."""
    side_of = {i: side for side, positions in splits.by_side().items() for i in positions}
    by_digest: dict[str, list[int]] = defaultdict(list)
    for i, one in enumerate(sound):
        by_digest[one.digest].append(i)
    exact = [tuple(same) for same in by_digest.values() if len(same) > 1]
    known = {pair for same in exact for pair in ((i, j) for i in same for j in same)}
    problems = []
    for kind, same in [("duplicate", same) for same in exact] + [
        ("near-duplicate", p) for p in pairs if p not in known
    ]:
        sides = {side_of[i] for i in same if i in side_of}
        fact = "show the same photo" + (f" on several sides ({', '.join(sorted(sides))})" if len(sides) > 1 else "")
        files = tuple(sound[i].record.image for i in same)
        severity = _severity(data) if len(sides) > 1 else "note"
        problems.append(Problem(kind, files, f"{fact}: keep one of them", severity))
    return problems


def _empty_sides(sound: Sequence[Examined], splits: Splits) -> list[Problem]:
    return [
        Problem("no-crack", (), f"none of the {len(positions)} {side} images shows a crack: check the masks")
        for side, positions in splits.by_side().items()
        if len(positions) > 1 and not any(sound[i].share for i in positions)
    ]


def _broken(sound: Sequence[Examined]) -> list[Problem]:
    """Warn of a resize that makes many more or many fewer regions of cracks."""
    before, after = (sum(one.components[i] for one in sound) for i in (0, 1))
    if not before or 0.8 <= after / before <= 1.25:
        return []
    fact = f"the configured resize makes {after} connected regions of crack out of {before}: resize less, or set data.coverage"
    return [Problem("resize", (), fact, "note")]
