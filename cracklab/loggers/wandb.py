"""Weights & Biases, the default logger: online if a key is set and the server answers, else offline; it never stops a run."""

import json
import os
import ssl
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPException
from pathlib import Path
from threading import Thread
from typing import Any, Literal
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from lightning_utilities.core.rank_zero import rank_zero_info

from cracklab.files import write_json, write_text
from cracklab.loggers.identity import Identity

RUN_ID, IDENTITY = "wandb/run_id", "wandb/identity.json"
"""Files of a run folder that hold the id and the identity of its W&B run."""
KEEP = "keep_in_run_folder"
"""Attribute of the loggers of `wandb_logger`: the function that writes these files."""
CHANGED_VARIABLES = ("WANDB_MODE", "WANDB_SILENT", "WANDB_DATA_DIR", "WANDB_ERROR_REPORTING")
"""Environment variables that a run changes: Lightning the first, `wandb_logger` the others."""
IDENTITY_VARIABLES = {
    "name": "WANDB_NAME",
    "group": "WANDB_RUN_GROUP",
    "job_type": "WANDB_JOB_TYPE",
    "tags": "WANDB_TAGS",
}
"""Setting -> the environment variable of W&B for the same."""
ANSWER_S, OPEN_S = 5.0, 8.0
"""Seconds in which the server must answer at all, and in which a run must be open; else the run is offline."""
_in_session = ContextVar("in_session", default=False)


@dataclass
class WandbSettings:
    """How Weights & Biases is used.

    Args:
        mode: `auto` is online if a key is set and the server answers, else offline; `WANDB_MODE` overrides it.
        project: W&B project; default: `WANDB_PROJECT`, else cracklab.
        name: name of the run; default: `WANDB_NAME`, else such as `quickstart dice seed 42 fold 2/5`.
        group: group of the run; default: `WANDB_RUN_GROUP`, else the folder of the kfold or study, else `name`.
        job_type: job type of the run; default: `WANDB_JOB_TYPE`, else train, fold, test or validate.
        tags: tags of the run; default: `WANDB_TAGS`, else loss, net, data and version of cracklab.
        checkpoint: whether the best checkpoint becomes an artifact of the run.
    """

    mode: Literal["auto", "online", "offline", "disabled"] = "auto"
    project: str | None = None
    name: str | None = None
    group: str | None = None
    job_type: str | None = None
    tags: list[str] = field(default_factory=list)
    checkpoint: bool = True


@contextmanager
def wandb_session() -> Iterator[None]:
    """Restore the user's W&B variables at the end, and close the W&B run of this process.

    Sessions nest: each restores the variables, and only the outermost one closes the run. So `fit` and `test`, each a
    session within another, share one W&B run; opened a second time, an offline run would overwrite itself.
    """
    before = {name: os.environ.get(name) for name in CHANGED_VARIABLES}
    outermost = not _in_session.get()
    token = _in_session.set(True)
    try:
        yield
    finally:
        _in_session.reset(token)
        if outermost:
            _close_run()
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _close_run() -> None:
    """Close the W&B run of this process, if any, which flushes its files."""
    wandb: Any = sys.modules.get("wandb")
    if wandb is not None and wandb.run is not None:
        wandb.finish()


def wandb_logger(settings: WandbSettings, folder: Path, default: Identity) -> Any:
    """Return a W&B logger for a run folder, or False if W&B is disabled; call it within a `wandb_session`.

    `open_run` keeps id and identity in the folder, so that a resumed run, and its test, continue the same W&B run; until then
    nothing is written.

    Args:
        settings: how W&B is used.
        folder: the run folder.
        default: the identity of a new run, unless the settings or variables of W&B say otherwise.
    """
    mode = os.environ.get("WANDB_MODE") or settings.mode
    if mode in ("auto", "online"):
        mode = choose_mode(mode)
    if mode in ("disabled", "dryrun"):
        return False
    # W&B's reports about itself would wait for a silent server for 20 s at the end, even of an offline run
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    import wandb  # takes a second
    from lightning.pytorch.loggers import WandbLogger

    os.environ.setdefault("WANDB_SILENT", "true")
    # tables and their images are kept here until `wandb sync`
    os.environ.setdefault("WANDB_DATA_DIR", str(folder / "wandb"))
    own_id, own_identity = run_id(folder), run_identity(folder, settings, default)
    logger = WandbLogger(
        save_dir=folder,
        offline=mode == "offline",
        id=own_id,
        resume="allow" if mode == "online" else None,
        project=settings.project or os.environ.get("WANDB_PROJECT") or "cracklab",
        **own_identity,
        settings=wandb.Settings(init_timeout=OPEN_S, login_timeout=OPEN_S),
    )
    logger._wandb_init.pop(
        "anonymous", None
    )  # W&B warns that it is deprecated, and Lightning has no option to leave it out
    setattr(logger, KEEP, partial(_keep, folder, own_id, own_identity))
    return logger


