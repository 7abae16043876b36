"""Thresholds chosen on validation alone, protocols, and rows of per_image.csv, as the commands write them."""

import csv
import json

import cv2
import numpy as np
import pytest
import torch
import yaml
from support import QUICKSTART, TINY, fit

from cracklab import run_folder
from cracklab.cli import main
from cracklab.data.datamodule import CrackDataModule
from cracklab.data.layouts import LAYOUTS
from cracklab.data.samples import with_ids
from cracklab.errors import ConfigError, DataError
from cracklab.metrics.options import EvaluationOptions
from cracklab.metrics.protocols import PROTOCOLS


def table(path):
    return list(csv.DictReader(path.open()))


def kept(path):
    return torch.load(path, weights_only=True)["cracklab"]["threshold"]


def pooled(rows, name="iou", suffix=""):
    tp, fp, fn = (sum(int(row[key + suffix]) for row in rows) for key in ("tp", "fp", "fn"))
    return {"iou": tp / (tp + fp + fn), "dice": 2 * tp / (2 * tp + fp + fn)}[name]


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """A run whose best epoch, the one of the highest loss, is not its last."""
    out = fit(
        tmp_path_factory.mktemp("runs") / "tuned",
        "--model.net=support.TinyNet",
        "--trainer.max_epochs=3",
        "--model.schedule=Constant",
        "--checkpoint.monitor=val/loss",
        "--checkpoint.mode=max",
        "--panels.images=0",
    )
    assert main(["test", "--config", str(out / run_folder.CONFIG), "--ckpt_path", str(out / run_folder.BEST)]) == 0
    return out


def test_a_checkpoint_keeps_the_threshold_that_its_own_validation_chose(tuned):
    rows = table(tuned / run_folder.METRICS)
    best = max(range(3), key=lambda epoch: float(rows[epoch]["val/loss"]))
    assert best < 2
    assert kept(tuned / run_folder.BEST) == float(rows[best]["val/threshold"])
    assert kept(tuned / run_folder.LAST) == float(rows[2]["val/threshold"]) != kept(tuned / run_folder.BEST)


def test_test_uses_the_threshold_of_the_checkpoint_and_chooses_none(tuned):
    metrics, rows = json.loads((tuned / run_folder.TEST_METRICS).read_text()), table(tuned / run_folder.PER_IMAGE)
    assert metrics["test/threshold"] == kept(tuned / run_folder.BEST) != 0.5
    assert metrics["test/iou"] == pytest.approx(pooled(rows))
    assert metrics["test/iou@0.5"] == pytest.approx(pooled(rows, suffix="@0.5"))
    best = json.loads((tuned / run_folder.PROTOCOLS).read_text())["best_on_test"]
    assert best["values"]["ods"] >= metrics["test/dice"]
    assert "test images" in best["warning"]


def test_validate_finds_what_fit_found(tuned, tmp_path):
    best = max(table(tuned / run_folder.METRICS), key=lambda row: float(row["val/loss"]))
    call = [
        "validate",
        "--config",
        str(tuned / run_folder.CONFIG),
        "--ckpt_path",
        str(tuned / run_folder.BEST),
        "--out",
    ]
    assert main([*call, str(tmp_path)]) == 0
    found = json.loads((tmp_path / "val_metrics.json").read_text())
    for name in ("val/iou", "val/dice", "val/loss", "val/threshold"):
        assert found[name] == pytest.approx(float(best[name]), abs=1e-9)


def test_a_fixed_threshold_is_kept(tmp_path):
    out = fit(
        tmp_path / "run", "--model.net=support.TinyNet", "--trainer.max_epochs=1", "--model.evaluation.threshold=0.25"
    )
    assert kept(out / run_folder.LAST) == 0.25
    assert table(out / run_folder.METRICS)[0]["val/threshold"] == "0.25"


def test_all_protocols_are_written_and_the_named_ones_printed(tuned, tmp_path, capsys):
    found = json.loads((tuned / run_folder.PROTOCOLS).read_text())
    assert list(found) == list(PROTOCOLS)
    assert all(result["protocol"] == name and result["values"] for name, result in found.items())
    assert found["krasniqi2026"]["values"]["hd95_px@0.1"] is not None
    call = [
        "test",
        "--config",
        str(tuned / run_folder.CONFIG),
        "--ckpt_path",
        str(tuned / run_folder.BEST),
        "--out",
        str(tmp_path),
    ]
    with pytest.warns(UserWarning, match=r"Boundary IoU is nearly IoU here, since \d+ % of the") as warned:
        assert main([*call, "--model.evaluation.boundary_width_px=null", "--protocol", "chen2023", "scsegamba"]) == 0
    assert sum("Boundary IoU" in str(warning.message) for warning in warned) == 1
    said = capsys.readouterr().out
    metrics = json.loads((tmp_path / run_folder.TEST_METRICS).read_text())
    figures = said[said.index("7 test images at threshold ") :].splitlines()[1:6]
    shown = {
        "IoU": "iou",
        "Dice (= F1)": "dice",
        "Boundary IoU": "boundary_iou",
        "clDice": "cl_dice",
        "HD95": "hd95_px",
    }
    for line, (label, name) in zip(figures, shown.items(), strict=True):
        value = metrics[f"test/{name}"]
        assert line.startswith(f"  {label} ")
        assert (f" {value:.2f} px " if name == "hd95_px" else f" {value:.4f} ") in line
    table = said[said.index("all scores") : said.index("protocol chen2023")]
    assert {name.split("/")[1] for name in metrics} <= set(table.split())
    assert f"f1         {found['chen2023']['values']['f1']:.4f}" in said
    assert "protocol scsegamba" in said
    assert "WARNING: Thresholds are picked on the test images" in said.replace("\n", " ")
    assert "protocol omnicrack" not in said


