"""The scale of a photo, mm per px: from a table, or from its EXIF and the distance to the wall."""

import csv
import math
from collections.abc import Callable
from pathlib import Path

from PIL import ExifTags

from cracklab.data.image_files import open_image
from cracklab.errors import ConfigError, DataError
from cracklab.tables import read_csv

FILM_DIAGONAL_MM = math.hypot(36, 24)
"""Diagonal of 35 mm film, to which the equivalent focal length refers (CIPA DCG-001)."""
UNIT_MM = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}
"""Units of EXIF's FocalPlaneResolutionUnit, mm."""
SAME_SCALE, SAME_SCALE_UNSIZED = 1.25, 1.1
"""Scales by the focal plane and by the equivalent focal length differ by at most this factor; without the EXIF's size, the second."""
SAME_SHAPE = 0.01
"""A photo was cropped if its aspect ratio differs by more than this share from that in its EXIF."""


def read_scales(path: Path) -> dict[str, float]:
    r"""Read scales from a CSV file with the columns `id` (the name of a mask without its suffix) and `mm_per_px`.

    Raises:
        ConfigError: for a file without these columns, a repeated id, or a scale that is not a positive number.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder) / "scales.csv"
        ...     _ = path.write_text("id,mm_per_px\nnorth,0.4\neast/3,0.25\n")
        ...     read_scales(path)
        {'north': 0.4, 'east/3': 0.25}
    """
    try:
        rows = read_csv(path)
    except (OSError, ValueError, csv.Error) as error:
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
    """Return a value as a positive, finite number.

    Args:
        value: to convert.
        name: of the option or cell, for the message.

    Raises:
        ConfigError: for anything else.

    Example:
        >>> positive("0.4", "--mm_per_px")
        0.4
    """
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise ConfigError(f"{name} is {value!r}: give a positive number")
    return number


def scale_from_exif(photo: Path, distance_mm: float) -> float:
    """Return the scale of a photo taken at right angles to the wall, from its EXIF, mm per px.

        mm_per_px = distance * pixel pitch / focal length

    The pixel pitch is that of the sensor (FocalPlaneXResolution), or follows from the diagonal and the equivalent focal
    length on 35 mm film, which cameras round to whole mm: 2 % at 26 mm. The scale of a resized photo is right; a cropped
    photo is refused, and so is one that has lost the size it was taken at, unless the equivalent focal length confirms the
    scale.

    Args:
        photo: the file.
        distance_mm: from the camera to the wall, mm.

    Raises:
        DataError: for a photo without these tags, a cropped one, or one whose tags contradict each other.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from PIL import Image
        >>> exif = Image.Exif()
        >>> exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FocalLengthIn35mmFilm] = 50
        >>> with TemporaryDirectory() as folder:
        ...     Image.new("RGB", (360, 240)).save(Path(folder) / "a.jpg", exif=exif)
        ...     round(scale_from_exif(Path(folder) / "a.jpg", distance_mm=1000), 3)  # 36 mm / 360 px * 1000 / 50
        2.0
    """
    long, short, number = _read_exif(photo)
    sides = sorted((number(ExifTags.Base.ExifImageWidth), number(ExifTags.Base.ExifImageHeight)))
    if sides[0] and abs(sides[1] / sides[0] - long / short) > SAME_SHAPE * long / short:
        raise DataError(
            f"photo {str(photo)!r} is {long} x {short} px but its EXIF says {sides[1]:g} x {sides[0]:g}: it was "
            "cropped, so give its scale by --mm_per_px or --scale_csv"
        )
    focal, film = number(ExifTags.Base.FocalLength), number(ExifTags.Base.FocalLengthIn35mmFilm)
    resolution = number(ExifTags.Base.FocalPlaneXResolution)
    unit = UNIT_MM.get(int(number(ExifTags.Base.FocalPlaneResolutionUnit)) or 2)
    remedy = "give its scale by --mm_per_px or --scale_csv"
    by_film = distance_mm * FILM_DIAGONAL_MM / math.hypot(long, short) / film if film else 0.0
    if focal and resolution and unit:
        by_plane = distance_mm * unit / resolution * (sides[1] / long if sides[1] else 1.0) / focal
        if not sides[1] and not film:
            raise DataError(
                f"photo {str(photo)!r} has EXIF FocalPlaneXResolution but no ExifImageWidth, so it is unknown whether it was "
                f"resized: {remedy}"
            )
        most = SAME_SCALE if sides[1] else SAME_SCALE_UNSIZED
        if film and not 1 / most <= by_plane / by_film <= most:
            raise DataError(
                f"photo {str(photo)!r} has {by_plane:.4g} mm per px by its EXIF FocalPlaneXResolution but {by_film:.4g} by "
                f"FocalLengthIn35mmFilm, perhaps since it was resized: {remedy}"
            )
        return by_plane
    if film:
        return by_film
    raise DataError(
        f"photo {str(photo)!r} has no EXIF FocalLengthIn35mmFilm, nor FocalLength with FocalPlaneXResolution: {remedy}"
    )


def _read_exif(photo: Path) -> tuple[int, int, Callable[[ExifTags.Base], float]]:
    """Return the longer and the shorter side of a photo, px, and its EXIF: tag -> positive number, 0 if there is none."""
    try:
        with photo.open("rb") as file, open_image(file) as image:
            long, short = max(image.size), min(image.size)
            tags = image.getexif().get_ifd(ExifTags.IFD.Exif)
    except Exception as error:  # Pillow raises many types for damaged files
        raise DataError(f"photo {str(photo)!r} cannot be read ({error}): copy it again from its source") from None

    def number(tag: ExifTags.Base) -> float:
        try:
            value = float(tags.get(tag, 0))
        except (TypeError, ValueError, ZeroDivisionError):
            return 0.0
        return value if math.isfinite(value) and value > 0 else 0.0

    return long, short, number
