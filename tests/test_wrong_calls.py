"""Every wrong call is one message: exit code 2 or 1, no traceback, nothing written."""

import os
import shlex
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from support import QUICKSTART, TINY
from wrong_calls import WRONG_CALLS
from wrong_calls_by_hand import CALLS

from cracklab import error_handler
from cracklab.cli import main
from cracklab.errors import ConfigError

GENERATED = settings(
    deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck), report_multiple_bugs=False
)


def check(call, folder, capsys):
    capsys.readouterr()
    before = Path.cwd()
    os.chdir(folder)
    try:
        with pytest.raises(SystemExit) as end:
            main(call)
    finally:
        os.chdir(before)
    said = capsys.readouterr().err
    assert end.value.code in (1, 2), call
    assert "Traceback" not in said, call
    assert "bug of cracklab" not in said, (call, said)
    assert len([line for line in said.splitlines() if line.startswith("error: ")]) == 1, (call, said)
    assert not list(folder.iterdir()), call
    return said


@settings(GENERATED, max_examples=20)
@given(call=WRONG_CALLS)
def test_wrong_calls_are_one_message_and_write_nothing(call, tmp_path_factory, capsys):
    check(call, tmp_path_factory.mktemp("call"), capsys)


@pytest.mark.slow
@settings(GENERATED, max_examples=200)
@given(call=WRONG_CALLS)
def test_two_hundred_wrong_calls_are_one_message_and_write_nothing(call, tmp_path_factory, capsys):
    check(call, tmp_path_factory.mktemp("call"), capsys)


@pytest.fixture(scope="module")
def places(tiny_run, tmp_path_factory):
    """What the calls by hand name."""
    base = tmp_path_factory.mktemp("places")
    rng = np.random.default_rng(0)
    mask = np.zeros((64, 64), np.uint8)
    mask[30:33] = 255
    for name, image in (("photos", rng.integers(0, 255, (64, 64, 3), np.uint8)), ("masks", mask)):
        (base / name).mkdir()
        for i in range(2):
            cv2.imwrite(str(base / name / f"{i}.png"), image)
    (base / "empty").mkdir()
    (base / "text.txt").write_text("hello\n")
    (base / "study.yaml").write_text(f"study:\n  base: {QUICKSTART}\n  grid:\n    model.loss: [dice, bce]\n")
    names = {name: base / name for name in ("photos", "masks", "empty")}
    return names | {"run": tiny_run, "text": base / "text.txt", "study": base / "study.yaml", "q": QUICKSTART}


def contents(folders):
    return {path: path.stat().st_mtime_ns for folder in folders for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize("line", CALLS)
def test_wrong_calls_by_hand_are_one_message_and_write_nothing(line, places, tmp_path, capsys):
    folders = [path for path in places.values() if path.is_dir()]
    before = contents(folders)
    check(shlex.split(line.format(**places, new=tmp_path / "new")), tmp_path, capsys)
    assert contents(folders) == before


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--model.optimizer.lr=-1"], "Invalid learning rate: -1"),
        (["--early_stopping.monitor=val/iuo"], "did you mean 'val/iou'"),
        (["--checkpoint.monitor=val/iuo"], "did you mean 'val/iou'"),
        (["--model.net=torch.nn.Identity"], "logits of shape (2, 1, 64, 64) are needed"),
        (
            ["--trainer.check_val_every_n_epoch=0"],
            "trainer.check_val_every_n_epoch is 0: give a whole number of at least 1",
        ),
        (["--trainer.val_check_interval=1000"], "an epoch has "),
        (
            ["--trainer.limit_train_batches=0.001"],
            "trainer.limit_train_batches is 0.001, which leaves none of the 3 batches of an epoch",
        ),
        (["--trainer.devices=0"], "devices"),
        (["--trainer.precision=16-true"], "trainer.precision is '16-true': give '32-true'"),
        (["--name=../x"], "is not a folder name below runs"),
        (["--data.batch_size=0"], "data.batch_size is 0: give a whole number of at least 1"),
        (["--data.layout.size=[1,64]"], "data.layout.size is 1: give a list of 2, each a whole number from 16"),
    ],
)
def test_what_would_fail_in_training_is_refused_before(arguments, expected, tmp_path, capsys):
    call = ["fit", "--config", str(QUICKSTART), *TINY, "--model.net=support.TinyNet", *arguments]
    assert expected in check(call, tmp_path, capsys)


def test_an_unforeseen_error_is_one_line_with_its_place_and_a_file(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delenv(error_handler.DEBUG, raising=False)
    with pytest.raises(SystemExit) as end, error_handler.errors_as_messages(["fit"]):
        ConfigError.with_traceback(1, 2)
    assert end.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith("error: TypeError")
    assert said.count("\n") == 1
    (report,) = tmp_path.iterdir()
    assert str(report) in said
    assert "Traceback" in report.read_text()


@pytest.mark.parametrize(
    ("error", "code", "expected"),
    [
        (KeyboardInterrupt(), 130, "stopped"),
        (
            OSError(28, "No space left on device", "a.png"),
            1,
            "'a.png' cannot be read or written (No space left on device)",
        ),
        (MemoryError(), 1, "data.batch_size"),
        (ConfigError("a is 1: give 2"), 2, "error: a is 1: give 2"),
    ],
)
def test_errors_have_their_exit_codes(error, code, expected, capsys):
    with pytest.raises(SystemExit) as end, error_handler.errors_as_messages():
        raise error
    assert end.value.code == code
    assert expected in capsys.readouterr().err
