"""`fit`, `validate` and `test`: stock LightningCLI with a run folder, and with net, loss and data linked."""

import json
import signal
import sys
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import nn

from cracklab import config_files, config_parser, plugins, run_folder
from cracklab.bounds import Seed
from cracklab.callbacks import Checkpoints, Panels, Probabilities
from cracklab.callbacks.run_ends import RunStart, config_text, next_steps
from cracklab.checkpoint import Payload, initialise_net, read_checkpoint
from cracklab.checkpoint_checks import check_resumable
from cracklab.data.datamodule import CrackDataModule
from cracklab.data.plan import Plan
from cracklab.errors import ConfigError
from cracklab.files import output_folder
from cracklab.finders import FINDERS
from cracklab.loggers.wandb import WandbSettings, open_run, wandb_session
from cracklab.losses import LOSSES
from cracklab.metrics.headline import as_printed
from cracklab.metrics.protocols import find_protocol
from cracklab.models import pretrained
from cracklab.module import CrackModule
from cracklab.trainer_settings import check_trainer
from cracklab.training.allocator import keep_freed_memory
from cracklab.training.folder import FolderOfRun
from cracklab.training.limits import check_interval, check_limits
from cracklab.training.links import fit_net_to_data, fit_normalisation
from cracklab.training.planning import plan_run, with_progress, with_time
from cracklab.training.resume import check_states, resume_errors, seed_of
from cracklab.training.trainer import as_list, callbacks_of_run, in_run_folder, is_first_process, stops_in_one_line
from cracklab.training.trial import try_fit
from cracklab.warning_filters import filter_warnings


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
        self.plan: Plan | None = None
        """The plan of a training; `try_run` sets it."""
        self.folder = FolderOfRun(command)
        filter_warnings()
        LOSSES.fill()
        plugins.search_start_folder()
        super().__init__(
            CrackModule,
            CrackDataModule,
            save_config_callback=RunStart,
            save_config_kwargs={"save_to_log_dir": False},
            seed_everything_default=42,
            parser_class=config_parser.ConfigParser,
            parser_kwargs={"prog": "cracklab", "allow_abbrev": False, command: {"allow_abbrev": False}},
            args=self._with_plugins(args),
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
        )

    def _with_plugins(self, args: Sequence[str]) -> list[str]:
        """Import the files and modules that the arguments name, and return the arguments of the parser."""
        names, others = plugins.take(args)
        plugins.import_all(names)
        found = [*config_files.resolve(others)]
        # `--model.loss.help NAME` takes all that follows for options of NAME
        end = next((i for i, one in enumerate(found) if one.partition("=")[0].endswith(".help")), len(found))
        return [self.command, *found[:end], f"--{plugins.KEY}={json.dumps(names)}", *found[end:]]

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
        parser.add_argument(f"--{plugins.KEY}", type=str | list[str], default=[], help=plugins.HELP)
        if self.command == "test":
            parser.add_argument("--protocol", nargs="+", default=[], help="print these protocols of protocols.json")
        parser.add_lightning_class_args(Checkpoints, "checkpoint")
        parser.add_lightning_class_args(Panels, "panels")
        parser.add_lightning_class_args(Probabilities, "probabilities")
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
            path = self.config[self.command].ckpt_path = run_folder.checkpoint_of(path, self._get_argument("out"))
            self._given = path, read_checkpoint(path)
            Payload.from_checkpoint(self._given[1], path)
            check_resumable(self._given[1], path, self.command)
            if self.command == "fit" and self._get_argument("seed_everything") is True:  # a resumed run keeps its own
                self.config["fit"].seed_everything = seed_of(self._given[1], path)
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
        run_folder.check_name(config.name)
        check_trainer(config.trainer)
        config.data.seed = int(config.seed_everything)
        fit_net_to_data(config)
        fit_normalisation(config, self._given)

    def instantiate_classes(self) -> None:
        """Build net, loss and data; `run` builds the trainer."""
        fresh = self._get_argument("ckpt_path") is None
        self.parser.add_instantiator(partial(pretrained.build, fresh=fresh), nn.Module)
        with config_parser.config_errors():
            self.config_init = self.parser.instantiate_classes(self.config)
        self.datamodule, self.model = self._get(self.config_init, "data"), self._get(self.config_init, "model")

    def build(self, args: Sequence[str]) -> None:
        """Parse other arguments of the same command, and build net, loss and data again; building a parser takes a second."""
        self.parse_arguments(self.parser, self._with_plugins(args))
        self._parse_ckpt_path()
        self.before_instantiate_classes()
        self.instantiate_classes()

    def run(self) -> None:
        """Build the trainer, and run the command."""
        with config_parser.config_errors():
            self.try_run()
            if self.plan is not None and is_first_process():
                accelerator = self._get_argument("trainer.accelerator")
                plan = with_time(self.plan, self.model, self.datamodule, accelerator)
                print("\n".join(plan.lines()), flush=True)
            config = self.config[self.command]
            self.model.config = config_text(self._parser(self.command), config)
            with self.folder.choose(config, self.model.config):
                self.trainer = self.build_trainer(self.folder.path)
                self._check_trainer()
        self._given = None
        self.folder.claim()
        for logger in self.trainer.loggers:
            open_run(logger)
        with stops_in_one_line(self.trainer), resume_errors(self.trainer):
            super()._run_subcommand(self.command)
        if self.folder.is_temporary:
            print("fast_dev_run: the batches went through; nothing is kept", flush=True)

    def _run_subcommand(self, subcommand: str) -> None:
        """Do nothing at the end of the stock constructor: `run` runs the command."""

    def after_fit(self) -> None:
        """Print the best score, where the results are, and the commands that follow."""
        if self.trainer.is_global_zero and not self.folder.is_temporary:
            net, imported = self._get_argument("model.net").class_path, self._get_argument(plugins.KEY)
            print(next_steps(self.trainer, net, imported), flush=True)

    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, Any]:
        """Return the arguments of the trainer's method; the methods below print the scores in place of Lightning."""
        arguments: dict[str, Any] = super()._prepare_subcommand_kwargs(subcommand)
        return {**arguments, "verbose": False} if "verbose" in arguments else arguments

    def after_validate(self) -> None:
        """Print the headline figures, and all scores unless `--verbose false`."""
        self._print_scores(run_folder.VAL_METRICS)

    def after_test(self) -> None:
        """Print the same for the test, and the protocols of `--protocol`."""
        self._print_scores(run_folder.TEST_METRICS, self._get_argument("protocol"))

    def _print_scores(self, file: str, protocols: Sequence[str] = ()) -> None:
        if self.trainer.is_global_zero:
            metrics, options = self.model.result.metrics, self.model.evaluation
            path, verbose = Path(self.trainer.default_root_dir) / file, self._get_argument("verbose")
            print(as_printed(metrics, options, path, verbose, protocols), flush=True)

    def try_run(self) -> None:
        """Read the data, and try a training, before anything is written; bad data and settings that cannot train raise here."""
        if self._given is not None:
            initialise_net(self.model.net, *self._given)
        self.datamodule.setup(self.command)
        if self.command == "fit":
            trainer = self._get(self.config_init, "trainer")
            self.plan = plan_run(self.config["fit"], trainer, self.datamodule)
            given = as_list(trainer.callbacks)
            resumed = self._given is not None and self._get_argument("ckpt_path") is not None
            content = self._given[1] if self._given is not None and resumed else {}
            keyed = self._keyed_callbacks()
            try_fit(self.model, self.datamodule, keyed, given, content.get("optimizer_states", ()))
            if content:
                self.plan = with_progress(self.plan, content, [*keyed, *given])
        elif self.datamodule.num_classes > 1:
            for name in self._get_argument("protocol") or ():
                if not find_protocol(name).several_classes:
                    raise ConfigError(
                        f"--protocol {name} is defined for one class, and the data has several: leave it out"
                    )

    def _keyed_callbacks(self) -> list[Any]:
        return [self._get(self.config_init, key) for key in self._parser(self.command).callback_keys]

    def build_trainer(self, folder: Path) -> pl.Trainer:
        """Build the trainer, with loggers, callbacks and checkpoints in the run folder."""
        config, fitting = self.config[self.command], self.command == "fit"
        given, wandb = (self._get(self.config_init, key) for key in ("trainer", "wandb"))
        arguments = in_run_folder(given, folder, wandb, self.command, self.model.config)
        logged = bool(arguments["logger"])
        fresh = fitting and config.ckpt_path is None and not any(folder.glob("hpc_ckpt_*.ckpt"))  # that of a requeue
        if not fresh:  # a resumed run keeps what was found
            arguments["callbacks"] = [one for one in as_list(arguments["callbacks"]) if not isinstance(one, FINDERS)]
        return self._instantiate_trainer(
            arguments, callbacks_of_run(config, self._keyed_callbacks(), self.folder.guard, fitting, logged)
        )

    def _check_trainer(self) -> None:
        """Check what only the trainer knows: the number of steps of an epoch, and the states of a checkpoint."""
        if self.command == "fit":
            check_interval(self.trainer, len(self.datamodule.train_dataloader()))
        check_limits(self.trainer, self.datamodule, self.command)
        if self._given is not None and self._get_argument("ckpt_path") is not None:
            path, content = self._given
            check_states(self.command, content, path, self.trainer, self.model)


def run(command: str, args: Sequence[str]) -> int:
    """Run fit, validate or test; return the exit code."""
    keep_freed_memory()
    with wandb_session():
        try:
            cli = CrackCLI(command, args)
            with closing(cli.folder):
                cli.run()
        except MisconfigurationException as error:
            raise ConfigError(str(error)) from error
        except SIGTERMException as end:  # a SystemExit, whose text would be the exit code 1
            if is_first_process():
                print(f"\n{end}", file=sys.stderr, flush=True)
            return 128 + signal.SIGTERM
    return 0


def _maps_of(loss: Any) -> tuple[str, ...]:
    return tuple(getattr(loss, "maps", ()))
