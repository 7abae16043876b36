"""The module: nets and losses, frozen encoders, learning rates, precision, averaging, checkpoints."""

import math

import lightning.pytorch as pl
import pytest
import torch
from support import TinyNet
from torch import nn

from cracklab.callbacks import Checkpoints, SeedSteps, Tables
from cracklab.callbacks.checkpoints import AtomicCheckpointIO
from cracklab.checkpoint import KEY, Payload, initialise_net, read_checkpoint, write_checkpoint
from cracklab.data.datamodule import CrackDataModule
from cracklab.data.layouts import LAYOUTS
from cracklab.data.statistics import Statistics
from cracklab.errors import ConfigError, RunError
from cracklab.losses import LOSSES, build_loss
from cracklab.losses.base import required_parameters
from cracklab.metrics.options import EvaluationOptions
from cracklab.module import CrackModule
from cracklab.schedules import OneCycle


def data(**settings) -> CrackDataModule:
    return CrackDataModule(LAYOUTS["synthetic"](train=16, val=3, test=3, size=(32, 32)), batch_size=4, **settings)


def train(module: CrackModule, folder, epochs: int = 2, **settings) -> pl.Trainer:
    callbacks = [SeedSteps(0), Checkpoints(), Tables(), *settings.pop("callbacks", [])]
    trainer = pl.Trainer(
        max_epochs=epochs, default_root_dir=folder, callbacks=callbacks, plugins=[AtomicCheckpointIO()], logger=False,
        accelerator="cpu", enable_progress_bar=False, enable_model_summary=False, **settings,
    )  # fmt: skip
    trainer.fit(module, data(maps=module.loss.maps))
    return trainer


def made(**settings) -> CrackModule:
    torch.manual_seed(0)
    return CrackModule(
        settings.pop("net", None) or TinyNet(), settings.pop("loss", None) or build_loss("combo"), **settings
    )


def encoder(module: CrackModule) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.net.encoder.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> list[str]:
    return [name for name in one if torch.equal(one[name], other[name])]


def test_a_frozen_encoder_keeps_weights_and_statistics_until_it_is_unfrozen(tmp_path):
    module = made(freeze_encoder_epochs=2)
    before = encoder(module)
    head = module.net.head[1].weight.clone()
    train(module, tmp_path / "a", epochs=2)
    assert same(before, encoder(module)) == list(before)
    assert not torch.equal(head, module.net.head[1].weight)
    module = made(freeze_encoder_epochs=1)
    train(module, tmp_path / "b", epochs=2)
    assert not same(before, encoder(module))


def test_encoder_lr_factor_0_freezes_the_encoder(tmp_path):
    module = made(encoder_lr_factor=0)
    before = encoder(module)
    train(module, tmp_path)
    assert same(before, encoder(module)) == list(before)


def test_encoder_lr_factor_scales_the_learning_rate(tmp_path):
    module = made(encoder_lr_factor=0.1, schedule=OneCycle())
    trainer = train(module, tmp_path)
    rest, enc = trainer.optimizers[0].param_groups
    assert enc["lr"] == pytest.approx(0.1 * rest["lr"])
    assert enc["initial_lr"] == pytest.approx(0.1 * rest["initial_lr"])
    assert sum(len(group["params"]) for group in (rest, enc)) == len(list(module.parameters()))


def test_freezing_without_an_encoder_is_refused():
    with pytest.raises(ConfigError, match="an `encoder`, which Conv2d lacks"):
        made(net=nn.Conv2d(3, 1, 1), freeze_encoder_epochs=1)


def test_the_schedule_gets_the_total_number_of_steps(tmp_path):
    module = made(schedule=OneCycle(final_factor=10))
    trainer = train(module, tmp_path, epochs=3)
    assert trainer.lr_scheduler_configs[0].scheduler.total_steps == 12 == trainer.global_step


def test_resuming_past_the_end_of_a_schedule_is_refused(tmp_path):
    train(made(schedule=OneCycle()), tmp_path, epochs=1)
    trainer = pl.Trainer(
        max_epochs=2, logger=False, accelerator="cpu", enable_progress_bar=False, default_root_dir=tmp_path
    )
    with pytest.raises(RunError, match="ends at step 4, but the run would continue to step 8"):
        trainer.fit(made(schedule=OneCycle()), data(), ckpt_path=tmp_path / "checkpoints" / "last.ckpt")


def test_losses_are_computed_in_float32_under_bf16(tmp_path):
    """The loss records its inputs; the net's output is in half precision there."""
    seen = []

    class Looks(nn.Module):
        def forward(self, logits, target):
            seen.append(logits.dtype)
            return logits.square().mean()

    module = made(loss=Looks())
    train(module, tmp_path, epochs=1, precision="bf16-mixed")
    assert set(seen) == {torch.float32}
    assert all(parameter.dtype == torch.float32 for parameter in module.parameters())


def test_several_classes_train_by_index_and_one_hot():
    """An external loss gets the form of mask that `target` names."""
    logits, classes = torch.randn(2, 3, 8, 8), torch.randint(0, 3, (2, 8, 8))
    mask = nn.functional.one_hot(classes, 3).movedim(-1, 1).float()
    by_index = made(loss=nn.CrossEntropyLoss(), target="index").loss(logits, mask)
    assert torch.allclose(by_index, nn.functional.cross_entropy(logits, classes))
    one_hot = made(loss=nn.BCEWithLogitsLoss(), target="one_hot").loss(logits, mask)
    assert torch.allclose(one_hot, nn.functional.binary_cross_entropy_with_logits(logits, mask))


