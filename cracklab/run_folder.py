"""The run folder: where things lie in it, how they are written whole, how they are read back.

config.yaml          the resolved configuration, written by fit alone
metrics.csv          one row an epoch
resources.csv        time, throughput, memory: one row an epoch
checkpoints/         best.ckpt, last.ckpt
panels/              pictures of a few validation and test images, curves over all of them; in panels/examples/ photo, truth,
                     probability and errors of test images in a row, the same images for all runs with that test set
environment.json     versions, seeds, device, git revision, determinism tier
test_metrics.json    from test: name -> finite number or null
per_image.csv        from test: one row an image, first column id
protocols.json       from test: the same predictions under each named protocol
"""

from pathlib import Path

from cracklab.errors import RunError

CONFIG = "config.yaml"
METRICS = "metrics.csv"
RESOURCES = "resources.csv"
ENVIRONMENT = "environment.json"
CHECKPOINTS = "checkpoints"
BEST = f"{CHECKPOINTS}/best.ckpt"
LAST = f"{CHECKPOINTS}/last.ckpt"
PANELS = "panels"
EXAMPLES = f"{PANELS}/examples"
TEST_METRICS = "test_metrics.json"
PER_IMAGE = "per_image.csv"
PROTOCOLS = "protocols.json"


def run_of(checkpoint: str | Path) -> Path | None:
    """The run folder that holds a checkpoint, or None where it does not lie in one."""
    folder = Path(checkpoint).absolute().parent
    return folder.parent if folder.name == CHECKPOINTS else None


def is_used(folder: Path) -> bool:
    """Whether a run has been started in a folder."""
    return any((folder / name).exists() for name in (CONFIG, METRICS, CHECKPOINTS, TEST_METRICS))


def next_folder(parent: Path) -> Path:
    """The next free numbered folder: runs/NAME/0, runs/NAME/1, ...; made here, so that no other process takes it."""
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


def folder_for(command: str, out: str | None, checkpoint: str | None, name: str) -> Path:
    """The run folder that a command works in.

    Args:
        command: `fit`, `validate` or `test`.
        out: `--out`, if given.
        checkpoint: `--ckpt_path`, if given.
        name: what the default folder is called, `runs/NAME/NUMBER`.

    Raises:
        RunError: `fit` into a folder that holds another run.
    """
    own = run_of(checkpoint) if checkpoint else None
    if out is None:
        return own or next_folder(Path("runs") / name).absolute()
    folder = Path(out).absolute()
    if command == "fit" and is_used(folder) and not (own and own.resolve() == folder.resolve()):
        raise RunError(
            f"--out {out} holds a run already: choose another folder, or go on with it by --ckpt_path {Path(out) / LAST}"
        )
    return folder