def _keep(folder: Path, own_id: str, own_identity: dict[str, Any]) -> None:
    """Write id and identity of the W&B run of a folder."""
    write_text(folder / RUN_ID, own_id)
    write_json(folder / IDENTITY, own_identity)


def open_run(logger: Any) -> None:
    """Open the run of a W&B logger; offline, after a warning with the reason, if its server refuses or does not answer.

    An offline run is opened when it is first logged to.

    Args:
        logger: any logger of Lightning; others than that of W&B are ignored.
    """
    wandb: Any = sys.modules.get("wandb")
    if wandb is None:
        return
    from lightning.pytorch.loggers import WandbLogger

    getattr(logger, KEEP, lambda: None)()
    if not isinstance(logger, WandbLogger) or logger._offline:
        return
    try:
        logger.experiment  # noqa: B018 - opens the run
    except Exception as error:  # whatever W&B raises, it does not stop a run
        _warn_offline(" ".join(str(error).split())[:200])
        wandb.teardown()  # its service would refuse the id of the run a second time
        logger._offline = True
        logger._wandb_init |= {"resume": None, "mode": "offline"}
        logger.experiment  # noqa: B018 - opens the run


def choose_mode(wanted: str = "auto") -> str:
    """Return `online` if the server answers and a key is set, else `offline` after stating the reason.

    Args:
        wanted: `online` leaves a missing key to W&B, which also takes one from a prompt or a setting of its own.
    """
    if wanted == "auto" and not has_key():
        rank_zero_info("W&B: offline, since no key is set (`wandb login` sets one; `wandb sync` uploads offline runs)")
        return "offline"
    reason = unreachable(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai"))
    if reason is None:
        return "online"
    _warn_offline(reason)
    return "offline"


def _warn_offline(reason: str) -> None:
    print(f"warning: W&B is offline, since {reason}; `wandb sync` uploads the run later", file=sys.stderr, flush=True)


def unreachable(url: str, seconds: float = ANSWER_S) -> str | None:
    """Return why a server does not answer within some seconds; None if it does. HTTP and TLS errors count as answers."""
    host = urlsplit(url).hostname
    reasons: list[str | None] = [f"{host} does not answer within {seconds:g} s"]

    def ask() -> None:
        try:
            urlopen(Request(url, method="HEAD"), timeout=seconds).close()
        except TimeoutError:  # may come a moment before the time of the thread is over
            pass
        except URLError as error:
            answered = isinstance(error, HTTPError) or isinstance(error.reason, ssl.SSLError)
            if not isinstance(error.reason, TimeoutError):
                reasons.append(None if answered else f"{host} does not answer ({error.reason})")
        except (OSError, HTTPException, ValueError) as error:
            reasons.append(f"{host} does not answer ({error})")
        else:
            reasons.append(None)

    thread = Thread(target=ask, daemon=True)  # the time limit of a socket does not bound a look-up of a name
    thread.start()
    thread.join(seconds)
    return reasons[-1]


def has_key() -> bool:
    """Return whether W&B finds a key in the environment, or in the file that `wandb login` writes, if it can be read."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        netrc = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
        return netrc.is_file() and "wandb" in netrc.read_text(errors="ignore")
    except (OSError, RuntimeError):  # a file of another user, or no home: W&B never stops a run
        return False


def run_id(folder: Path) -> str:
    """Return the W&B id that is kept in a run folder; else that of the agent of a sweep, or a new one."""
    path = folder / RUN_ID
    if path.is_file():
        return path.read_text(encoding="utf-8").strip()
    return os.environ.get("WANDB_RUN_ID") or uuid.uuid4().hex[:16]


def run_identity(folder: Path, settings: WandbSettings, default: Identity) -> dict[str, Any]:
    """Return name, group, job type and tags of the W&B run of a folder.

    Each is that of the settings, else of W&B's own variable, else of an earlier command in the folder, else the default.
    """
    path = folder / IDENTITY
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # missing, or damaged: W&B never stops a run
        kept = {}
    found = {}
    for key, variable in IDENTITY_VARIABLES.items():
        found[key] = getattr(settings, key) or os.environ.get(variable) or kept.get(key) or getattr(default, key)
    if isinstance(found["tags"], str):
        found["tags"] = found["tags"].split(",")
    return found
