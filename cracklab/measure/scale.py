"""How many millimetres a pixel is: one figure for all photos, a table, or a photo's own EXIF and a distance."""

import csv
import math
from pathlib import Path

from PIL import ExifTags, Image, UnidentifiedImageError

from cracklab.errors import ConfigError, DataError

FILM_DIAGONAL_MM = math.hypot(36, 24)
"""Diagonal of 35 mm film, which the equivalent focal length refers to (CIPA DCG-001)."""
UNIT_MM = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}
"""Units of EXIF's FocalPlaneResolutionUnit, mm."""
SAME_SHAPE = 0.01
"""A photo whose ratio of sides differs by more than this share from that of the camera's own was cropped."""


def read_table(path: Path) -> dict[str, float]:
    """Scales from a CSV file with the columns `id` (a mask's name without its ending) and `mm_per_px`.

    Raises:
        ConfigError: for a file without these columns, a repeated id, or a scale that is not a positive number.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"--scale_csv {path} cannot be read ({error}): give a CSV file") from None
    scales: dict[str, float] = {}
    for row in rows:
        if row.get("id") is None or row.get("mm_per_px") is None:
            found = ", ".join(str(name) for name in row)
            raise ConfigError(f"--scale_csv {path} has the columns {found}: it needs id and mm_per_px")
        if row["id"] in scales:
            raise ConfigError(f"--scale_csv {path} has {row['id']!r} twice: keep one of them")
        scales[row["id"]] = positive(row["mm_per_px"], f"mm_per_px of {row['id']!r} in {path}")
    if not scales:
        raise ConfigError(f"--scale_csv {path} has no rows: give a line `id,mm_per_px` and one for each mask")
    return scales


def positive(value: str | float, name: str) -> float:
    """A positive, finite number.

    Raises:
        ConfigError: naming it, for anything else.
    """
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise ConfigError(f"{name} is {value!r}: give a positive number")
    return number


def from_exif(photo: Path, distance_mm: float) -> float:
    """Scale of a photo taken at right angles to the wall, from its EXIF, mm per px.

        mm_per_px = distance * pixel pitch / focal length

    The pitch is that of the sensor (FocalPlaneXResolution), or follows from the equivalent focal length on 35 mm film
    and the diagonal; the latter is rounded to whole mm by cameras, 2 % for 26 mm. A photo that was reduced keeps its
    scale right, one that was cropped is refused.

    Args:
        photo: the file.
        distance_mm: from the camera to the wall, mm.

    Raises:
        DataError: for a photo without these tags, or cropped.
    """
    try:
        with Image.open(photo) as image:
            long, short = max(image.size), min(image.size)
            tags = image.getexif().get_ifd(ExifTags.IFD.Exif)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise DataError(f"photo {str(photo)!r} cannot be read ({error}): copy it again from its source") from None

    def number(tag: ExifTags.Base) -> float:
        try:
            value = float(tags.get(tag, 0))
        except (TypeError, ValueError, ZeroDivisionError):
            return 0.0
        return value if math.isfinite(value) and value > 0 else 0.0

    sides = sorted((number(ExifTags.Base.ExifImageWidth), number(ExifTags.Base.ExifImageHeight)))
    if sides[0] and abs(sides[1] / sides[0] - long / short) > SAME_SHAPE * long / short:
        raise DataError(
            f"photo {str(photo)!r} is {long} x {short} px but its EXIF speaks of {sides[1]:g} x {sides[0]:g}: it was "
            "cropped, so give its scale by --mm_per_px or --scale_csv"
        )
    focal, film = number(ExifTags.Base.FocalLength), number(ExifTags.Base.FocalLengthIn35mmFilm)
    resolution = number(ExifTags.Base.FocalPlaneXResolution)
    unit = UNIT_MM.get(int(number(ExifTags.Base.FocalPlaneResolutionUnit)) or 2)
    if focal and resolution and unit:
        reduced = sides[1] / long if sides[1] else 1.0
        return distance_mm * unit / resolution * reduced / focal
    if film:
        return distance_mm * FILM_DIAGONAL_MM / math.hypot(long, short) / film
    raise DataError(
        f"photo {str(photo)!r} has no EXIF FocalLengthIn35mmFilm, nor FocalLength with FocalPlaneXResolution: give its "
        "scale by --mm_per_px or --scale_csv"
    )