def test_a_misspelt_protocol_is_refused_before_anything_is_written(tuned, tmp_path, capsys):
    call = ["test", "--config", str(tuned / run_folder.CONFIG), "--ckpt_path", str(tuned / run_folder.BEST)]
    with pytest.raises(SystemExit):
        main([*call, "--out", str(tmp_path / "out"), "--protocol", "chen2023", "scsegmamba"])
    assert "no protocol is called 'scsegmamba'; did you mean 'scsegamba'?" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_per_image_csv_describes_and_scores_each_image(tuned):
    rows = table(tuned / run_folder.PER_IMAGE)
    assert list(rows[0])[:2] == ["id", "group"]
    assert {"crack_share", "width_px", "iou", "hd95_px", "boundary_iou", "cl_dice", "bridged"} <= rows[0].keys()
    assert [row["group"] for row in rows] == [f"test-{i:05d}" for i in range(7)]


def test_several_classes_choose_no_threshold_and_leave_out_protocols_for_one(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for i in range(9):
        classes = np.repeat(rng.permutation(3), 16)[:, None].repeat(48, 1).astype(np.uint8)
        cv2.imwrite(str(tmp_path / "masks" / f"{i}.png"), classes)
        cv2.imwrite(str(tmp_path / "images" / f"{i}.png"), 90 * classes + rng.integers(0, 60, (48, 48), dtype=np.uint8))
    config = {"data": {"layout": {"class_path": "folders", "init_args": {"num_classes": 3}}, "root": str(tmp_path)}}
    (tmp_path / "data.yaml").write_text(yaml.safe_dump(config))
    net = ["--model.net=support.TinyNet", "--model.net.classes=3", "--data.group=(.*)", "--data.split=holdout"]
    own = [argument for argument in TINY if "layout" not in argument]
    call = ["--config", str(QUICKSTART), "--config", str(tmp_path / "data.yaml"), *own, *net, "--trainer.max_epochs=1"]
    assert main(["fit", *call, "--out", str(tmp_path / "run")]) == 0
    test = ["test", *call[:-1], "--ckpt_path", str(tmp_path / "run" / run_folder.LAST)]
    assert main(test) == 0
    found = json.loads((tmp_path / "run" / run_folder.PROTOCOLS).read_text())
    assert "values" in found["deopujari2025"]
    assert "several" in found["chen2023"]["left_out"]
    assert kept(tmp_path / "run" / run_folder.LAST) == 0.5
    assert (tmp_path / "run" / run_folder.PANELS / "test_worst_iou.png").is_file()
    with pytest.raises(SystemExit):
        main([*test, "--protocol", "chen2023"])
    assert "--protocol chen2023 is defined for one class" in capsys.readouterr().err


def test_the_scale_in_a_table_describes_its_images(tmp_path):
    (tmp_path / "files").mkdir()
    for name in ("a", "b"):
        for kind in ("image", "mask"):
            cv2.imwrite(str(tmp_path / "files" / f"{name}_{kind}.png"), 255 * np.eye(32, dtype=np.uint8))
    lines = ["image,mask,split,mm_per_px", "files/a_image.png,files/a_mask.png,train,0.5"]

    def described(last):
        (tmp_path / "index.csv").write_text("\n".join([*lines, f"files/b_image.png,files/b_mask.png,test,{last}"]))
        data = CrackDataModule(LAYOUTS["csv"](), root=str(tmp_path), split="official", known_overlap="report")
        data.records = with_ids(LAYOUTS["csv"]().index(tmp_path)[0])
        return [columns["mm_per_px"] for columns in data.describing_columns().values()]

    assert described("0.25") == [0.5, 0.25]
    with pytest.raises(DataError, match="'wide'"):
        described("wide")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 1.5}, r"threshold is 1.5"),
        ({"threshold": "hd95", "threshold_candidates": []}, "threshold_candidates, which is empty"),
        ({"threshold": "hd95", "threshold_candidates": [0.5, 2.0]}, r"\[0.5, 2.0\]"),
        ({"groups": ["surfaces"]}, "'surfaces'; did you mean 'surface'"),
        ({"surface_every_n_epochs": 0}, "surface_every_n_epochs is 0"),
        ({"tolerance_px": -1.0}, "tolerance_px is -1.0"),
    ],
)
def test_options_that_cannot_work_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        EvaluationOptions(**options)
