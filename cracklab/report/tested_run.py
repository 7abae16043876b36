"""One tested run, read from its folder: scores, scores of its images, learning curve, costs, environment."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cracklab import run_folder
from cracklab.errors import RunError
from cracklab.metrics.overlap import COUNTS
from cracklab.report.metric import Metric
from cracklab.tables import from_cell

COSTS = ("seconds", "epoch_s", "images_per_s", "waiting_share", "gpu_peak_gb")
"""Columns of metrics.csv and resources.csv that the cost table reads."""
MISSING = ("", "nan", "NaN", "NA", "None", "null")
"""Cells of a column of numbers without a value."""
Intern = Callable[[tuple[str, ...]], tuple[str, ...]]
"""Returns the first equal tuple that it was given, so that runs with the same test images share one."""


@dataclass
class Images:
    """The scores of one run's test images."""

    ids: tuple[str, ...]
    groups: tuple[str, ...]
    """The photo of each image; the image's own id if per_image.csv has no groups."""
    values: NDArray[np.float64]
    """(images, columns of the metric); NaN where there is nothing to measure."""


@dataclass
class TestedRun:
    """One tested run."""

    folder: Path
    name: str
    """Path below the folder of the report."""
    labels: dict[str, str]
    """Axis -> label, without replicates."""
    numbers: dict[str, float]
    """Numeric settings that the study varies, for heat maps."""
    texts: dict[str, str]
    """The other settings that the study varies."""
    replicate: dict[str, str]
    """Label of each of fold, repeat, seed_everything and data.split_seed that the run has."""
    metrics: dict[str, float | None]
    """test_metrics.json; also `PROTOCOL/NAME` of protocols.json if the report's metric is one of them."""
    environment: dict[str, Any]
    planned: tuple[str, ...] = ()
    """Keys of the settings that followed from the data."""
    num_folds: int = 0
    """Number of folds that the images are divided into, finished or not; 0 if unknown."""
    method: str = ""
    setting: str = "-"
    """Labels of the axes that do not make methods."""
    block: str = "-"
    """Setting and split, for readers."""
    curve: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Epoch and validation score, from metrics.csv."""
    costs: dict[str, float] = field(default_factory=dict)
    images: Images | None = None

    @property
    def seed(self) -> str:
        """Label of the run's seed, `-` if unknown."""
        return self.replicate.get("seed_everything", "-")

    @property
    def fold(self) -> str:
        """Label of the run's fold, `-` if it has none."""
        return self.replicate.get("fold", "-")

    @property
    def repeat(self) -> str:
        """Label of the division of the images into folds, or into training and test images."""
        return ", ".join(self.replicate.get(axis, "-") for axis in ("repeat", "data.split_seed"))


def read_files(run: TestedRun, metric: Metric, intern: Intern) -> None:
    """Fill a run from the files of its folder.

    Args:
        run: a run with its folder, name and labels.
        metric: the metric whose curve and image scores are read.
        intern: makes runs with the same test images share their ids.

    Raises:
        RunError: if a file cannot be read.
    """
    path = run.folder / run_folder.TEST_METRICS
    try:
        run.metrics = json.loads(path.read_text(encoding="utf-8"))
        if metric.curve is None:
            path = run.folder / run_folder.PROTOCOLS
            run.metrics |= _protocol_values(path)
        if (path := run.folder / run_folder.ENVIRONMENT).is_file():
            run.environment = json.loads(path.read_text(encoding="utf-8"))
            run.replicate.setdefault("seed_everything", str(run.environment.get("seed", "-")))
            run.planned = tuple(map(str, run.environment.get("planned", ())))
        if (path := run.folder / run_folder.METRICS).is_file():
            wanted = {"epoch", "seconds", metric.curve}
            table = _read_table(path, "epoch", usecols=lambda name: name in wanted)
            run.curve = table.drop(columns="seconds", errors="ignore")
            run.costs["epochs"] = float(len(table))
            if "seconds" in table:
                run.costs["seconds"] = float(table["seconds"].sum())
        if (path := run.folder / run_folder.RESOURCES).is_file():
            table = _read_table(path, "epoch", usecols=lambda name: name in COSTS)
            for name in table.columns.intersection(list(COSTS)):
                values = table[name]
                run.costs[str(name)] = float(values.max() if name == "gpu_peak_gb" else values.median())
            if "epoch_s" in table:
                run.costs["seconds"] = float(table["epoch_s"].sum())
        if (path := run.folder / metric.rows).is_file():
            run.images = _images(path, metric, intern)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{path} cannot be read ({type(error).__name__}: {error}): test that run again") from None


def _read_table(path: Path, key: str, **options: Any) -> pd.DataFrame:
    """Read a table, which pandas would also read with zero bytes in its numbers, or if it were another file.

    Raises:
        ValueError: if it holds zero bytes, as a file does that a power cut damaged, or lacks the column of its key.
    """
    content = path.read_bytes()
    if b"\0" in content:
        raise ValueError("it holds zero bytes")
    if key not in content.partition(b"\n")[0].decode().strip().split(","):
        raise ValueError(f"it has no column {key!r}")
    table: pd.DataFrame = pd.read_csv(path, **options)
    return table


def _protocol_values(path: Path) -> dict[str, float | None]:
    """Return the values of all protocols of protocols.json as `PROTOCOL/NAME`."""
    protocols = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    values = {protocol: content.get("values", {}) for protocol, content in protocols.items()}
    return {f"{protocol}/{key}": value for protocol in values for key, value in values[protocol].items()}


def _images(path: Path, metric: Metric, intern: Intern) -> Images | None:
    """Read the columns of the metric from the rows of the images; None if there are no rows.

    Raises:
        ValueError: if the images have no ids.
    """
    columns = metric.per_image.columns if metric.per_image else ()
    names = {"id", "group", *columns}
    table = _read_table(
        path,
        "id",
        usecols=lambda name: name in names,
        dtype={"id": str, "group": str},
        keep_default_na=False,  # ids such as NA and null are texts
        na_values=dict.fromkeys(columns, MISSING),
    )
    if table.empty:
        return None
    for name in ("id", "group"):
        if name in table:
            table[name] = [from_cell(str(cell)) for cell in table[name]]
    table = table.sort_values("id", kind="stable")
    ids = intern(tuple(map(str, table["id"])))
    groups = intern(tuple(map(str, table["group"]))) if "group" in table else ids
    present = [name for name in columns if name in table]
    values = table[present].to_numpy(float, copy=True) if len(present) == len(columns) else np.empty((len(ids), 0))
    if len(columns) == len(COUNTS):
        values[(values == 0).all(axis=1)] = np.nan  # no pixel was counted: all are ignored
    return Images(ids, groups, values)
