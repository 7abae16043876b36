"""`fit`, `validate` and `test`: stock LightningCLI with a run folder, and with net, loss and data linked."""

import json
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import yaml
from jsonargparse import ArgumentError, ArgumentParser, Namespace
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import EarlyStopping, LearningRateMonitor
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.utilities.exceptions import SIGTERMException
from lightning_utilities.core.rank_zero import rank_zero_info, rank_zero_only
from torch import nn

from cracklab import config_files, config_parser, run_folder
from cracklab.bounds import Seed
from cracklab.callbacks import (
    Checkpoints,
    Curves,
    Dashboard,
    ExactResume,
    KFold,
    Panels,
    Progress,
    Resources,
    SeedSteps,
    Tables,
)
from cracklab.callbacks.checkpoints import AtomicCheckpointIO
from cracklab.callbacks.environment import write_environment
from cracklab.checkpoint import Payload, check_form, check_resumable, read_checkpoint
from cracklab.data.datamodule import CrackDataModule
from cracklab.data.layouts import Layout
from cracklab.data.transform import MEAN, STD
from cracklab.errors import ConfigError, RunError
from cracklab.files import output_folder, write_text
from cracklab.loggers.wandb import WandbSettings, wandb_logger, wandb_session
from cracklab.losses import LOSSES
from cracklab.metrics.protocols import as_text, find_protocol
from cracklab.models import packaged, pretrained
from cracklab.models.rebuild import is_known
from cracklab.module import CrackModule
from cracklab.trial import check_trainer, try_fit
from cracklab.warning_filters import filter_warnings

NOT_OF_THE_RUN = ("config", "out", "ckpt_path", "weights_only", "verbose", "protocol")
"""Arguments that config.yaml leaves out, so that it starts the same run elsewhere."""


