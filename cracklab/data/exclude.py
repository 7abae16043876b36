"""Images that are left out of a data set by a list of their ids."""

import re
from collections.abc import Collection, Sequence
from fnmatch import filter as fnmatch
from glob import escape
from pathlib import Path

from cracklab.data.samples import Record
from cracklab.errors import DataError

NAMES_SHOWN = 5
"""Maximum number of names that a message lists."""


def without_excluded(records: Sequence[Record], file: str | Path) -> list[Record]:
    """Return the records whose ids no line of a list matches.

    Args:
        records: the index, with ids.
        file: a text file: on each line an id, or a pattern such as `forest_*`; text after `#` is a comment.

    Raises:
        DataError: if the list cannot be read, a line matches no id, or no image is left.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        ...     _ = file.write("wall_*  # blurred")
        ...     file.flush()
        ...     [record.id for record in without_excluded([Record("", "", "wall_1"), Record("", "", "floor")], file.name)]
        ['floor']
    """
    try:
        if not Path(file).expanduser().is_file():  # a device would never end
            raise ValueError("there is no such file")
        lines = Path(file).expanduser().read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise DataError(f"list {str(file)!r} cannot be read ({error}): set data.exclude to a text file") from None
    ids = {record.id for record in records}
    entries = [entry for line in lines if (entry := _entry(line, ids))]
    matches = {entry: {entry} if entry in ids else fnmatch(ids, entry) for entry in entries}
    unknown = [line for line, found in matches.items() if not found]
    if unknown:
        raise DataError(
            f"list {str(file)!r} holds {', '.join(unknown[:NAMES_SHOWN])}, but no image has such an id: give ids, which are file "
            "names without extension, or patterns"
        )
    excluded = {name for found in matches.values() for name in found}
    if ids and ids <= excluded:
        raise DataError(
            f"list {str(file)!r} leaves out all {len(ids)} images: remove lines, or a pattern that matches too much"
        )
    return [record for record in records if record.id not in excluded]


def line_of(name: str) -> str:
    r"""Return the line of a list that stands for an id: a pattern if the id has line breaks, or spaces at its ends.

    Example:
        >>> line_of("wall 1"), line_of(" [1]"), line_of("a\nb")
        ('wall 1', '[ ][[]1]', 'a?b')
    """
    if name == name.strip() and len(name.splitlines()) == 1:
        return name
    return re.sub(r"[^\S \t]", "?", re.sub(r"[ \t#]", r"[\g<0>]", escape(name)))


def _entry(line: str, ids: Collection[str]) -> str:
    """Return the id or pattern of a line; a `#` at its start or after a space begins a comment, unless it is part of an id."""
    parts = (" " + line).split(" #")
    begins = [" #".join(parts[:count]).strip() for count in range(len(parts), 0, -1)]
    return next((begin for begin in begins if begin in ids), begins[-1])
