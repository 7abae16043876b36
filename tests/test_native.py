"""The protocol `native`: the scores of a test at the size of the files."""

import json
import os

import lightning.pytorch as pl
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import ndimage
from scipy.spatial import cKDTree
from support import TINY
from torch import nn

from cracklab import run_folder
from cracklab.callbacks import Tables
from cracklab.cli import main
from cracklab.data.datamodule import CrackDataModule
from cracklab.data.images import IGNORE
from cracklab.data.layouts import Layout
from cracklab.data.samples import Record
from cracklab.metrics.options import EvaluationOptions
from cracklab.module import CrackModule
from cracklab.predict.tiles import resize_rows

THRESHOLD = 0.4037
SIDES = ["train", "val", "test", "test", "test"]
SIZES = [(60, 80), (60, 80), (60, 80), (44, 96), (52, 61)]


class Drawn(Layout):
    """Images whose grey levels are the probabilities of crack: blurred, shifted masks. The last one has no crack."""

    needs_root = False

    def index(self, root):
        names = [f"{i}.png" for i in range(len(SIDES))]
        return [
            Record(n, n, split=s, group=n, columns={"mm_per_px": "0.5"}) for n, s in zip(names, SIDES, strict=True)
        ], []

    def files(self, record):
        return ()

    def read_mask(self, record):
        i = int(record.stem)
        height, width = SIZES[i]
        row, column = np.mgrid[:height, :width]
        line = abs(row - height / 2 - 9 * np.sin(column / 11 + i)) < 2
        mask = (line & (column > 6) & (column < width - 6) & (i < 4)).astype(np.uint8)
        mask[4:20, 20:30] = IGNORE
        return mask

    def read_image(self, record):
        noise = np.random.default_rng(int(record.stem)).normal(0, 0.2, SIZES[int(record.stem)])
        crack = ndimage.shift((self.read_mask(record) == 1).astype(float), (1, -2), order=0)
        grey = np.clip(255 * ndimage.gaussian_filter(crack + 8 * noise * (int(record.stem) == 4), 1.5), 0, 255)
        return grey.astype(np.uint8)[..., None].repeat(3, -1)


class Classes(Drawn):
    """Images whose colours are the scores of three classes."""

    num_classes, class_names = 3, ("wall", "crack", "joint")

    def read_mask(self, record):
        mask = super().read_mask(record)
        mask[40:, :12] = 2
        return mask

    def read_image(self, record):
        scores = np.stack([self.read_mask(record) == c for c in range(3)], -1)
        return np.uint8(255 * ndimage.gaussian_filter(scores.astype(float), (2, 2, 0)))


