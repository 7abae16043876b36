"""Groups of images that show one photo, and the check that no photo is on two sides of a split."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations, islice
from typing import Literal

from lightning.pytorch.utilities import rank_zero_warn

from cracklab.data.samples import Record, Splits
from cracklab.errors import ConfigError, DataError

KnownOverlap = Literal["error", "report"]
NAMED = 5
"""Number of photos that an error message names."""


def with_groups(
    records: Sequence[Record], rule: str, parts: int = 2, duplicates: Sequence[tuple[int, int]] = ()
) -> list[Record]:
    """Return records with their groups set: the photo that each image comes from.

    Args:
        records: the index.
        rule: `auto`, a column, or a regular expression. `auto`: the layout's groups; otherwise `NAME-17` is a crop of
            `NAME`, near duplicates are one photo, and different sources have different photos. A column of the layout's
            table: its values name the photos. A regular expression, matched at the start of the image's stem: its first
            group in brackets names the photo.
        parts: number of disjoint parts that the groups have to fill.
        duplicates: pairs of positions of near duplicates, which `auto` puts into one group.

    Raises:
        ConfigError: if the rule is neither a column nor a regular expression with a group in brackets.
        DataError: if the expression does not match an image, or the groups of `auto` are implausible.

    Example:
        >>> records = [Record(f"{stem}.jpg", f"{stem}.png") for stem in ("wall-1", "wall-2", "pipe-1", "floor")]
        >>> [record.group for record in with_groups(records, "auto")]
        ['wall', 'wall', 'pipe', 'floor']
    """
    if rule == "auto":
        prefixes = _prefixes(records)
        by_name = [
            replace(record, group=record.group or prefix + record.photo)
            for record, prefix in zip(records, prefixes, strict=True)
        ]
        joined = _with_duplicates_joined(by_name, duplicates)
        if joined != list(records):
            _check_plausible(joined, parts)
        return joined
    if records and all(rule in record.columns for record in records):
        return [replace(record, group=record.columns[rule]) for record in records]
    try:
        expression = re.compile(rule)
    except re.error as error:
        raise ConfigError(
            f"data.group {rule!r} is not a regular expression ({error}): correct it, or use 'auto'"
        ) from None
    if not expression.groups:
        columns = ", ".join(records[0].columns) if records and records[0].columns else "none"
        raise ConfigError(
            f"data.group {rule!r} is neither a column of the data (it has: {columns}) nor a regular expression with a group in "
            "brackets that names the photo: set it to one, for instance '(.+)-[0-9]+', or to 'auto'"
        )
    matches = [expression.match(record.stem) for record in records]
    unmatched = [record.stem for record, match in zip(records, matches, strict=True) if not match or not match[1]]
    if unmatched:
        raise DataError(
            f"data.group {rule!r} does not match {', '.join(unmatched[:5])}: extend the expression, '|(.+)' takes the rest"
        )
    several = len({record.source for record in records}) > 1
    return [
        replace(record, group=f"{record.source}/{match[1]}" if several else match[1])
        for record, match in zip(records, matches, strict=True)
        if match
    ]


def _prefixes(records: Sequence[Record]) -> list[str]:
    """Return a prefix of each photo's name: the source, if there are several, and the side, if its names restart there.

    Names restart if two sides of a published split share at least half of the names of the smaller one: `001`, `002` ... are
    then numbers of images, not of photos.
    """
    stems: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for record in records:
        stems[record.source][record.split or ""].add(record.stem)
    restarted = {
        source
        for source, sides in stems.items()
        for one, other in combinations(sides.values(), 2)
        if 2 * len(one & other) >= min(len(one), len(other))
    }
    several = len(stems) > 1
    return [
        "".join(f"{part}/" for part in (r.source * several, (r.split or "") * (r.source in restarted)) if part)
        for r in records
    ]


def _check_plausible(records: Sequence[Record], parts: int) -> None:
    """Refuse groups by name that cannot be photos: `crack-1` ... `crack-200` are not crops of `crack`.

    Raises:
        DataError: if one group has more than half of the images, or there are fewer groups than parts.
    """
    sizes = Counter(record.group for record in records)
    name, size = sizes.most_common(1)[0]
    if size > 1 and size > len(records) / 2:
        raise DataError(
            f"data.group 'auto' treats {size} of {len(records)} images as crops or copies of one photo, {name!r}: if each is a photo of "
            "its own, set data.group to '(.+)', else to a regular expression whose group in brackets names the photo"
        )
    if len(sizes) < min(parts, len(records)):
        raise DataError(
            f"data.group 'auto' finds {len(sizes)} photos in {len(records)} images, too few for {parts} parts: set data.group to "
            "'(.+)' if each image is a photo of its own, or ask for fewer folds"
        )


def _with_duplicates_joined(records: Sequence[Record], duplicates: Sequence[tuple[int, int]]) -> list[Record]:
    """Return records with the groups of near duplicates merged."""
    leader = {record.group: record.group for record in records}

    def lead(group: str) -> str:
        while leader[group] != group:
            group = leader[group]
        return group

    for first, second in duplicates:
        a, b = sorted((lead(records[first].group), lead(records[second].group)))
        leader[b] = a
    return [replace(record, group=lead(record.group)) for record in records]


def overlaps(records: Sequence[Record], splits: Splits) -> dict[str, dict[str, list[str]]]:
    """Return photo -> side -> files, for the photos with images on more than one side of a split."""
    where: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for side, positions in splits.by_side().items():
        for i in positions:
            where[records[i].group][side].append(records[i].image)
    return {group: dict(sides) for group, sides in sorted(where.items()) if len(sides) > 1}


def _some(files: Sequence[str]) -> str:
    """Return the first of some files, and the number of the others."""
    return files[0] if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"


def check_overlap(records: Sequence[Record], splits: Splits, known: KnownOverlap = "error") -> None:
    """Refuse photos with images on more than one side of a split, or warn of them if `known` is `report`.

    Raises:
        DataError: for such photos, unless `known` is `report`; names the first of them, with a file of each side.
    """
    shared = overlaps(records, splits)
    if not shared:
        return
    named = [
        f"photo {group!r}: " + ", ".join(f"{side} {_some(files)}" for side, files in sides.items())
        for group, sides in islice(shared.items(), NAMED)
    ]
    more = [f"and {len(shared) - NAMED} more"] if len(shared) > NAMED else []
    text = "\n  ".join(
        [
            f"images of {len(shared)} photo{'s' * (len(shared) > 1)} are on more than one side of the split:",
            *named,
            *more,
        ]
    )
    if known == "report":
        rank_zero_warn(text)
        return
    raise DataError(
        f"{text}\nmake a split by photo (data.split: holdout, or official-clean), or accept the published split as it is with "
        "data.known_overlap: report"
    )
