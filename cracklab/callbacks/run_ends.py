"""The start and the end of a run: config.yaml, environment.json, and the messages that fit prints."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import yaml
from jsonargparse import Namespace
from lightning.pytorch.callbacks import Timer
from lightning.pytorch.cli import LightningArgumentParser, SaveConfigCallback
from torch import nn

from cracklab import plugins, run_folder
from cracklab.callbacks.checkpoints import Checkpoints
from cracklab.callbacks.environment import planned_before, write_environment
from cracklab.checkpoint import Payload
from cracklab.files import write_text
from cracklab.models.rebuild import is_known
from cracklab.run_lock import RunLock

NOT_OF_THE_RUN = ("config", "out", "ckpt_path", "weights_only", "verbose", "protocol")
"""Arguments that config.yaml leaves out, so that it starts the same run elsewhere."""

NO_TEXT = "Unable to serialize instance "
"""Beginning of the text that jsonargparse writes for an object without one."""


class RunFolderGuard(pl.Callback):
    """Stops training if the run folder is removed: the next write would make a new one that lacks the best checkpoint."""

    def __init__(self) -> None:
        self.lock: RunLock | None = None
        """The lock of the folder; None on processes that write nothing."""

    def __getstate__(self) -> dict[str, Any]:
        """Leave the lock to this process: some strategies pickle callbacks for the processes that they start."""
        return {**self.__dict__, "lock": None}

    def _check(self) -> None:
        if self.lock is not None:
            self.lock.check()

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Check before a step."""
        self._check()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check before a validation."""
        self._check()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check before the pictures of a validation are written."""
        self._check()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check before the tables of an epoch and checkpoints are written."""
        self._check()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check that everything that was written is there."""
        self._check()


