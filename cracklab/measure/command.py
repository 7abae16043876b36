"""`cracklab measure`: length, width, direction, tips and branch points of cracks, from masks."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from cracklab.command_parser import CommandParser
from cracklab.data.image_files import MAX_MEGAPIXELS
from cracklab.data.images import read_image
from cracklab.data.photos import Photo
from cracklab.data.resizing import fit_jpeg
from cracklab.error_handler import DISK_FULL, one_line
from cracklab.errors import DataError
from cracklab.files import output_folder, write_image, write_json
from cracklab.measure import compare, figure, tables
from cracklab.measure.inputs import OVERLAY, Inputs, file_of, find_masks, inputs_from
from cracklab.measure.measurement import Measurement, Row
from cracklab.measure.picture import MIN_SIZE_PX, SUFFIX, draw_measurement
from cracklab.measure.short import describe_ignored, propose_min_length
from cracklab.progress import Progress
from cracklab.tables import write_csv
from cracklab.warning_filters import filter_warnings


def parser(command: str = "measure") -> CommandParser:
    """Return the parser of the command's arguments.

    Example:
        >>> parser().parse(["masks", "--mm-per-px", "0.4"]).mm_per_px
        '0.4'
    """
    arguments = CommandParser(command, __doc__)
    add = arguments.add_argument
    add("masks", nargs="+", metavar="MASKS", help="masks, folders of masks, or patterns such as 'masks/*.png'")
    add(
        "--out",
        type=output_folder,
        help="folder for photos.csv, cracks.csv, both as measurements.xlsx, measurements.json and NAME_measured.jpg, and "
        "with --truth comparison.csv and comparison.json; without --out only text is printed",
    )
    scale = arguments.add_mutually_exclusive_group()
    scale.add_argument("--mm_per_px", help="scale of all photos")
    scale.add_argument("--scale_csv", type=Path, help="scale of each photo: a table with the columns id and mm_per_px")
    scale.add_argument(
        "--distance_mm", help="distance from the camera to the wall; needs --photos, for the focal length in their EXIF"
    )
    add("--photos", nargs="+", help="photos with the names of the masks: for --distance_mm, and behind the pictures")
    add("--bridge_px", default="0", help="join cracks over gaps of at most this length, px (default 0)")
    shortest = arguments.add_mutually_exclusive_group()
    shortest.add_argument("--min_length_px", default="0", help="ignore shorter cracks, px (default 0)")
    shortest.add_argument("--min_length_mm", help="ignore shorter cracks, mm; needs a scale")
    add("--classes", action="store_true", help="masks hold class indices: all but 0 and 255 are crack")
    add("--truth", nargs="+", help="true masks with the same names: print the errors of the measurements")
    add(
        "--max_megapixels",
        type=float,
        default=MAX_MEGAPIXELS,
        help="refuse larger masks and photos before they fill the memory, 1e6 px (default: %(default)g)",
    )
    add("--no_pictures", action="store_true", help="write no NAME_measured.jpg")
    add(
        "--figures",
        nargs="+",
        choices=list(figure.SUFFIXES),
        default=[],
        help="write NAME_figure.pdf or .png for print: the wall, cracks coloured by width, a scale bar; needs a scale",
    )
    return arguments


def run(command: str, args: Sequence[str]) -> int:
    """Measure every mask.

    Args:
        command: `measure`.
        args: its arguments on the command line.

    Returns:
        The exit code: 1 if some masks failed, else 0.

    Raises:
        CracklabError: for invalid arguments.
        OSError: if no further file can be written, or a table cannot.

    Example:
        >>> import numpy as np
        >>> from contextlib import redirect_stdout
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder, redirect_stdout(None):  # without the progress
        ...     write_image(Path(folder) / "wall.png", np.zeros((20, 30), np.uint8))
        ...     code = run("measure", [folder, "--mm-per-px", "0.4"])
        >>> code
        0
    """
    filter_warnings()
    options = parser().parse(args)
    masks, pictures = find_masks(options.masks, options.out)
    inputs = inputs_from(options)
    pictures = [picture for picture in pictures if not picture.path.name.endswith(OVERLAY)]  # not mistaken for a mask
    if pictures:
        number = f"{len(pictures)} picture{'s' * (len(pictures) != 1)}"
        print(f"{number} of masks, such as {pictures[0].path}, left out: to measure one as a mask, rename it")
    measurements: dict[str, Measurement] = {}
    errors: list[Row] = []
    failed: dict[Path, str] = {}
    with Progress([work_of(mask) for mask in masks], "masks") as progress:
        for mask in masks:
            try:
                measurement = measure_file(mask, inputs)
                if inputs.truths is not None:
                    truth = measure_truth(mask.name, measurement, inputs)
                    errors.append(compare.comparison_row(mask.name, measurement, truth))
                measurements[mask.name] = measurement
            except Exception as error:  # reported at the end, after the tables of the others
                if isinstance(error, OSError) and error.errno in DISK_FULL:  # the tables would fail too
                    raise
                failed[mask.path] = one_line(error)
            progress.finish_item(skipped=mask.path in failed)
    report(measurements, errors, options.out)
    if failed:
        reasons = [f"  {path}: {reason}" for path, reason in failed.items()]
        print("\n".join([f"{len(failed)} of {len(masks)} failed:", *reasons]), file=sys.stderr)
    return 1 if failed else 0


def work_of(mask: Photo) -> float:
    """Return an estimate of the time to measure and draw a mask, in arbitrary units.

    This time grows with the pixels, and with the length of the cracks, as the size of the compressed file does: for masks of 1 to 24
    megapixels, and cracks of 0 to 114,000 px, a byte takes as long as a thousand pixels, within a factor of two. A net of cracks with
    thousands of branch points takes up to three times as long.
    """
    height, width = mask.size()
    return max(height * width, MIN_SIZE_PX**2) + 1000 * (mask.path.stat().st_size if mask.path.is_file() else 0)


def measure_file(mask: Photo, inputs: Inputs) -> Measurement:
    """Measure a mask, and write its picture and figures if there is a folder for them.

    Raises:
        CracklabError: for a file that cannot be read or written, or a photo of another size.

    Example:
        >>> import numpy as np
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder) / "wall.png"
        ...     write_image(path, np.pad(np.full((3, 50), 255, np.uint8), 5))
        ...     measurement = measure_file(Photo(path, "wall"), Inputs(lambda name: 0.4, {}, None))
        >>> round(measurement.summary()["length_mm"])
        20
    """
    cracks = inputs.read(mask.path)
    measurement = inputs.measure(cracks, inputs.scale(mask.name))
    photo = None
    if inputs.photos:
        photo = read_image(str(file_of(mask.name, inputs.photos, "--photos")), inputs.max_megapixels)
        _check_size(cracks.shape, photo.shape[:2], "its photo")
    if inputs.out is not None and inputs.pictures:
        picture = draw_measurement(measurement, cracks, photo)
        write_image(file_in(inputs.out, f"{mask.name}{SUFFIX}"), fit_jpeg(picture), quality=92)
    if inputs.out is not None and inputs.figures:
        drawn = figure.draw_figure(measurement, cracks, photo)
        for kind in inputs.figures:
            figure.write_figure(file_in(inputs.out, f"{mask.name}{figure.SUFFIXES[kind]}"), drawn)
    return measurement


def measure_truth(name: str, measurement: Measurement, inputs: Inputs) -> Measurement:
    """Measure the true mask of a name, with the scale of the measurement of its prediction.

    Raises:
        CracklabError: for a true mask that is missing, cannot be read, or has another size.

    Example:
        >>> import numpy as np
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder) / "wall.png"
        ...     write_image(path, np.pad(np.full((3, 50), 255, np.uint8), 5))
        ...     inputs = Inputs(lambda name: None, {}, truths={"wall": path})
        ...     truth = measure_truth("wall", Measurement((), 13, 60, mm_per_px=0.4), inputs)
        >>> round(truth.summary()["length_mm"])
        20
    """
    file = file_of(name, inputs.truths or {}, "--truth")
    truth = inputs.read(file)
    _check_size((measurement.height, measurement.width), truth.shape, "the true mask")
    return inputs.measure(truth, measurement.mm_per_px)


def _check_size(mask: tuple[int, ...], other: tuple[int, ...], what: str) -> None:
    if mask != other:
        raise DataError(
            f"the mask is {mask[1]} x {mask[0]} px but {what} is {other[1]} x {other[0]} px: give both the same size"
        )


def file_in(folder: Path, name: str) -> Path:
    """Return the path of a picture in the folder of the results.

    Raises:
        DataError: if a link leads out of the folder.

    Example:
        >>> file_in(Path("tables"), "east/3_measured.jpg").as_posix()
        'tables/east/3_measured.jpg'
    """
    path = folder / name
    if not path.parent.resolve().is_relative_to(folder.resolve()):
        raise DataError(f"{path} leads out of {folder} by a link, to {path.parent.resolve()}: remove the link")
    return path


def report(measurements: Mapping[str, Measurement], errors: Sequence[Row], out: Path | None) -> None:
    """Print the results, and write them to the folder `out`.

    Args:
        measurements: by the names of the masks.
        errors: rows of `compare.comparison_row`.
        out: folder for the tables; None for none.

    Example:
        >>> report({"wall": Measurement((), 20, 30)}, [], None)
        wall: no crack
    """
    if out is not None and measurements:
        tables.write_tables(out, measurements)
    if len(measurements) == 1:
        ((name, only),) = measurements.items()
        print(tables.as_text(tables.crack_rows(name, only)) if only.cracks else f"{name}: no crack")
    elif measurements:
        print(tables.as_text([tables.photo_row(name, measurement) for name, measurement in measurements.items()]))
    for line in (describe_ignored(measurements.values()), propose_min_length(measurements.values())):
        if line:
            print(line)
    if errors:
        result = compare.summarize_errors(errors)
        print(compare.as_text(result))
        if out is not None:
            write_csv(out / "comparison.csv", compare.COLUMNS, tables.rounded(errors))
            write_json(out / "comparison.json", result)
    if out is not None and measurements:
        print(f"{len(measurements)} measured, in {out}")
