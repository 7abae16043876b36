"""The plan that `check` prints is that of `fit` with the same arguments."""

import json

import cv2
import numpy as np
import pytest
import yaml

from cracklab.cli import main
from cracklab.errors import ConfigError, DataError
from cracklab.synthetic.draw import draw
from cracklab.training.command import CrackCLI
from cracklab.training.planning import plan_run

NET = ["--model.net=support.TinyNet", "--model.loss=bce"]
FAST = ["--data.cache=none", "--data.known_overlap=report"]


@pytest.fixture(scope="module")
def cli():
    return CrackCLI("fit", [*NET, "--data.layout=synthetic"])


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Photos with a published split, whose test side has larger photos with wider cracks, and two sources of different sizes."""
    folder = tmp_path_factory.mktemp("photos")
    for side, photos, size, wider in [
        ("train", 9, (320, 400), 3),
        ("val", 3, (320, 400), 3),
        ("test", 16, (520, 520), 5),
    ]:
        write_photos(folder / "split" / side, photos, size, wider)
    write_photos(folder / "many", 8, (64, 64))
    write_photos(folder / "few", 4, (96, 80))
    return folder


def write_photos(folder, photos, size, wider=1):
    for number in range(photos):
        image, mask = draw(1000 * photos + number, size=size)
        mask = cv2.dilate((mask > 0).astype(np.uint8), np.ones((wider, wider)))
        for kind, picture in (("images", image), ("masks", mask * 255)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / kind / f"{folder.name}{chr(97 + number)}.png"), picture)


SOURCES = [
    {"name": name, "layout": "folders", "root": name, "repeat": times} for name, times in (("many", 10), ("few", 1))
]
SPLIT = ["--data.layout=folders", "--data.root={root}/split"]
MANY = ["--data.layout=folders", "--data.root={root}/many"]
BOTH = [
    f"--data.layout={json.dumps({'class_path': 'sources', 'init_args': {'sources': SOURCES}})}",
    "--data.root={root}",
]


@pytest.mark.parametrize(
    ("arguments", "trainer", "expected"),
    [
        (SPLIT, {}, "9 training images of 400 x 320 px, random crops of 256 px, batches of 8"),
        ([*SPLIT, "--data.repeat=5"], {}, "of 5 times each image"),
        ([*BOTH, "--data.batch_size=4"], {}, "of 2 times each image"),
        ([*BOTH, "--data.fold=1", "--data.fold_by=source", "--data.folds=2"], {}, "2 training images of 80 x 96 px, batches of 2"),
        ([*BOTH, "--data.fold=1", "--data.folds=3"], {}, "training images of"),
        ([*MANY, "--data.pad=512"], {}, "images of 512 x 512 px, batches of 2"),
        ([*MANY, "--data.batch_size=2"], {"accumulate_grad_batches": 4, "benchmark": True}, "1,504 steps in 188 epochs"),
        (MANY, {"max_epochs": 3}, "in 3 epochs, validated 3 times"),
        ([*MANY, "--data.batch_size=2"], {"max_steps": 7, "limit_train_batches": 0.5}, "7 steps in 7 epochs"),
        (MANY, {"max_time": "00:01:00:00"}, "batches of"),
    ],
)  # fmt: skip
def test_check_prints_the_plan_of_fit(cli, root, tmp_path, capsys, arguments, trainer, expected):
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump({"trainer": trainer}))
    call = [*FAST, f"--config={config}", *(argument.replace("{root}", str(root)) for argument in arguments)]
    cli.build([*NET, *call])
    cli.datamodule.setup("fit")
    lines = plan_run(cli.config["fit"], cli.config_init["fit"].trainer, cli.datamodule).lines()
    assert expected in "\n".join(lines)
    capsys.readouterr()
    main(["check", *call, "--json"])
    assert json.loads(capsys.readouterr().out)["plan"] == lines


NONE = "whole number of at least 1, a number above 0 and at most 1, or null"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("max_epochs=0", "is 0: give a whole number of at least 1, or null"),
        ("max_epochs=-1", "is -1, and trainer.max_steps too: set one of them"),
        ("max_steps=-2", "is -2: give a whole number of at least 1"),
        ("accumulate_grad_batches=0", "is 0: give a whole number of at least 1"),
        ("check_val_every_n_epoch=0", "is 0: give a whole number of at least 1, or null"),
        ("val_check_interval=0", "is 0: give a number above 0"),
        ("val_check_interval=often", "is 'often': give a time above 0 as DD:HH:MM:SS"),
        ("max_time=soon", "is 'soon': give a time above 0 as DD:HH:MM:SS, such as 00:12:00:00"),
        ("max_time=10:00", "is '10:00': give a time above 0"),
        ("max_time=00:00:00:00", "is '00:00:00:00': give a time above 0"),
        ("max_time={fortnights: 1}", "is {'fortnights': 1}: give a time above 0"),
        ("limit_train_batches=-3", f"is -3: give a {NONE}"),
        ("limit_train_batches=1.5", f"is 1.5: give a {NONE}"),
        ("limit_train_batches=0.01", "is 0.01, which leaves none of the 30 batches of an epoch"),
        ("overfit_batches=0.01", "is 0.01, which leaves none of the 30 batches of an epoch"),
        ("fast_dev_run=-1", "is -1: give a whole number of at least 0"),
        ("devices=0", "is 0: give a number of at least 1, a list of indices, or 'auto'"),
        ("num_nodes=0", "is 0: give a whole number of at least 1"),
    ],
)
def test_check_and_fit_refuse_the_same_settings_of_the_trainer(cli, root, capsys, setting, message):
    call = [*FAST, *(argument.replace("{root}", str(root)) for argument in SPLIT), f"--trainer.{setting}"]
    with pytest.raises(ConfigError) as refused:
        build_and_try(cli, call)
    assert f"trainer.{setting.partition('=')[0]} {message}" in str(refused.value)
    with pytest.raises(SystemExit) as end:
        main(["check", *call])
    assert end.value.code == 2
    assert f"error: {refused.value}\n" in capsys.readouterr().err


@pytest.mark.parametrize("more", [[], ["--data.train_images=2"]])
def test_data_without_a_training_image_is_one_fault_of_fit_and_of_check(cli, root, tmp_path, capsys, more):
    (tmp_path / "exclude.txt").write_text("train*\n")
    split = [*(argument.replace("{root}", str(root)) for argument in SPLIT), *more]
    call = [*FAST, *split, f"--data.exclude={tmp_path / 'exclude.txt'}"]
    fact = "no image is left for training (0 train, 3 val, 16 test): set data.split to 'holdout'"
    cli.build([*NET, *call])
    with pytest.raises(DataError) as refused:
        cli.try_run()
    assert fact in str(refused.value)
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main(["check", *call, "--json"])
    assert end.value.code == 1
    found = json.loads(capsys.readouterr().out)
    assert [fault["kind"] for fault in found["faults"]] == ["split"]
    assert found["faults"][0]["text"].startswith(fact)
    assert found["plan"] == []
    assert found["summary"]["sides"] == {"train": 0, "val": 3, "test": 16}


def build_and_try(cli, call):
    cli.build([*NET, *call])
    cli.try_run()


def test_no_crop_is_chosen_where_it_could_be_drawn_from_padding_alone(cli, root):
    """A 64th of a padded photo is photo."""
    cli.build([*NET, *FAST, "--data.layout=folders", f"--data.root={root}/many", "--data.pad=512"])
    data = cli.datamodule
    data.setup("fit")
    assert data.train_crop is None
    assert all(bool(data.train_dataloader().dataset[0, i]["valid"].any()) for i in range(len(data.splits.train)))


def test_a_source_that_is_repeated_is_drawn_as_often_as_planned(cli, root):
    """Weights count as images: an epoch has 30 batches and not ten times as many."""
    cli.build([*NET, *FAST, *(argument.replace("{root}", str(root)) for argument in BOTH), "--data.batch_size=8"])
    data = cli.datamodule
    data.setup("fit")
    found = plan_run(cli.config["fit"], cli.config_init["fit"].trainer, data)
    assert found.steps == found.epochs * len(data.train_dataloader())
    assert 30 <= len(data.train_dataloader()) <= 40
