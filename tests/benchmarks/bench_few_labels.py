"""Table and curve of how far a few labels go, from the runs of configs/studies/few_labels.yaml.

    python tests/benchmarks/bench_few_labels.py [DIR ...] [--picture curve.png]

adds the finished runs of study folders to few_labels.csv, which holds every run made so far, and prints IoU on the test images by
start and number of labels. The study takes several hours of two cores, and its folder several gigabytes; the table is what remains.
"""

import argparse
import json
from pathlib import Path
from statistics import fmean, stdev

from matplotlib.figure import Figure

from cracklab.files import write_image
from cracklab.pictures.colours import BLACK, BLUE, VERMILION, as_hex
from cracklab.pictures.plots import as_image
from cracklab.run_folder import TEST_METRICS
from cracklab.tables import read_csv, write_csv

ROWS = Path(__file__).with_suffix(".csv").with_name("few_labels.csv")
STARTS = {"random": "random weights", "imagenet": "an encoder with ImageNet's weights", "box": "the model that ships"}
NUMBERS = (5, 10, 30, 100, 287)
SCORES = ("iou", "dice", "precision", "recall", "cl_dice", "hd95_px")
COLUMNS = ("start", "labels", "choice", *SCORES)
Row = dict[str, str]


def finished(folder: Path) -> dict[tuple[str, str, str], Row]:
    """Return a row for each finished run of a study folder, by start, number of labels and choice of the images."""
    rows = {}
    for file in sorted(folder.glob(f"runs/*/{TEST_METRICS}")):
        cell = dict(part.split("=") for part in file.parent.name.split(","))
        key = cell["weights"], cell["images"], cell["seed_everything"]
        scores = json.loads(file.read_text())
        values = [f"{scores[f'test/{name}']:.4f}" for name in SCORES]
        rows[key] = dict(zip(COLUMNS, (*key, *values), strict=True))
    return rows


def by_cell(rows: list[Row]) -> dict[tuple[str, int], list[float]]:
    """Return the IoU of each choice of the images, by start and number of labels."""
    found: dict[tuple[str, int], list[float]] = {}
    for row in rows:
        found.setdefault((row["start"], int(row["labels"])), []).append(float(row["iou"]))
    return found


def print_table(rows: list[Row]) -> None:
    """Print mean, standard deviation and the single runs by start and number of labels."""
    cells = by_cell(rows)
    print(f"| from | {' | '.join(map(str, NUMBERS))} |\n|---|{'--:|' * len(NUMBERS)}")
    for start, name in STARTS.items():
        texts = []
        for number in NUMBERS:
            found = cells.get((start, number), [])
            spread = f" ± {stdev(found):.3f}" if len(found) > 1 else ""
            each = f" ({', '.join(f'{one:.3f}' for one in found)})" if len(found) > 1 else ""
            texts.append(f"{fmean(found):.3f}{spread}{each}" if found else "")
        print(f"| {name} | {' | '.join(texts)} |")


def draw_curves(rows: list[Row]) -> Figure:
    """Plot the mean IoU of each start against the number of labels, and a point for each run."""
    cells = by_cell(rows)
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for factor, (start, name), colour in zip((0.95, 1, 1.05), STARTS.items(), (VERMILION, BLACK, BLUE), strict=True):
        numbers = [number for number in NUMBERS if (start, number) in cells]
        axes.plot(
            [factor * one for one in numbers],
            [fmean(cells[start, one]) for one in numbers],
            color=as_hex(colour),
            label=name,
        )
        for number in numbers:
            points = cells[start, number]
            axes.plot([factor * number] * len(points), points, ".", color=as_hex(colour))
    axes.set(xscale="log", xlabel="labelled photos", ylabel="IoU on 237 test images")
    axes.set_xticks(NUMBERS, labels=map(str, NUMBERS))
    axes.minorticks_off()
    axes.legend()
    return figure


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, metavar="DIR", help="a folder of the study")
    parser.add_argument("--picture", type=Path, help="the curve, .png")
    options = parser.parse_args()
    rows = {tuple(row[name] for name in COLUMNS[:3]): row for row in read_csv(ROWS)} if ROWS.exists() else {}
    for folder in options.folders:
        rows |= finished(folder)
    ordered = sorted(
        rows.values(), key=lambda row: (list(STARTS).index(row["start"]), int(row["labels"]), row["choice"])
    )
    if options.folders:
        write_csv(ROWS, COLUMNS, ordered)
    print_table(ordered)
    if options.picture:
        write_image(options.picture, as_image(draw_curves(ordered)))