def test_validation_loss_is_the_mean_over_images_for_any_batch_size(tmp_path):
    module = made(loss=build_loss("distance_aware"))
    values = []
    for size in (1, 3):
        trainer = pl.Trainer(logger=False, accelerator="cpu", enable_progress_bar=False, default_root_dir=tmp_path)
        values.append(
            trainer.validate(module, data(maps=module.loss.maps, eval_batch_size=size), verbose=False)[0]["val/loss"]
        )
    assert values[0] == pytest.approx(values[1], rel=1e-6)


def test_ema_weight_averaging_trains(tmp_path):
    """With Lightning's callback the checkpoint holds the averaged weights; they reach the score of that validation."""
    from lightning.pytorch.callbacks import EMAWeightAveraging

    module = made()
    trainer = train(module, tmp_path, epochs=2, callbacks=[EMAWeightAveraging(decay=0.9, update_every_n_steps=1)])
    content = torch.load(tmp_path / "checkpoints" / "best.ckpt", weights_only=True)
    best = trainer.checkpoint_callback.best
    module.load_state_dict(content["state_dict"])
    module.on_load_checkpoint(content)
    again = pl.Trainer(logger=False, accelerator="cpu", enable_progress_bar=False, default_root_dir=tmp_path)
    assert again.validate(module, data(), verbose=False)[0]["val/iou"] == pytest.approx(best, abs=1e-9)


def test_costly_metrics_are_computed_every_n_epochs_and_at_the_end(tmp_path):
    import pandas as pd

    train(made(evaluation=EvaluationOptions(surface_every_n_epochs=2)), tmp_path, epochs=5)
    table = pd.read_csv(tmp_path / "metrics.csv")
    assert table["val/hd95_px"].notna().tolist() == [False, True, False, True, True]
    assert table["val/iou"].notna().all()


def test_the_monitor_may_be_a_metric_of_some_epochs_only(tmp_path):
    module = made(evaluation=EvaluationOptions(surface_every_n_epochs=2))
    trainer = pl.Trainer(
        max_epochs=3, default_root_dir=tmp_path, callbacks=[Checkpoints("val/hd95_px", "min"), Tables()], logger=False,
        accelerator="cpu", enable_progress_bar=False, enable_model_summary=False, plugins=[AtomicCheckpointIO()],
    )  # fmt: skip
    trainer.fit(module, data())
    assert trainer.checkpoint_callback.best_epoch in (1, 2)


def test_channels_last_accumulation_and_clipping_train(tmp_path):
    module = made(channels_last=True)
    trainer = train(module, tmp_path, epochs=1, accumulate_grad_batches=2, gradient_clip_val=0.5)
    assert trainer.global_step == 2
    assert module.net.head[1].weight.is_contiguous(memory_format=torch.channels_last)


def test_the_checkpoint_keeps_the_threshold(tmp_path):
    train(made(evaluation=EvaluationOptions(threshold=0.3)), tmp_path, epochs=1)
    content = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    other = made()
    other.on_load_checkpoint(content)
    assert math.isclose(other.evaluator.threshold, 0.3)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_the_weights_of_the_net_are_read_beside_whatever_a_loss_keeps(name, tmp_path):
    """Some losses keep numbers that they derived from the data, which are no tensors."""
    parameters = {"losses": [(build_loss("cl_dice"), 1.0)]} if required_parameters(LOSSES[name]) else {}
    module = CrackModule(TinyNet(), build_loss(name, **parameters))
    module.loss.configure(Statistics(10, 0.03, 1.0, 3.0, 6.0))
    write_checkpoint(tmp_path / "one.ckpt", {"state_dict": module.state_dict(), KEY: Payload("", 0.5).to_entry()})
    content = read_checkpoint(tmp_path / "one.ckpt")
    other = CrackModule(TinyNet(), "dice")
    initialise_net(other.net, "one.ckpt", content)
    for key, value in module.net.state_dict().items():
        assert torch.equal(value, other.net.state_dict()[key])


def test_a_checkpoint_of_another_program_is_refused():
    with pytest.raises(RunError, match="not written by cracklab"):
        made().on_load_checkpoint({"state_dict": {}})


def test_a_misspelt_monitor_names_the_nearest_metric(tmp_path):
    with pytest.raises(
        ConfigError, match=r"checkpoint.monitor 'val/iuo' was not logged by validation; did you mean 'val/iou'"
    ):
        pl.Trainer(
            max_epochs=1, default_root_dir=tmp_path, callbacks=[Checkpoints(monitor="val/iuo")], logger=False,
            accelerator="cpu", enable_progress_bar=False, enable_model_summary=False,
        ).fit(made(), data())  # fmt: skip


def test_best_and_last_are_one_file_if_the_last_epoch_is_the_best(tmp_path):
    train(made(), tmp_path, epochs=1)
    best, last = (tmp_path / "checkpoints" / name for name in ("best.ckpt", "last.ckpt"))
    assert best.stat().st_ino == last.stat().st_ino


@pytest.mark.slow
def test_a_compiled_net_reaches_the_same_loss(tmp_path):
    plain, compiled = (train(made(compile=flag), tmp_path / str(flag), epochs=1) for flag in (False, True))
    assert float(compiled.callback_metrics["train/loss"]) == pytest.approx(
        float(plain.callback_metrics["train/loss"]), rel=1e-4
    )
    state = torch.load(tmp_path / "True" / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert made().load_state_dict(state)