class RunStart(SaveConfigCallback):
    """Tells every process the run folder, and writes config.yaml and environment.json of fit."""

    planned: Sequence[str] = ()
    """Keys of the settings of a resumed run that followed from the data when it began."""

    def setup(self, trainer: Any, pl_module: pl.LightningModule, stage: str) -> None:
        """Broadcast the run folder: every process runs the command line, but only the first one chooses the folder."""
        trainer._default_root_dir = trainer.strategy.broadcast(trainer.default_root_dir)
        super().setup(trainer, pl_module, stage)

    def save_config(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Write config.yaml; Lightning calls this on the first process alone."""
        print(f"run folder: {trainer.default_root_dir}", flush=True)
        if stage == "fit":
            path = Path(trainer.default_root_dir) / run_folder.CONFIG
            write_text(path, config_text(self.parser, self.config))

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Remember the settings that were derived from the data when the run began; its config.yaml has their values."""
        if trainer.state.fn == "fit" and trainer.ckpt_path:
            before = Payload.from_checkpoint(checkpoint).read_config()
            self.planned = planned_before(trainer.ckpt_path, before, self.config)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Write environment.json and print the size of the net, now that net and loss are set up."""
        if trainer.is_global_zero:
            path = Path(trainer.default_root_dir) / run_folder.ENVIRONMENT
            chosen = trainer.datamodule.chosen  # type: ignore[attr-defined]  # set by Lightning's data connector
            planned = dict.fromkeys((*self.planned, *chosen))
            write_environment(path, trainer, self.config["seed_everything"], pl_module.loss_settings, list(planned))
            if self.config["trainer"]["enable_model_summary"] is not False:
                print(_net_size(pl_module.net), flush=True)


def next_steps(trainer: pl.Trainer, net: str, imported: Sequence[str] = ()) -> str:
    """Return the best score of a finished fit, the places of its results, and the commands that follow.

    Args:
        trainer: after fit.
        net: class path of the net; predict needs an option to trust your own net.
        imported: files and modules of your own that the run imported.
    """
    folder = _relative(Path(trainer.default_root_dir))
    checkpoints = next((c for c in trainer.callbacks if isinstance(c, Checkpoints)), None)  # type: ignore[attr-defined]  # set by Lightning's callback connector
    if checkpoints is None or not checkpoints.best_model_path:
        last = folder / run_folder.LAST
        if last.is_file():
            return f"no validation chose a checkpoint as the best; the last one is {last}"
        return f"no checkpoint was written; tables are in {folder}"
    best, epochs = folder / run_folder.BEST, trainer.fit_loop.epoch_progress.current.ready
    trust = "" if is_known(net) else f" {plugins.trusting(net, imported)}"
    lines = []
    if _ran_out_of_time(trainer) and (resuming := _resuming(folder)):
        lines.append(f"trainer.max_time ended the run: resume with {resuming} --trainer.max_time null")
    lines += [
        f"best {checkpoints.monitor}: {checkpoints.best:.4f} in epoch {(checkpoints.best_epoch or 0) + 1} of {epochs}",
        f"checkpoint: {best}",
        f"pictures and curves: {folder / run_folder.PANELS}",
        "next:",
        f"  {_command('test', config=folder / run_folder.CONFIG, ckpt_path=best)}",
        f"  {_command('predict', ckpt_path=best)} --images PHOTOS --out MASKS{trust}",
    ]
    return "\n".join(lines)


def _ran_out_of_time(trainer: pl.Trainer) -> bool:
    """Return whether `trainer.max_time` has ended a fit before its last step."""
    left = [one.time_remaining() for one in trainer.callbacks if isinstance(one, Timer)]  # type: ignore[attr-defined]  # set by Lightning's callback connector
    return trainer.global_step < trainer.estimated_stepping_batches and any(
        time is not None and time <= 0 for time in left
    )


def stopped(trainer: Any) -> str:
    """Return the message after Ctrl-C or SIGTERM: what is kept, and how to resume a fit."""
    folder = _relative(Path(trainer.default_root_dir))
    if trainer.state.fn != "fit" or trainer.fast_dev_run or not (resuming := _resuming(folder)):
        return "stopped: finished files are kept"
    return f"stopped: resume with {resuming}"


def _resuming(folder: Path) -> str:
    """Return the command that resumes the run of a folder; empty without a checkpoint."""
    checkpoint = run_folder.checkpoint_to_resume(folder)
    if checkpoint is None:
        return ""
    return _command("fit", config=folder / run_folder.CONFIG, ckpt_path=checkpoint, out=folder)


def _command(name: str, **files: Path) -> str:
    """Return a command of cracklab with paths as options, in quotes where a shell needs them.

    Example:
        >>> _command("fit", out=Path("north wall"))
        "cracklab fit --out 'north wall'"
    """
    return shlex.join(
        ["cracklab", name, *(part for option, file in files.items() for part in (f"--{option}", file.as_posix()))]
    )


def _relative(path: Path) -> Path:
    """Return a path relative to the working folder, if it is inside."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _net_size(net: nn.Module) -> str:
    """Return name and size of a net.

    Example:
        >>> _net_size(nn.Linear(9, 1)), _net_size(nn.Linear(999, 1234))
        ('net: Linear, 10 parameters', 'net: Linear, 1.23 M parameters')
    """
    total = sum(parameter.numel() for parameter in net.parameters())
    trained = sum(parameter.numel() for parameter in net.parameters() if parameter.requires_grad)
    all_, some = (f"{count / 1e6:.3g} M" if count >= 1e5 else f"{count:,}" for count in (total, trained))
    frozen = "" if trained == total else f", {some} of them trained"
    return f"net: {type(net).__name__}, {all_} parameters{frozen}"


def config_text(parser: LightningArgumentParser, config: Namespace) -> str:
    """Return the resolved configuration as YAML, without the arguments of a single call."""
    values = without_objects(yaml.safe_load(parser.dump(config, skip_none=False, skip_validation=True)))
    return yaml.safe_dump({key: value for key, value in values.items() if key not in NOT_OF_THE_RUN}, sort_keys=False)


def without_objects(value: Any) -> Any:
    """Return a part of a configuration without defaults that have no text, such as a `torch.device`; a class sets them itself.

    Example:
        >>> without_objects({"swa_lrs": 0.01, "device": "Unable to serialize instance cpu"})
        {'swa_lrs': 0.01}
    """
    if isinstance(value, list):
        return [without_objects(one) for one in value]
    if not isinstance(value, dict):
        return value
    kept = {key: one for key, one in value.items() if not (isinstance(one, str) and one.startswith(NO_TEXT))}
    return {key: without_objects(one) for key, one in kept.items()}