class Identity(nn.Module):
    """Returns as probabilities what the image shows."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(()))

    def forward(self, image):
        return image.logit(1e-6) if image.shape[1] == 1 else 8 * image


def evaluate(folder, layout, **settings):
    """Return the data and the module of a test."""
    channels = 1 if layout.num_classes == 1 else 3
    data = CrackDataModule(
        layout, channels=channels, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), split="official", known_overlap="report", cache="none", **settings
    )  # fmt: skip
    options = EvaluationOptions(threshold=0.5, thresholds=[], groups=["surface", "boundary"])
    module = CrackModule(Identity(), "dice", evaluation=options)
    module.evaluator.threshold = THRESHOLD  # as a checkpoint restores it
    trainer = pl.Trainer(
        default_root_dir=folder, callbacks=[Tables()], logger=False, accelerator="cpu", enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    trainer.test(module, data, verbose=False)
    return data, module


def bilinear(values, size):
    """Resize (H, W) with SciPy; pixel centres are at one half."""
    row, column = ((np.arange(new) + 0.5) * old / new - 0.5 for new, old in zip(size, values.shape, strict=True))
    return ndimage.map_coordinates(values, np.meshgrid(row, column, indexing="ij"), order=1, mode="nearest")


def hd95(pred, truth):
    """HD95 of the edges of two masks, in px, with k-d trees."""
    if not pred.any() or not truth.any():
        return np.hypot(*pred.shape) if pred.any() != truth.any() else 0.0
    a, b = (np.argwhere(mask & ~ndimage.binary_erosion(mask)) for mask in (pred, truth))
    return max(np.percentile(cKDTree(y).query(x)[0], 95) for x, y in ((a, b), (b, a)))


@pytest.mark.parametrize(
    "settings",
    [
        {"resize": 30},
        {"resize": (32, 40), "pad": (48, 50), "padding": "background"},
        {"resize": 70},
        {"crop": 48, "resize": 24},
    ],
)
def test_native_scores_are_those_of_the_resampled_probabilities_on_the_mask_files(tmp_path, settings):
    data, module = evaluate(tmp_path, Drawn(), **settings)
    table = pd.read_csv(tmp_path / run_folder.PER_IMAGE_NATIVE, dtype={"id": str}).set_index("id")
    assert list(table.index) == ["2", "3", "4"]
    sums = np.zeros(3)
    for i in (2, 3, 4):
        image, mask = data.layout.read(Record(f"{i}.png", f"{i}.png"))
        height, width = data.transform.prepared_size(*mask.shape)
        small = data.transform.prepare(image, mask)[0][:height, :width, 0] / 255
        side = settings.get("crop", 999)
        top, left = (max(0, (length - side) // 2) for length in mask.shape)
        seen = mask[top : top + side, left : left + side]
        valid = seen != IGNORE
        pred, truth = (bilinear(small, seen.shape) > THRESHOLD) & valid, seen == 1
        row = table.loc[str(i)]
        counts = [(pred & truth).sum(), (pred & ~truth).sum(), (truth & ~pred).sum()]
        assert row[["tp", "fp", "fn"]].tolist() == counts
        assert row["tn"] == valid.sum() - sum(counts)
        if side == 999:  # a crack that is cut has another edge at the border
            assert row["hd95_px"] == pytest.approx(hd95(pred, truth))
        assert row["hd95_mm"] == pytest.approx(row["hd95_px"] / 2)
        assert row["seen_share"] == seen.size / mask.size
        sums += counts
    metrics = json.loads((tmp_path / run_folder.TEST_METRICS).read_text())
    assert metrics["native/iou"] == pytest.approx(sums[0] / sums.sum())
    assert metrics["native/iou"] != pytest.approx(metrics["test/iou"], abs=1e-3)
    assert metrics["native/hd95_px"] == pytest.approx(table["hd95_px"].mean())
    assert metrics["native/false_positive_px"] == table.loc["4", "fp"] > 0
    values = json.loads((tmp_path / run_folder.PROTOCOLS).read_text())["native"]["values"]
    assert values.items() <= {name.removeprefix("native/"): value for name, value in metrics.items()}.items()
    assert "loss" not in table
    assert "hd95_mm" not in module.result.rows[0]  # the scale does not apply at the net's size


def test_native_equals_the_other_scores_if_the_net_sees_files_at_their_own_size(tmp_path):
    _, module = evaluate(tmp_path, Drawn())  # a batch is padded to the largest image
    assert len(module.result.rows) == 3
    for row, native in zip(module.result.rows, module.result.native_rows, strict=True):
        assert np.array_equal(row.pop("histogram"), native.pop("histogram"))
        assert native.pop("seen_share") == 1
        assert row.pop("loss") is not None
        assert row == native


def test_several_classes_are_chosen_after_the_probabilities_are_resized(tmp_path):
    data, module = evaluate(tmp_path, Classes(), resize=30)
    for row in module.result.native_rows:
        image, mask = data.layout.read(Record(f"{row['id']}.png", ""))
        small = 8.0 * data.transform.prepare(image, mask, 3)[0] / 255
        shares = np.exp(small) / np.exp(small).sum(-1, keepdims=True)
        pred = np.stack([bilinear(shares[..., c], mask.shape) for c in range(3)]).argmax(0)
        valid = mask != IGNORE
        for c, name in enumerate(data.class_names):
            both = ((pred == c) & (mask == c)).sum()
            assert (row[f"tp/{name}"], row[f"fn/{name}"]) == (both, (mask == c).sum() - both)
            assert row[f"fp/{name}"] == ((pred == c) & valid).sum() - both


@pytest.mark.parametrize("resize", [(30, 40), (150, 170)])
def test_probabilities_are_resized_as_predict_does(resize):
    data = CrackDataModule(Drawn(), resize=resize, cache="none", known_overlap="report")
    data.setup("test")
    scores = torch.rand(1, *resize, generator=torch.Generator().manual_seed(0))
    found = data.native.restore("2", scores).probabilities[0]
    rows = [values for _, values in resize_rows(iter([scores.numpy()]), resize, SIZES[2])]
    np.testing.assert_allclose(found.numpy(), np.concatenate(rows, 1), atol=1e-6)


@pytest.mark.slow
def test_runs_at_96_and_192_px_compare_at_the_size_of_the_files(tmp_path, deepcrack):
    root = tmp_path / "data"
    for side, count in (("train", 8), ("test", 4)):
        for kind in ("img", "lab"):
            (root / f"{side}_{kind}").mkdir(parents=True)
            for path in sorted((deepcrack / f"{side}_{kind}").iterdir())[::40][:count]:
                os.symlink(path, root / path.parent.name / path.name)
    own = [argument for argument in TINY if "layout" not in argument]
    for size in (96, 192):
        run = tmp_path / "runs" / str(size)
        data = [f"--data.root={root}", "--data.layout=deepcrack", f"--data.resize=[{size},{size}]"]
        call = [*own, *data, "--trainer.max_epochs=1", "--model.net=support.TinyNet", "--data.known_overlap=report"]
        assert main(["fit", "--config", "cracklab:quickstart", *call, "--out", str(run)]) == 0
        assert main(["test", "--config", str(run / run_folder.CONFIG), "--ckpt_path", str(run / run_folder.BEST)]) == 0
    assert main(["report", str(tmp_path / "runs"), "--metric", "native/iou"]) == 0
    tables = tmp_path / "runs" / "report" / "tables"
    found = pd.read_csv(tables / "runs.csv", dtype={"run": str}).set_index("run")["native/iou"]
    for size in ("96", "192"):
        rows = pd.read_csv(tmp_path / "runs" / size / run_folder.PER_IMAGE_NATIVE)
        assert found[size] == pytest.approx(rows["tp"].sum() / rows[["tp", "fp", "fn"]].sum().sum())
        assert set(rows[["tp", "fp", "fn", "tn"]].sum(axis=1)) == {384 * 544}
    assert pd.read_csv(tables / "comparisons.csv")["images"].tolist() == [4]
