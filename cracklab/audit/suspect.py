"""A suspect: one reason to re-check a mask."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

Kind = Literal["missed", "unfounded", "shifted", "too-wide", "too-thin", "inverted", "swapped", "empty"]
KINDS: dict[Kind, str] = {
    "missed": "the net is sure of a crack, and the mask has none near it",
    "unfounded": "the mask has a piece of crack where the net is sure that there is none",
    "shifted": "the mask fits the prediction much better if it is moved",
    "too-wide": "the mask fits the prediction much better if it is eroded",
    "too-thin": "the mask fits the prediction much better if it is dilated",
    "inverted": "crack and background are exchanged",
    "swapped": "the mask fits the prediction of another image",
    "empty": "the mask shows no crack, and the net is sure of one",
}
"""Kind of fault -> its description."""


@dataclass(frozen=True)
class Suspect:
    """A region of a mask that is probably wrong.

    Attributes:
        id: of the image.
        kind: kind of fault, see `KINDS`.
        score: 0 to 1; how far the region stands out from what is usual in the data set, see `README.md`.
        x: left edge of the region, px of the image's own size.
        y: top edge, px.
        width: of the region, px.
        height: of the region, px.
        note: details, for readers.
    """

    id: str
    kind: Kind
    score: float
    x: int
    y: int
    width: int
    height: int
    note: str = ""

    def to_row(self) -> dict[str, Any]:
        """Return the row of `audit.csv`.

        Example:
            >>> Suspect("wall", "missed", 0.91234, 10, 20, 30, 5, "").to_row()["score"]
            0.9123
        """
        row = asdict(self)
        return row | {"score": round(self.score, 4)}


COLUMNS = ("id", "kind", "score", "x", "y", "width", "height", "note")
"""Columns of `audit.csv`."""
