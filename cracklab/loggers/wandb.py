"""W&B as the standing logger: online where a key is set and the server answers, offline elsewhere, never in the way."""

import os
import socket
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from lightning_utilities.core.rank_zero import rank_zero_info

from cracklab.files import write_text

RUN_ID = "wandb/run_id"
USERS_DATA_DIR = os.environ.get("WANDB_DATA_DIR")


@dataclass
class WandbSettings:
    """How Weights & Biases is used.

    Args:
        mode: `auto` is online where a key is set and the server answers, else offline; `WANDB_MODE` decides over it.
        project: W&B project.
        name: name of the run (default: that of the run folder).
        group: for instance all folds of one cross-validation.
        job_type: for instance fold_0.
        tags: tags of the run.
        checkpoint: whether the best checkpoint becomes an artifact of the run.
    """

    mode: Literal["auto", "online", "offline", "disabled"] = "auto"
    project: str = "cracklab"
    name: str | None = None
    group: str | None = None
    job_type: str | None = None
    tags: list[str] = field(default_factory=list)
    checkpoint: bool = True


def wandb_logger(settings: WandbSettings, folder: Path, name: str) -> Any:
    """A W&B logger for a run folder, or False where W&B is disabled.

    The run id is kept in the folder, so that a resumed run, or its test, goes on in the same W&B run.
    """
    mode = os.environ.get("WANDB_MODE") or settings.mode
    if mode == "auto":
        mode = choose_mode()
    if mode in ("disabled", "dryrun"):
        return False
    from lightning.pytorch.loggers import WandbLogger  # imports wandb, which takes a second

    os.environ.setdefault("WANDB_SILENT", "true")
    os.environ["WANDB_DATA_DIR"] = USERS_DATA_DIR or str(
        folder / "wandb"
    )  # where tables and their images wait for `wandb sync`
    return WandbLogger(
        save_dir=folder,
        offline=mode == "offline",
        id=run_id(folder),
        resume="allow" if mode == "online" else None,
        project=settings.project,
        name=settings.name or f"{name}-{folder.name}",
        group=settings.group,
        job_type=settings.job_type,
        tags=settings.tags,
    )


def finish_wandb() -> None:
    """Close this process's W&B run, if there is one: what it holds is on disk then, and the next command starts its own."""
    wandb: Any = sys.modules.get("wandb")
    if wandb is not None and wandb.run is not None:
        wandb.finish()


def choose_mode() -> str:
    """`online` where a key is set and the server answers within two seconds, else `offline`, with one line that says so."""
    if not has_key():
        rank_zero_info("W&B: offline, since no key is set (`wandb login` sets one; `wandb sync` sends offline runs)")
        return "offline"
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai"))
    try:
        socket.create_connection(
            (host.hostname, host.port or (443 if host.scheme == "https" else 80)), timeout=2
        ).close()
    except OSError as error:
        rank_zero_info(
            f"W&B: offline, since {host.hostname} does not answer ({error}); `wandb sync` sends the run later"
        )
        return "offline"
    return "online"


def has_key() -> bool:
    """Whether W&B finds a key, in the environment or where `wandb login` puts it."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    netrc = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    return netrc.is_file() and "wandb" in netrc.read_text(errors="ignore")


def run_id(folder: Path) -> str:
    """The W&B id of a run folder, made at the first call; the agent of a sweep gives one."""
    path = folder / RUN_ID
    if not path.is_file():
        write_text(path, os.environ.get("WANDB_RUN_ID") or uuid.uuid4().hex[:16])
    return path.read_text(encoding="utf-8").strip()
