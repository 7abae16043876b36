"""Images that are left out of a data set by a list of their ids."""

from collections.abc import Sequence
from fnmatch import filter as fnmatch
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
        DataError: if the list cannot be read, or a line matches no id.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        ...     _ = file.write("wall_*  # blurred")
        ...     file.flush()
        ...     [record.id for record in without_excluded([Record("", "", "wall_1"), Record("", "", "floor")], file.name)]
        ['floor']
    """
    try:
        lines = Path(file).expanduser().read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise DataError(f"list {str(file)!r} cannot be read ({error}): set data.exclude to a text file") from None
    ids = [record.id for record in records]
    matches = {line: {line} & set(ids) or fnmatch(ids, line) for text in lines if (line := _entry(text))}
    unknown = [line for line, found in matches.items() if not found]
    if unknown:
        raise DataError(
            f"list {str(file)!r} holds {', '.join(unknown[:NAMES_SHOWN])}, but no image has such an id: give ids, which are file "
            "names without extension, or patterns"
        )
    excluded = {name for found in matches.values() for name in found}
    return [record for record in records if record.id not in excluded]


def _entry(line: str) -> str:
    """Return the id or pattern of a line; a `#` begins a comment at the start of the line or after a space."""
    return (" " + line).partition(" #")[0].strip()
