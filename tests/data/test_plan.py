"""Batch, crops, validation images and epochs follow from the data where they are `auto`."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import SMALLEST

from cracklab.data import plan
from cracklab.data.planned import Length, choose_length, length, processes, steps_per_epoch
from cracklab.errors import ConfigError
from cracklab.training.command import CrackCLI


@given(st.integers(1, 20_000))
def test_validation_is_a_tenth_and_more_of_a_small_data_set(images):
    share = plan.validation_share(images)
    assert 0.1 <= share <= 0.2
    assert images * share >= min(10, 0.2 * images) - 1e-9
    assert images < 100 or share == 0.1


@given(st.floats(1, 20_000), st.floats(0, 200))
def test_a_crop_leaves_room_and_is_on_the_grid_of_nets(side, width):
    crop = plan.crop_side(side, width)
    if crop is None:
        assert side < 1.2 * 288
    else:
        assert crop % 32 == 0
        assert 256 <= crop <= min(768, side / 1.2)
        assert crop >= min(32 * width, 768, side / 1.2) - 32


@given(st.integers(8, 10_000), st.integers(8, 10_000))
def test_a_batch_holds_a_power_of_two_of_images_and_a_bounded_number_of_pixels(height, width):
    batch = plan.batch_size(height, width)
    assert batch in (2, 4, 8, 16)
    assert batch * height * width <= 8 * 256**2 or batch == 2
    assert 2 * batch * height * width > 8 * 256**2 or batch == 16


@given(st.integers(1, 20_000), st.sampled_from([2, 4, 8, 16]))
def test_a_training_has_enough_steps_and_no_more_validations_than_the_patience(images, batch):
    repeat = plan.repeats(images, batch)
    per_epoch = images * repeat // batch
    epochs = plan.epochs(per_epoch)
    assert 40 <= epochs <= 50
    assert epochs * per_epoch >= 1500
    assert repeat == 1 or images * (repeat - 1) < 30 * batch


def planned(tmp_path, *more):
    """The configuration of a fit after its plan and before it trains, and the lines of the plan."""
    cli = CrackCLI(
        "fit", [*SMALLEST, "--data.batch_size=auto", "--trainer.max_epochs=null", "--out", str(tmp_path), *more]
    )
    cli.try_run()
    return cli.config["fit"], cli.plan.lines()


def test_what_is_not_given_is_planned_and_in_the_configuration(tmp_path):
    config, lines = planned(tmp_path / "run")
    assert lines == [
        "plan: 10 training images of 32 x 32 px, batches of 10",
        "  1,500 steps in 50 epochs of 30 times each image, validated 50 times",
        "  only 4 validation images to choose the epoch and the threshold by: `cracklab kfold` uses every image",
        "  only 4 test images to compare runs by: `cracklab kfold` tests on every image",
    ]
    chosen = (
        config.trainer.max_epochs,
        config.data.repeat,
        config.data.batch_size,
        config.data.train_crop,
    )
    assert chosen == (50, 30, 10, None)


def test_what_is_given_stays_and_too_few_steps_are_a_warning(tmp_path):
    config, lines = planned(tmp_path / "run", "--trainer.max_steps=7", "--data.batch_size=4", "--data.train_crop=16")
    assert (config.trainer.max_epochs, config.data.repeat) == (None, 1)
    assert (config.data.batch_size, config.data.train_crop) == (4, 16)
    assert lines[:2] == [
        "plan: 10 training images of 32 x 32 px, random crops of 16 px, batches of 4",
        "  7 steps in 4 epochs, validated 3 times",  # the last epoch ends within, without a validation
    ]
    assert "  only 7 steps: leave trainer.max_epochs and max_steps out for at least 1,500" in lines


@pytest.mark.parametrize(
    ("images", "given", "repeat", "chosen"),
    [(10, 1, 6, True), (60, 1, 1, True), (60, 2, 2, False)],
    ids=["six times", "once is enough", "given"],
)
def test_a_repetition_that_followed_from_the_data_is_named_so_that_reports_do_not_compare_by_it(
    tmp_path, images, given, repeat, chosen
):
    more = [
        f"--data.layout.train={images}",
        f"--data.repeat={given}",
        "--data.batch_size=2",
        "--trainer.max_epochs=null",
    ]
    cli = CrackCLI("fit", [*SMALLEST, "--out", str(tmp_path), *more])
    cli.try_run()
    assert cli.config["fit"].data.repeat == repeat
    assert ("data.repeat" in cli.datamodule.chosen) is chosen


def test_a_limit_of_time_leaves_the_epochs_that_a_schedule_needs(tmp_path):
    config, lines = planned(tmp_path / "run", "--trainer.max_time=00:01:00:00")
    assert config.trainer.max_epochs == 50
    assert "steps" not in "".join(lines)


@pytest.mark.parametrize("trainer", [{"limit_val_batches": 0}, {"val_check_interval": 0.5}])
def test_no_validations_at_the_ends_of_epochs_are_counted_where_there_are_none(trainer):
    assert length(30, Length(max_epochs=4, **trainer)) == {"steps": 120, "epochs": 4, "validations": None}


@pytest.mark.parametrize(("samples", "batch"), [(60, 4), (61, 4), (7, 4), (3, 4), (1, 8)])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_steps_of_an_epoch_are_those_of_each_process(make_data, samples, batch, number):
    """The number of batches of the data loader that the process of rank 0 gets."""
    data = make_data("synthetic", {"train": samples, "val": 1, "test": 1, "size": (32, 32)}, batch_size=batch)
    data.setup("fit")
    data.trainer = SimpleNamespace(world_size=number, global_rank=0)
    assert steps_per_epoch(samples, batch, Length(accelerator="cpu", devices=number)) == len(data.train_dataloader())


def test_a_plan_for_two_processes_has_as_many_steps(tmp_path):
    """Each draws half of the images."""
    config, lines = planned(tmp_path / "run", "--trainer.devices=2")
    assert config.data.repeat == 60
    assert lines[1].startswith("  1,500 steps in 50 epochs of 60 times each image")


@pytest.mark.parametrize("devices", [0, -2, [], "x", "0"])
def test_what_is_no_number_of_devices_is_refused(devices):
    with pytest.raises(ConfigError, match=r"trainer.devices is .*: give a number of at least 1"):
        processes(Length(devices=devices))


def test_the_epochs_of_an_overfit_batch_are_of_one_step():
    trainer = Length(overfit_batches=1)
    assert choose_length(100, 100, 4, 1, trainer) == 2
    assert trainer.max_epochs == 1500


def test_validations_within_epochs_are_not_counted(tmp_path):
    _, lines = planned(tmp_path / "run", "--trainer.max_steps=600", "--trainer.val_check_interval=1")
    assert lines[1] == "  600 steps in 600 epochs"


@pytest.mark.parametrize("sides", [["split=holdout"], ["split=holdout", "fold=1"], ["layout.val=0"]])
def test_the_share_of_validation_in_the_configuration_makes_the_same_split(tmp_path, sides):
    arguments = [*SMALLEST, *(f"--data.{side}" for side in sides), "--out", str(tmp_path)]
    cli = CrackCLI("fit", [*arguments, "--data.val_fraction=auto"])
    cli.try_run()
    share = cli.config["fit"].data.val_fraction
    assert share == pytest.approx(0.2)
    again = CrackCLI("fit", [*arguments, f"--data.val_fraction={share}"])
    again.datamodule.setup("fit")
    assert again.datamodule.splits == cli.datamodule.splits


def test_a_published_validation_side_has_no_share(tmp_path):
    assert planned(tmp_path / "run")[0].data.val_fraction == "auto"


@pytest.mark.parametrize(("sides", "crop", "batch"), [((640, 320), 256, 8), ((300, 300), None, 4)])
def test_crops_follow_from_the_size_of_the_photos(make_data, sides, crop, batch):
    data = make_data("synthetic", {"train": 12, "val": 1, "test": 1, "size": sides})
    data.setup("fit")
    assert (data.train_crop, data.batch_size) == (crop, batch)
    assert next(iter(data.train_dataloader()))["image"].shape[2:] == ((crop, crop) if crop else (320, 320))


def test_a_batch_of_whole_images_is_chosen_by_the_largest_since_others_are_padded_to_it(make_data):
    data = make_data("synthetic", {"train": 12, "val": 1, "test": 1, "size": (256, 256)})
    sizes = [(256, 256)] * 9 + [(704, 704)]
    assert data.choose(sizes, width_px=4, images=10) == (None, 2)
    assert data.choose(sizes[:9], width_px=4, images=9) == (None, 8)
    assert data.choose(sizes[:3], width_px=4, images=3) == (None, 3)
