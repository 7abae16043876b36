"""The LightningModule: net, loss, evaluator, optimizer, schedule; nothing about any particular one of them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from cracklab.batch import Batch
from cracklab.bounds import NonNegativeFloat, NonNegativeInt, PositiveFloat, bounded
from cracklab.checkpoint import KEY, Payload, initialise_net, read_checkpoint
from cracklab.data.datamodule import CrackDataModule
from cracklab.data.native import NativeSize
from cracklab.data.resizing import Interpolation
from cracklab.errors import ConfigError
from cracklab.finders import has_finder, plan_again
from cracklab.freezing import Freezing
from cracklab.logits import probabilities
from cracklab.losses import External, Loss, build_loss
from cracklab.metrics.evaluator import Evaluator
from cracklab.metrics.options import EvaluationOptions
from cracklab.metrics.result import EvaluationResult
from cracklab.metrics.threshold_tuner import ThresholdTuner
from cracklab.multiscale import multiscale_probabilities
from cracklab.optimizers import build_optimizer
from cracklab.scales import check_scales
from cracklab.schedules import Constant, LearningRateSchedule, check_length, is_replaced


@bounded
class CrackModule(pl.LightningModule):
    """Trains any net on any loss.

    Args:
        net: from (B, C_in, H, W) to logits (B, C, H, W); any `nn.Module`.
        loss: a registered loss, from Python also by its name; or any `nn.Module` of (logits, target).
        target: the form of mask that a loss from another library takes.
        optimizer: from parameters to an optimizer.
        schedule: from (optimizer, number of steps) to a scheduler that is stepped per batch.
        encoder_lr_factor: learning rate of `net.encoder` relative to the rest; 0 freezes the encoder.
        freeze_encoder_epochs: number of first epochs in which the encoder is frozen, normalisation statistics included.
        freeze_norm: keep the statistics of batch normalisation as they are in `weights`. Statistics of a few images spoil a
            trained net.
        channels_last: whether net and images are in channels-last memory format.
        compile: whether to compile the net with `torch.compile`.
        weights: checkpoint of cracklab that the weights of the net are initialised from.
        scales: an image is scored at each of these sizes, relative to it, and the probabilities are fused: in every evaluation,
            which also chooses the threshold, and by predict and export. See `cracklab.multiscale`.
        evaluation: thresholds, scores and policies.
    """

    def __init__(
        self,
        net: nn.Module,
        loss: Loss | nn.Module,
        target: Literal["one_hot", "index"] = "one_hot",
        optimizer: OptimizerCallable = lambda parameters: torch.optim.AdamW(parameters, lr=1e-3),
        schedule: LearningRateSchedule | Callable[[Optimizer, int], LRScheduler] = Constant(),  # noqa: B008 - immutable, and the CLI shows it
        encoder_lr_factor: NonNegativeFloat = 1.0,
        freeze_encoder_epochs: NonNegativeInt = 0,
        freeze_norm: bool = False,
        channels_last: bool = False,
        compile: bool = False,
        weights: str | None = None,
        scales: Sequence[PositiveFloat] = (1.0,),
        evaluation: EvaluationOptions = EvaluationOptions(),  # noqa: B008 - never changed, and the CLI shows its fields
    ) -> None:
        super().__init__()
        self.net = net
        if isinstance(loss, str):
            loss = build_loss(loss)
        self.loss = loss if isinstance(loss, Loss) else External(loss, target=target)
        self.optimizer_factory, self.schedule = optimizer, schedule
        self.encoder_lr_factor = encoder_lr_factor
        self.lr: float | None = None
        """Learning rate that replaces the optimizer's, and is the maximum of the schedule; Lightning's
        `LearningRateFinder` sets it."""
        self._searched = False
        self.freezing = Freezing(net, encoder_lr_factor, freeze_encoder_epochs, freeze_norm, weights)
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.compile_net, self.weights, self.scales = compile, weights, scales
        check_scales(scales)
        self.evaluation = evaluation
        self.evaluator = Evaluator(evaluation)
        self.native_evaluator = Evaluator(evaluation, curves=True)
        """Scores a test at the size of the files."""
        self.tuner = ThresholdTuner.from_options(evaluation)
        self.result: EvaluationResult | None = None
        """The last evaluation; None from the start of an epoch until its validation has ended."""
        self.loss_settings: dict[str, float] = {}
        """Parameters that the loss derived from the training data, for the record."""
        self.config = ""
        """The resolved configuration as YAML; kept in the checkpoint, so that a run can be rebuilt from that alone."""
        self._tuning = False
        self._columns: dict[str, dict[str, float | str]] = {}
        self._native: NativeSize | None = None

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits (B, C, H, W) of normalised images (B, C_in, H, W)."""
        logits: Tensor = self.net(image.contiguous(memory_format=self.memory_format))
        return logits

    # -- training ---------------------------------------------------------------------------------------------------

    def setup(self, stage: str) -> None:
        """Link the loss and the data, and set the memory format of the net."""
        self._searched, self.result = False, None
        self.net.to(memory_format=self.memory_format)
        data = getattr(self.trainer, "datamodule", None)
        self.evaluator.class_names = self.native_evaluator.class_names = getattr(data, "class_names", None)
        if isinstance(data, CrackDataModule):
            self._columns = data.describing_columns()
            data.require_maps(self.loss.maps)
        if getattr(data, "num_classes", 1) > 1:
            self.tuner = None  # the most probable class has no threshold
        if stage == "fit" and self.loss.learns_from_statistics:
            statistics = getattr(data, "statistics", None)
            if statistics is None:
                raise ConfigError(
                    f"the loss {type(self.loss).__name__} needs statistics of the data: train with a CrackDataModule"
                )
            self.loss_settings = self.loss.configure(statistics)
        if self.compile_net:
            self.net.compile()

    def on_fit_start(self) -> None:
        """Plan the steps after Lightning's searches; initialise the net from `weights`, unless the run is resumed.

        Raises:
            RunError: for a checkpoint that cannot be read, or that is of another net.
        """
        if has_finder(self.trainer):
            self._searched = True
            plan_again(self.trainer)
        if self.weights is None or self.trainer.ckpt_path is not None:
            return
        initialise_net(self.net, self.weights, read_checkpoint(self.weights))

    def on_train_start(self) -> None:
        """Refuse to train past the end of the learning-rate schedule in a checkpoint, and start the epoch.

        Lightning does not call `on_train_epoch_start` in a run that is resumed within an epoch.
        """
        if not is_replaced(self.trainer):
            check_length(self.lr_schedulers(), self.trainer.estimated_stepping_batches)
        self._start_epoch()

    def on_train_epoch_start(self) -> None:
        """Forget the validation of the previous epoch, and start the epoch."""
        self.result = None
        self._start_epoch()

    def _start_epoch(self) -> None:
        """Pass the epoch to the loss, and keep the frozen parts in evaluation mode."""
        self.loss.set_epoch(self.current_epoch)
        self.freezing.start_epoch(self.current_epoch)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss of a batch."""
        loss: Tensor = self.loss(self(batch["image"]), batch["mask"], batch["maps"], batch["valid"])
        size = len(batch["id"])
        self.log("loss", loss.detach(), prog_bar=True, logger=False, batch_size=size)
        self.log("train/loss", loss.detach(), on_step=False, on_epoch=True, batch_size=size, sync_dist=True)
        for name, term in self.loss.terms.items():
            self.log(f"train/loss/{name}", term, on_step=False, on_epoch=True, batch_size=size, sync_dist=True)
        return loss

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Drop the gradients of a frozen encoder."""
        self.freezing.drop_gradients(self.current_epoch)

    def configure_optimizers(self) -> Any:
        """Return the optimizer over one or two parameter groups, and the schedule over all steps.

        Lightning's searches run without a schedule; it is planned after them.
        """
        optimizer = self.build_optimizer()
        if has_finder(self.trainer) and not self._searched:
            return optimizer
        scheduler = self.schedule(optimizer, int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def build_optimizer(self) -> Optimizer:
        """Return the optimizer over net and loss; the encoder may have its own learning rate."""
        encoder = getattr(self.net, "encoder", None)
        return build_optimizer(self.optimizer_factory, self.parameters(), encoder, self.encoder_lr_factor, self.lr)

    # -- evaluation -------------------------------------------------------------------------------------------------

    def on_validation_epoch_start(self) -> None:
        """Start new rows; compute the costly scores every n epochs, in the last epoch, and outside of fit."""
        every, steps = self.evaluation.surface_every_n_epochs, self.trainer.global_step
        last = self.current_epoch + 1 == self.trainer.max_epochs or steps == self.trainer.max_steps
        fitting = self.trainer.state.fn == "fit"
        self._tuning = fitting and not self.trainer.sanity_checking and self.tuner is not None
        self._start_rows(costly=not fitting or last or (self.current_epoch + 1) % every == 0)

    def on_test_epoch_start(self) -> None:
        """Start new rows, at the size that the net sees and at that of the files."""
        self._tuning = False
        self._start_rows(costly=True)
        data = getattr(self.trainer, "datamodule", None)
        self._native = data.native if isinstance(data, CrackDataModule) else None
        self.native_evaluator.threshold = self.evaluator.threshold
        self.native_evaluator.reset()

    def _start_rows(self, costly: bool) -> None:
        self.evaluator.costly = self.evaluator.curves = costly
        self.evaluator.reset()
        if self.tuner is not None:
            self.tuner.reset()

    def validation_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Add the rows of a batch; return the probabilities, for callbacks that draw pictures."""
        return self._evaluate(batch)

    def test_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Add the rows of a batch, and those of its images at the size of their files, one image at a time."""
        outputs = self._evaluate(batch)
        for name, scores in zip(batch["id"], outputs["probabilities"].cpu(), strict=True):
            if self._native is not None and name in self._native:
                image = self._native.restore(name, scores)
                self.native_evaluator.update(
                    [name], image.probabilities, image.mask, image.valid, columns=image.columns
                )
        return outputs

    def score(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the logits of a batch at scale 1, and the probabilities at `scales`, both (B, C, H, W)."""
        logits = self(batch["image"])
        once = probabilities(logits.float())
        data = getattr(self._trainer, "datamodule", None)
        interpolation: Interpolation = data.transform.interpolation if isinstance(data, CrackDataModule) else "area"
        return logits, multiscale_probabilities(
            lambda image: probabilities(self(image).float()),
            batch["image"],
            once,
            batch["size"],
            self.scales,
            interpolation,
        )

    def _evaluate(self, batch: Batch) -> dict[str, Tensor]:
        logits, scores = self.score(batch)
        scorer = self.tuner if self.tuner is not None and self._tuning else self.evaluator
        described = [self._columns.get(name, {}) for name in batch["id"]]
        columns = {name: [values[name] for values in described] for name in described[0]}
        scorer.update(
            batch["id"],
            scores,
            batch["mask"],
            batch["valid"],
            batch["size"],
            columns={**columns, "loss": self.loss.of_each(logits, batch["mask"], batch["maps"], batch["valid"])},
        )
        return {"probabilities": scores}

    def on_validation_epoch_end(self) -> None:
        """Choose the threshold, then log the metrics over the rows of all processes."""
        if self.tuner is not None and self._tuning:
            self.tuner.finish(self.evaluator)
        self._log_rows("val")

    def on_test_epoch_end(self) -> None:
        """Log the metrics over the rows of all processes."""
        self._log_rows("test")

    def _log_rows(self, stage: Literal["val", "test"]) -> None:
        native = self.native_evaluator if stage == "test" and self._native is not None else None
        self.result = EvaluationResult.of(stage, self.current_epoch, self.evaluator, native)
        scores = self.result.scores
        # equal on every process already, since the rows are: nothing to synchronise
        self.log_dict({name: torch.tensor(value, dtype=torch.float64) for name, value in scores.items()})
        self.log("iou", scores[f"{stage}/iou"], prog_bar=True, logger=False)

    # -- checkpoint -------------------------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the payload from which predict, test and export rebuild the net and the data transform."""
        data = getattr(self.trainer, "datamodule", None)
        own = data if isinstance(data, CrackDataModule) else None
        provenance, names = ({}, None) if own is None else (own.provenance.description, own.class_names)
        checkpoint[KEY] = Payload(self.config, self.evaluator.threshold, provenance, class_names=names).to_entry()

    def on_load_checkpoint(self, checkpoint: Mapping[str, Any]) -> None:
        """Restore the threshold, and check the data against the checkpoint's provenance.

        Raises:
            RunError: for a checkpoint of another program, or if fit would resume with other training images.
            DataError: if test images are among the training images of the checkpoint.
        """
        payload = Payload.from_checkpoint(checkpoint)
        self.evaluator.threshold = payload.threshold
        trainer = self._trainer
        data = getattr(trainer, "datamodule", None)
        if trainer is not None and isinstance(data, CrackDataModule):
            if trainer.state.fn == "test":
                data.provenance.check_unseen(payload.data)
            elif trainer.state.fn == "fit":
                data.provenance.check_same(payload.data)
