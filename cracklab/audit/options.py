"""Options of both forms of `cracklab audit`, and the names of its results."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

from cracklab.bounds import PositiveFloat, PositiveInt, UnitInterval, bounded
from cracklab.errors import ConfigError

TABLE, PAGE, EXCLUDE = "audit.csv", "audit.html", "exclude.txt"
DEFAULT_FOLDER = "audit"
"""Folder inside that of a kfold."""


@bounded
@dataclass(frozen=True)
class AuditOptions:
    """Options of both forms of the command.

    Args:
        tolerance_px: distance up to which mask and prediction may differ along an edge, px.
        exclude_from: images with a suspect of at least this score are listed in exclude.txt.
        rows: number of suspects that the page shows.
    """

    tolerance_px: PositiveFloat = 4.0
    exclude_from: UnitInterval = 0.5
    rows: PositiveInt = 200

    @classmethod
    def add_to(cls, add: Callable[..., Any]) -> None:
        """Add the options to a parser, by its `add_argument`."""
        add(
            "--tolerance_px",
            type=float,
            default=cls.tolerance_px,
            help="largest ignored distance along an edge, px (default: 4)",
        )
        add(
            "--exclude_from",
            type=float,
            default=cls.exclude_from,
            help=f"lowest score of the images in {EXCLUDE} (default: 0.5)",
        )
        add("--rows", type=int, default=cls.rows, help="number of suspects that the page shows (default: 200)")

    @classmethod
    def of(cls, parsed: Any) -> Self:
        """Return the options among the arguments that a parser returned."""
        return cls(**{field.name: getattr(parsed, field.name) for field in fields(cls)})


def keep_list(out: Path, exclude: str | None) -> None:
    """Check that the list of images that are left out is not overwritten by one that lacks them.

    Raises:
        ConfigError: if it lies in the folder of the results.
    """
    if exclude is not None and Path(exclude).expanduser().resolve() == (out / EXCLUDE).resolve():
        raise ConfigError(f"the list data.exclude {exclude} would be overwritten: choose another --out")
