"""The run folder: the names of its files, and which folder a command works in.

config.yaml          the resolved configuration, written by fit alone
metrics.csv          one row per epoch
resources.csv        time, throughput and memory: one row per epoch
checkpoints/         best.ckpt, last.ckpt
panels/              pictures of a few validation and test images, and curves over all of them; panels/examples/ holds photo,
                     truth, probability and errors of test images side by side, the same images for all runs on that test set
environment.json     versions, seeds, device, git revision, determinism tier, settings that followed from the data
fold.json            of a run on one fold: its number and the images on each side
val_metrics.json     from validate: name -> finite number or null
val_per_image.csv    from validate: one row per image, first column id
test_metrics.json    from test: name -> finite number or null
per_image.csv        from test: one row per image, first column id
per_image_native.csv from test: the same at the size of the files
probabilities/       from test, with probabilities.keep: ID.png of each image at the size of its file, 8 bit, 255 for 1
protocols.json       from test: the same predictions under each named protocol
run.lock             empty; locked by the fit that works in the folder, see `cracklab.run_lock`
"""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from urllib.parse import quote

from cracklab.errors import ConfigError, RunError

CONFIG = "config.yaml"
METRICS = "metrics.csv"
RESOURCES = "resources.csv"
ENVIRONMENT = "environment.json"
FOLD = "fold.json"
CHECKPOINTS = "checkpoints"
BEST = f"{CHECKPOINTS}/best.ckpt"
LAST = f"{CHECKPOINTS}/last.ckpt"
PANELS = "panels"
EXAMPLES = f"{PANELS}/examples"
VAL_METRICS, VAL_PER_IMAGE = "val_metrics.json", "val_per_image.csv"
TEST_METRICS = "test_metrics.json"
PER_IMAGE = "per_image.csv"
PER_IMAGE_NATIVE = "per_image_native.csv"
PROTOCOLS = "protocols.json"
PROBABILITIES = "probabilities"
LOCK = "run.lock"
LONGEST_NAME = 240
"""Largest length of a file name without its extension, bytes; disks take 255 with it."""


def run_of(checkpoint: str | Path) -> Path | None:
    """Return the run folder that holds a checkpoint; None if the checkpoint is somewhere else."""
    folder = Path(checkpoint).absolute().parent
    return folder.parent if folder.name == CHECKPOINTS else None


def checkpoint_of(path: str, out: str | None) -> str:
    """Return the checkpoint that a command reads; `last` and `best` are those of the run folder `out`, as in Lightning's trainer.

    Raises:
        ConfigError: for `last` or `best` without `out`.

    Example:
        >>> checkpoint_of("last", "runs/walls")
        'runs/walls/checkpoints/last.ckpt'
    """
    files = {"last": LAST, "best": BEST}
    if path not in files or Path(path).exists():
        return path
    if out is None:
        raise ConfigError(
            f"--ckpt_path {path} needs the folder of its run: --out RUN, or --ckpt_path RUN/{files[path]}"
        )
    return (Path(out) / files[path]).as_posix()


def checkpoint_to_resume(folder: Path) -> Path | None:
    """Return the checkpoint from which the run of a folder is resumed; None without one.

    It is last.ckpt; best.ckpt in a run that ended between its first validation and the first time that last.ckpt was due.
    """
    return next((folder / name for name in (LAST, BEST) if (folder / name).is_file()), None)


def probability_file(folder: Path, name: str) -> Path:
    """Return the file of the probabilities of a test image; a long name, which no disk takes, ends with its hash.

    Example:
        >>> probability_file(Path("runs/0"), "east/wall").as_posix()
        'runs/0/probabilities/east%2Fwall.png'
    """
    quoted = quote(name, safe="")
    if len(quoted) > LONGEST_NAME:
        quoted = f"{quoted[: LONGEST_NAME - 33]}-{blake2b(name.encode(), digest_size=16).hexdigest()}"
    return folder / PROBABILITIES / f"{quoted}.png"


def is_used(folder: Path) -> bool:
    """Return whether a run has been started in a folder."""
    return any((folder / name).exists() for name in (CONFIG, METRICS, CHECKPOINTS, TEST_METRICS))


def next_folder(parent: Path) -> Path:
    """Create and return the next free numbered folder: runs/NAME/0, runs/NAME/1, ... No other process can take it."""
    parent.mkdir(parents=True, exist_ok=True)
    number = max((int(entry.name) + 1 for entry in parent.iterdir() if entry.name.isdigit()), default=0)
    while True:
        folder = parent / str(number)
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
        else:
            return folder


def check_name(name: str) -> None:
    """Check that `runs/NAME` is a folder below `runs`.

    Raises:
        ConfigError: if it is not.
    """
    if not name.strip() or Path(name).is_absolute() or ".." in Path(name).parts:
        raise ConfigError(f"--name {name!r} is not a folder name below runs: give a name such as 'facade'")


def folder_for(command: str, out: str | None, checkpoint: str | None, name: str) -> Path:
    """Return the run folder that a command works in; see `refuse_used`.

    Args:
        command: `fit`, `validate` or `test`.
        out: `--out`, if given.
        checkpoint: `--ckpt_path`, if given.
        name: NAME in the default folder `runs/NAME/NUMBER`.
    """
    own = run_of(checkpoint) if checkpoint else None
    if out is None:
        return own or next_folder(Path("runs") / name).absolute()
    return Path(out).absolute()


@contextmanager
def removed_on_error(folder: Path) -> Iterator[None]:
    """Remove a folder, and the folders of `runs/NAME` that it alone was made for, if an error ends the block and they are empty."""
    try:
        yield
    except BaseException:
        for one in (folder, folder.parent, folder.parent.parent):
            try:
                one.rmdir()
            except OSError:
                break
        raise


def refuse_used(folder: Path, checkpoint: str | None, config: str | None) -> None:
    """Refuse to fit in a folder that holds another run.

    Args:
        folder: the run folder.
        checkpoint: `--ckpt_path`, if given; a run resumes in its own folder.
        config: text of config.yaml; a run with the same text that was killed before its first checkpoint starts over. None
            for a run without checkpoints: its tables are its result.

    Raises:
        RunError: states how to proceed.
    """
    own = run_of(checkpoint) if checkpoint else None
    if not is_used(folder) or (own and own.resolve() == folder.resolve()):
        return
    if (kept := checkpoint_to_resume(folder)) is not None:
        raise RunError(
            f"--out {folder} already holds a run: choose another folder, or resume that run with --ckpt_path {kept}"
        )
    tested, path = (folder / TEST_METRICS).exists(), folder / CONFIG
    if tested or config is None or not path.is_file() or path.read_text(encoding="utf-8", errors="replace") != config:
        raise RunError(
            f"--out {folder} already holds a run, of another configuration or without a checkpoint to resume from: choose "
            "another folder, or remove it"
        )