class RunStart(SaveConfigCallback):
    """Tells every process the run folder, and writes config.yaml and environment.json of fit."""

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

    def on_fit_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Write environment.json and print the size of the net, now that net and loss are set up."""
        if trainer.is_global_zero:
            path = Path(trainer.default_root_dir) / run_folder.ENVIRONMENT
            write_environment(path, trainer, self.config["seed_everything"], pl_module.loss_settings)
            if self.config["trainer"]["enable_model_summary"] is not False:
                print(_net_size(pl_module.net), flush=True)


@contextmanager
def config_errors() -> Iterator[None]:
    """Turn errors of the constructors and of the data into configuration errors: a message instead of a traceback.

    Raises:
        CracklabError: for anything that a configuration can cause.
    """
    try:
        yield
    except MisconfigurationException as error:
        raise ConfigError(str(error)) from error
    except (ArithmeticError, AttributeError, ImportError, LookupError, TypeError, ValueError) as error:
        raise config_parser.as_config_error(error) from error


class CrackCLI(LightningCLI):
    """Stock LightningCLI over `CrackModule` and `CrackDataModule`, for one command.

    The constructor parses the arguments and builds net, loss and data; `run` builds the trainer and runs the command. A
    study only builds, to check its plan.

    Args:
        command: `fit`, `validate` or `test`.
        args: arguments of the command.
        other_options: options, without dashes, of a command that passes its other arguments on to this one; error messages
            suggest them too.
    """

    def __init__(self, command: str, args: Sequence[str], other_options: Sequence[str] = ()) -> None:
        self.command, self.other_options = command, other_options
        filter_warnings()
        LOSSES.fill()
        super().__init__(
            CrackModule,
            CrackDataModule,
            save_config_callback=RunStart,
            save_config_kwargs={"save_to_log_dir": False},
            seed_everything_default=42,
            parser_class=config_parser.ConfigParser,
            parser_kwargs={"prog": "cracklab", "allow_abbrev": False, command: {"allow_abbrev": False}},
            args=[command, *config_files.resolve(args)],
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
        )

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]  # an instance knows which one is wanted
        """Return only the command that runs: each parser takes a second to build."""
        return {self.command: LightningCLI.subcommands()[self.command]}

    def add_default_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add `--seed_everything`, within the bounds of NumPy's generator."""
        parser.add_argument(
            "--seed_everything", type=bool | Seed, default=42, help="seed of the run; true: one at random"
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add `--out`, the default callbacks as keyed groups, the settings of W&B, and the link from loss to data."""
        parser.add_argument("--out", type=str | None, default=None, help="run folder (default: runs/NAME/NUMBER)")
        parser.add_argument("--name", type=str, default="run", help="NAME in the default run folder and in W&B")
        if self.command == "test":
            parser.add_argument("--protocol", nargs="+", default=[], help="print these protocols of protocols.json")
        parser.add_lightning_class_args(Checkpoints, "checkpoint")
        parser.add_lightning_class_args(Panels, "panels")
        parser.add_lightning_class_args(EarlyStopping, "early_stopping")
        parser.set_defaults(
            {"early_stopping.monitor": "val/iou", "early_stopping.mode": "max", "early_stopping.patience": 50}
        )
        parser.add_class_arguments(WandbSettings, "wandb")
        parser.link_arguments("model.loss", "data.maps", compute_fn=_maps_of, apply_on="instantiate")
        config_parser.name_registered(parser)

    def parse_arguments(self, parser: Any, args: Any) -> None:
        """Parse; the parsers keep the arguments for their error messages."""
        parsers: list[Any] = [parser, *self._subcommand_parsers.values()]
        for one in parsers:
            one.arguments, one.other_options = args, self.other_options
        super().parse_arguments(parser, args)

    def _parse_ckpt_path(self) -> None:
        """Check that the checkpoint can be read before anything is written; the stock CLI would merge hyperparameters from it."""
        path = self._get_argument("ckpt_path")
        self._given: tuple[str, dict[str, Any]] | None = None
        if path is not None:
            self._given = path, read_checkpoint(path)
            Payload.from_checkpoint(self._given[1], path)
            check_resumable(self._given[1], path, self.command)
        elif self.command != "fit":
            raise ConfigError(f"{self.command} needs a checkpoint: --ckpt_path RUN/{run_folder.BEST}")
        elif weights := self._get_argument("model.weights"):
            self._given = weights, read_checkpoint(weights)

    def _get_argument(self, key: str) -> Any:
        return self.config[self.command].get(key)

    def before_instantiate_classes(self) -> None:
        """Set the seed and the normalisation of the data, and the channels of the net; refuse unknown protocols."""
        config = self.config[self.command]
        for name in config.get("protocol", ()):
            find_protocol(name)
        if config.out is not None:
            output_folder(config.out)
        check_trainer(config.trainer)
        config.data.seed = int(config.seed_everything)
        fit_net_to_data(config)
        fit_data_to_weights(config)

    def instantiate_classes(self) -> None:
        """Build net, loss and data; `run` builds the trainer."""
        fresh = self._get_argument("ckpt_path") is None
        self.parser.add_instantiator(partial(pretrained.build, fresh=fresh), nn.Module)
        with config_errors():
            self.config_init = self.parser.instantiate_classes(self.config)
        self.datamodule, self.model = self._get(self.config_init, "data"), self._get(self.config_init, "model")

    def build(self, args: Sequence[str]) -> None:
        """Parse other arguments of the same command, and build net, loss and data again; building a parser takes a second."""
        self.parse_arguments(self.parser, [self.command, *config_files.resolve(args)])
        self._parse_ckpt_path()
        self.before_instantiate_classes()
        self.instantiate_classes()

    def run(self) -> None:
        """Build the trainer, and run the command."""
        if self._given is not None:  # before anything is written
            self.model.load_weights(*self._given)
        with config_errors():
            self.trainer = self.instantiate_trainer()
        if self._given is not None and self._get_argument("ckpt_path") is not None:
            path, content = self._given
            loops = {
                "fit": self.trainer.fit_loop,
                "validate": self.trainer.validate_loop,
                "test": self.trainer.test_loop,
            }
            name = f"{self.command}_loop"
            check_form(content["loops"].get(name), loops[self.command].state_dict(), path, f"loops.{name}")
        self._given = None
        try:
            super()._run_subcommand(self.command)
        except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            if not self.trainer._checkpoint_connector._loaded_checkpoint:  # emptied when all of it is restored
                raise
            said = " ".join(str(error).split())[:300]
            raise RunError(
                f"checkpoint {self.trainer.ckpt_path} cannot be resumed with this configuration ({type(error).__name__}: {said}): "
                "use RUN/config.yaml of its own run"
            ) from error

    def _run_subcommand(self, subcommand: str) -> None:
        """Do nothing at the end of the stock constructor: `run` runs the command."""

    def after_fit(self) -> None:
        """Print the best score, where the results are, and the commands that follow."""
        if self.trainer.is_global_zero:
            print(next_steps(self.trainer, self._get_argument("model.net").class_path), flush=True)

    def after_test(self) -> None:
        """Print the protocols of `--protocol`."""
        path = Path(self.trainer.default_root_dir) / run_folder.PROTOCOLS
        if self.trainer.is_global_zero and (names := self._get_argument("protocol")):
            results = json.loads(path.read_text(encoding="utf-8"))
            print("\n\n".join(as_text(results[name]) for name in names), flush=True)

    def try_run(self, callbacks: Sequence[Any] | None = None) -> None:
        """Read the data, and try a training, before anything is written; bad data and what cannot be trained raise here."""
        if callbacks is None:
            callbacks = [self._get(self.config_init, key) for key in self._parser(self.command).callback_keys]
        self.datamodule.setup(self.command)
        if self.command == "fit":
            resumed = self._given is not None and self._get_argument("ckpt_path") is not None
            states = self._given[1]["optimizer_states"] if self._given is not None and resumed else ()
            try_fit(self.model, self.datamodule, callbacks, states)

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:
        """Build the trainer, with loggers, callbacks and checkpoints in the run folder."""
        config = self.config[self.command]
        for name in config.get("protocol", ()):
            if self.datamodule.num_classes > 1 and not find_protocol(name).several_classes:
                raise ConfigError(f"--protocol {name} is defined for one class, and the data has several: leave it out")
        keyed = [self._get(self.config_init, key) for key in self._parser(self.command).callback_keys]
        trainer = self._get(self.config_init, "trainer")
        self.try_run([*keyed, *_as_list(trainer.callbacks)])
        first = not getattr(rank_zero_only, "rank", 0)
        folder = run_folder.folder_for(self.command, config.out, config.ckpt_path, config.name) if first else Path.cwd()
        self.model.config = config_text(self._parser(self.command), config)
        settings = self._get(self.config_init, "wandb")
        callbacks = [ExactResume(), SeedSteps(config.data.seed), Tables(), Resources(), Curves()]
        if config.data.fold is not None:
            callbacks.append(KFold(config.data.fold, config.data.folds))
        if trainer.enable_progress_bar is not False:
            callbacks.append(Progress())
        if trainer.logger is None:
            trainer.logger = wandb_logger(settings, folder, config.name) if first else False
        for logger in _as_list(trainer.logger or None):
            if hasattr(logger, "use_run_folder"):
                logger.use_run_folder(folder)
        if trainer.logger:
            callbacks.append(Dashboard(settings.checkpoint))
            if self.command == "fit":
                callbacks.append(LearningRateMonitor("step"))
        if trainer.enable_checkpointing is False:
            keyed = [callback for callback in keyed if not isinstance(callback, Checkpoints)]
        trainer = {
            **trainer,
            "default_root_dir": str(folder),
            "enable_model_summary": False,  # RunStart prints one line instead
            "plugins": [*_as_list(trainer.plugins), AtomicCheckpointIO()],
            **kwargs,
        }
        return self._instantiate_trainer(trainer, [*callbacks, *keyed])


def fit_net_to_data(config: Namespace) -> None:
    """Set the input channels and classes of the net from the data, if the net has arguments of those names."""
    arguments = config.model.net.get("init_args") or {}
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(Layout, "layout")  # one layout may hold others
    try:
        classes = parser.instantiate(parser.parse_object({"layout": config.data.layout})).layout.num_classes
    except (ArgumentError, TypeError, ValueError) as error:
        raise config_parser.as_config_error(error) from error
    wanted = {"in_channels": config.data.channels, "classes": classes, "out_channels": classes, "num_classes": classes}
    for argument, value in wanted.items():
        if argument in arguments and arguments[argument] != value:
            rank_zero_info(f"model.net.{argument} is set to {value}, as in the data")
            arguments[argument] = value


def fit_data_to_weights(config: Namespace) -> None:
    """Set mean and standard deviation from packaged weights, unless the configuration has values of its own."""
    weights = (config.model.net.get("init_args") or {}).get("encoder_weights")
    if weights == packaged.PACKAGED and (tuple(config.data.mean), tuple(config.data.std)) == (MEAN, STD):
        rank_zero_info("data.mean and data.std are set to those of the packaged weights")
        config.data.mean, config.data.std = packaged.MEAN, packaged.STD


def next_steps(trainer: pl.Trainer, net: str) -> str:
    """Return the best score of a finished fit, the places of its results, and the commands that follow.

    Args:
        trainer: after fit.
        net: class path of the net; predict has to be told to trust one of your own.
    """
    folder = _relative(Path(trainer.default_root_dir))
    checkpoints = next((c for c in trainer.callbacks if isinstance(c, Checkpoints)), None)  # type: ignore[attr-defined]  # set by Lightning's callback connector
    if checkpoints is None or not checkpoints.best_model_path:
        return f"no checkpoint was written; tables are in {folder}"
    best = folder / run_folder.BEST
    trust = "" if is_known(net) else f" --trust {net}"
    lines = [
        f"best {checkpoints.monitor}: {checkpoints.best:.4f} in epoch {(checkpoints.best_epoch or 0) + 1} of {trainer.current_epoch}",
        f"checkpoint: {best}",
        f"pictures and curves: {folder / run_folder.PANELS}",
        "next:",
        f"  cracklab test --config {folder / run_folder.CONFIG} --ckpt_path {best}",
        f"  cracklab predict --ckpt_path {best} --images PHOTOS --out MASKS{trust}",
    ]
    return "\n".join(lines)


def _relative(path: Path) -> Path:
    """Return a path relative to the working folder, if it is inside."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _net_size(net: nn.Module) -> str:
    total = sum(parameter.numel() for parameter in net.parameters())
    trained = sum(parameter.numel() for parameter in net.parameters() if parameter.requires_grad)
    frozen = "" if trained == total else f", {trained / 1e6:.3g} M of them trained"
    return f"net: {type(net).__name__}, {total / 1e6:.3g} M parameters{frozen}"


def config_text(parser: LightningArgumentParser, config: Namespace) -> str:
    """Return the resolved configuration as YAML, without the arguments of a single call."""
    values = yaml.safe_load(parser.dump(config, skip_none=False, skip_validation=True))
    return yaml.safe_dump({key: value for key, value in values.items() if key not in NOT_OF_THE_RUN}, sort_keys=False)


def run(command: str, args: Sequence[str]) -> int:
    """Run fit, validate or test; return the exit code."""
    with wandb_session():
        try:
            CrackCLI(command, args).run()
        except MisconfigurationException as error:
            raise ConfigError(str(error)) from error
        except SIGTERMException:  # a SystemExit without a code, which would mean success
            return 128 + signal.SIGTERM
    return 0


def _maps_of(loss: Any) -> tuple[str, ...]:
    return tuple(getattr(loss, "maps", ()))


def _as_list(given: Any) -> list[Any]:
    return given if isinstance(given, list) else [] if given is None else [given]
