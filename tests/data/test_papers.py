"""The papers' configurations: numbers of images, protocols, losses of their studies."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from jsonargparse import ArgumentParser

from cracklab import config_files
from cracklab.data.datamodule import CrackDataModule
from cracklab.losses import Loss, WeightSchedule, build_loss
from cracklab.metrics.protocols import PROTOCOLS

CONFIGS = config_files.folder()
PAPERS = sorted(path for path in (CONFIGS / "papers").glob("*/*.yaml"))
STUDIES = sorted(path for path in (CONFIGS / "studies").glob("*.yaml") if "study" in yaml.safe_load(path.read_text()))


def data_of(paper, root, **changes):
    """Return the data module of a paper's configuration over base.yaml."""
    parts = [yaml.safe_load((CONFIGS / name).read_text())["data"] for name in ("base.yaml", f"papers/{paper}.yaml")]
    merged = parts[0] | parts[1] | {"root": str(root), "resize": None, "cache": "none", "num_workers": 0} | changes
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(CrackDataModule, "data")
    data = parser.instantiate(parser.parse_object({"data": merged})).data
    data.setup("fit")
    return data


def photo(path, mask_path, seed, size=(32, 40), cracks=((10, 20),)):
    """Write a photo of noise, and a mask with horizontal lines in spans of columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mask_path.parent.mkdir(parents=True, exist_ok=True)
    blocks = np.random.default_rng(seed).integers(0, 256, (size[0] // 4, size[1] // 4, 3), dtype=np.uint8)
    cv2.imwrite(str(path), blocks.repeat(4, 0).repeat(4, 1))
    mask = np.zeros(size, np.uint8)
    for left, right in cracks:
        mask[3::32, left:right] = 255
    cv2.imwrite(str(mask_path), mask)


def sizes(data):
    return {side: len(positions) for side, positions in data.splits.by_side().items()}


@pytest.mark.filterwarnings("ignore:images of 21 photos")
def test_krasniqi2026_has_87_training_and_21_test_photos_and_260_samples(tmp_path):
    for seed in range(108):
        folder = tmp_path / ("train" if seed < 87 else "valid")
        photo(folder / f"f{seed}.jpg", folder / f"f{seed}_mask.png", seed)
    data = data_of("krasniqi2026/facade", tmp_path)
    assert sizes(data) == {"train": 87, "val": 21, "test": 21}
    assert len(data.train_dataloader()) * data.batch_size == 260  # 87 x 3 = 261, less an incomplete batch


@pytest.mark.slow
def test_chen2023_cuts_crack500_into_squares_without_empty_ones(tmp_path):
    for seed in range(250):
        stem = tmp_path / "traindata" / f"20160222_{seed:06d}"
        photo(
            stem.with_suffix(".jpg"),
            Path(f"{stem}_mask.png"),
            seed,
            (64, 128),
            [(0, 128)] if seed % 5 else [(0, 31), (64, 128)],
        )
    layout = yaml.safe_load((CONFIGS / "papers/chen2023/crack500.yaml").read_text())["data"]["layout"]
    assert layout["init_args"]["side"] == 512
    layout["init_args"]["side"] = 32
    data = data_of("chen2023/crack500", tmp_path, layout=layout)
    found = sizes(data)
    number = 250 * 8 - 50 * 2  # two of the eight squares of every fifth photo show no crack
    assert sum(found.values()) == number
    assert found["test"] == pytest.approx(0.25 * number, abs=8)
    assert found["train"] == pytest.approx(0.675 * number, abs=8)


@pytest.mark.slow
def test_deopujari2025_has_1612_and_403_pipes_each_four_times_per_epoch(tmp_path):
    for seed in range(2015):
        folder = tmp_path / ("old" if seed < 900 else "new")
        photo(folder / "images" / f"{seed}.png", folder / "masks" / f"{seed}.png", seed, (16, 20), [(2, 9)])
    data = data_of("deopujari2025/pipes", tmp_path)
    found = sizes(data)
    assert found["test"] == 403  # 20 % of 2015
    assert found["train"] + found["val"] == 1612
    assert len(data.train_dataloader()) == 4 * found["train"] // 16
    assert next(iter(data.val_dataloader()))["image"].shape[1] == 1


@pytest.mark.parametrize("path", PAPERS, ids=lambda path: path.stem)
def test_the_protocol_that_a_configuration_names_exists(path):
    named = re.findall(r"--protocol (\w+)", path.read_text())
    assert path.parent.name in PROTOCOLS
    assert all(name == path.parent.name for name in named)


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_all_losses_of_a_study_can_be_built(path):
    losses = yaml.safe_load(path.read_text())["study"]["grid"].get("loss", {})
    for overlay in losses.values():
        options = {key.removeprefix("model.loss."): value for key, value in overlay.items() if key != "model.loss"}
        if "losses" in options:
            options["losses"] = [[_built(loss), WeightSchedule(**weight)] for loss, weight in options["losses"]]
        assert isinstance(build_loss(overlay["model.loss"], **options), Loss)


def _built(loss):
    return build_loss(loss) if isinstance(loss, str) else build_loss(loss["class_path"], **loss["init_args"])
