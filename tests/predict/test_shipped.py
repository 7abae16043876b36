"""The model that ships answers on real photos that it never saw, without a checkpoint of the user."""

import cv2
import numpy as np
import pytest
from scipy import ndimage

import cracklab
from cracklab.checkpoint import WEIGHTS, checkpoint_file, read_checkpoint
from cracklab.cli import main
from cracklab.errors import ConfigError


def test_cracks_of_real_photos_are_found_without_a_checkpoint(deepcrack, tmp_path):
    found = [file for file in sorted((deepcrack / "train_img").glob("*.jpg"))[10::100]]
    assert main(["predict", "--images", *map(str, found), "--out", str(tmp_path)]) == 0
    near, crack = 0, 0
    for file in found:
        mask = cv2.imread(str(tmp_path / f"{file.stem}.png"), cv2.IMREAD_GRAYSCALE) > 127
        truth = cv2.imread(str(deepcrack / "train_lab" / f"{file.stem}.png"), cv2.IMREAD_GRAYSCALE) > 127
        close = [ndimage.distance_transform_edt(~one) <= 2 for one in (truth, mask)]
        near += (mask & close[0]).sum() + (truth & close[1]).sum()
        crack += mask.sum() + truth.sum()
    assert near / crack > 0.8  # 0.89 over 40 images; a net of random weights has less than 0.2


def test_a_wall_without_a_crack_has_next_to_none():
    grain = np.random.default_rng(0).normal(150, 12, (256, 256, 3))
    photo = np.clip(ndimage.gaussian_filter(grain, (1, 1, 0)), 0, 255).astype(np.uint8)
    assert cracklab.load("cracks").predict(photo).mask.mean() / 255 < 0.002


def test_a_model_that_ships_has_a_name_a_file_and_a_card():
    assert checkpoint_file("cracklab:cracks") == checkpoint_file("cracks") == WEIGHTS / "cracks.ckpt"
    assert checkpoint_file("cracklab:cracks").stat().st_size < 12e6
    assert "## cracks" in (WEIGHTS / "README.md").read_text()
    assert "Copyright (c) 2020,\nML Illustrated" in (WEIGHTS / "NOTICE").read_text(), "its licence asks for this notice"
    assert all(value.isfinite().all() for value in read_checkpoint("cracklab:cracks")["state_dict"].values())
    with pytest.raises(ConfigError, match=r"no model that ships is called 'craks'; did you mean 'cracks'"):
        checkpoint_file("cracklab:craks")


def test_a_file_of_the_name_of_a_model_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cracks").touch()
    assert checkpoint_file("cracks").absolute() == tmp_path / "cracks"
