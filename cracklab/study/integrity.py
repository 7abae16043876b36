"""Checks that the data and the files of finished runs have not changed.

All tables of a study are about the same data. Changed data is refused; damaged files of a finished run are named, and made again
with `--redo`.
"""

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from cracklab import run_folder
from cracklab.errors import RunError
from cracklab.files import write_text
from cracklab.study.fingerprints import Fingerprint, as_text, changed, fingerprints, is_current
from cracklab.study.folder import DATA, TEST_OUTPUTS, PlannedRun, RunStatus, Study

CHECKPOINTS = (run_folder.BEST, run_folder.LAST)
"""Checkpoints of a finished run, which may be removed to save space."""
KEPT = (*TEST_OUTPUTS, run_folder.PER_IMAGE_NATIVE, run_folder.CONFIG, *CHECKPOINTS)
"""Files of a finished run that the tables, a report or a prediction read."""


def write_data(study: Study, files: Iterable[str]) -> None:
    """Write data.json, the fingerprints of the images and masks of a study."""
    _write(study, fingerprints(files))


def _write(study: Study, known: dict[str, Fingerprint]) -> None:
    lines = [f"{json.dumps(path)}: {json.dumps(fingerprint)}" for path, fingerprint in known.items()]
    write_text(study.folder / DATA, "{\n" + ",\n".join(lines) + "\n}\n")


def refuse_changed_data(study: Study, update: bool = False) -> None:
    """Check that the images and masks are those that the study was planned with; studies of cracklab 0.1 do not record them.

    Args:
        study: the study.
        update: if the files were copied, keep their new times, so that the next check need not read them.

    Raises:
        RunError: names the files that are changed or gone.
    """
    path = study.folder / DATA
    if not path.is_file():
        return
    try:
        known = {
            str(name): (int(a), int(b), int(c), str(d)) for name, (a, b, c, d) in json.loads(path.read_text()).items()
        }
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise RunError(
            f"{path} is damaged ({type(error).__name__}: {error}): restore it, or choose another --out"
        ) from None
    if states := changed(known):
        relative = any(state == "gone" and not Path(name).is_absolute() for name, state in states.items())
        hint = (
            ", or run it in the working folder of the first run, to which these paths are relative" if relative else ""
        )
        raise RunError(
            f"the data is not that of the runs in {study.folder} ({as_text(states)}): restore these files, or choose another "
            f"--out{hint}"
        )
    if update and not is_current(known):
        write_data(study, known)


def kept_files(folder: Path) -> dict[str, Fingerprint]:
    """Return the fingerprints of the files of a finished run, by their names in its folder."""
    files = {str(folder / name): name for name in KEPT if (folder / name).is_file()}
    return {files[path]: fingerprint for path, fingerprint in fingerprints(files).items()}


def damaged_files(study: Study, run: PlannedRun, status: RunStatus) -> dict[str, str]:
    """Return the damaged files of a finished run -> `changed` or `gone`; removed checkpoints do not count."""
    folder = study.path(run)
    if not status.files:  # of cracklab 0.1
        return {name: "unreadable" for name in TEST_OUTPUTS if not _is_readable(folder / name)}
    states = changed({str(folder / name): fingerprint for name, fingerprint in status.files.items()})
    found = {name: states[str(folder / name)] for name in status.files if str(folder / name) in states}
    return {name: state for name, state in found.items() if name not in CHECKPOINTS or state != "gone"}


def _is_readable(path: Path) -> bool:
    try:
        text = path.read_text(encoding="utf-8")
        return "id" in next(csv.reader([text])) if path.suffix == ".csv" else isinstance(json.loads(text), dict)
    except (OSError, ValueError, csv.Error, StopIteration):
        return False


def check_finished(study: Study, runs: Sequence[PlannedRun], redo: bool) -> None:
    """Check the files of the finished runs, and mark runs with damaged ones as new if they are to be done again.

    A run whose checkpoints are whole is only tested again.

    Raises:
        RunError: names the damaged files, unless `redo`.
    """
    statuses = {run.name: (run, study.status(run)) for run in runs}
    damaged = {
        name: files
        for name, (run, status) in statuses.items()
        if status.state == "finished" and (files := damaged_files(study, run, status))
    }
    if damaged and not redo:
        states = {
            f"{statuses[name][0].folder}/{file}": state
            for name, files in damaged.items()
            for file, state in files.items()
        }
        raise RunError(
            f"files of finished runs in {study.folder} have changed ({as_text(states)}): restore them, or run the same "
            "command with --redo, which repeats these runs"
        )
    for name, files in damaged.items():
        with study.lock(name) as lock:
            if lock is None:  # another process does it again
                continue
            if any(file in CHECKPOINTS for file in files):  # without a checkpoint to resume from, the run starts over
                for file in CHECKPOINTS:
                    (study.path(statuses[name][0]) / file).unlink(missing_ok=True)
            study.write_status(statuses[name][0], RunStatus())
