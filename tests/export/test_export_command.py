"""`cracklab export`: a bundle predicts as cracklab does, without PyTorch and cracklab."""

import hashlib
import json
import os
import shutil
import subprocess
import sys

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import yaml
from support import ROOT, fit
from torch import nn

from cracklab import run_folder
from cracklab.cli import main
from cracklab.errors import DataError, RunError
from cracklab.export import model as export_model
from cracklab.files import sha256
from cracklab.predict.deployed_model import DeployedModel
from cracklab.predict.load import load
from cracklab.predict.trained_model import restore
from cracklab.synthetic.draw import draw

BLOCKED = ("torch", "cracklab", "lightning", "yaml", "scipy", "PIL", "onnx", "skimage", "monai")
TRUST = "--trust=support.TinyNet"
ALONE = f"""
import importlib.abc, os, runpy, sys
class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {BLOCKED!r}:
            raise ImportError(name + " is not installed here")
sys.meta_path.insert(0, Blocker())
sys.argv = sys.argv[1:]
folder = os.path.dirname(sys.argv[0])
sys.path.insert(0, folder)  # as Python does for a script
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    assert not set({BLOCKED!r}) & set(sys.modules)
    assert sys.modules["tiles"].__file__ == os.path.join(folder, "tiles.py")
"""
"""Runs a script without the current folder and PYTHONPATH, where only onnxruntime, NumPy and OpenCV can be imported."""

TILES = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import run
memory = None if sys.argv[2] == "None" else float(sys.argv[2])
print(run.Model(Path(sys.argv[1]) / "model.onnx", memory).tiling.count((1100 // 2, 1300 // 2)))
"""
"""Prints the number of tiles of the large photo, which this run sees at half its size."""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """A run of TinyNet that sees its data at half their size, tested, and its bundle."""
    folder = tmp_path_factory.mktemp("export")
    out = fit(
        folder / "run", "--model.net=support.TinyNet", "--trainer.max_epochs=8", "--data.crop=64", "--data.resize=32"
    )
    checkpoint = str(out / run_folder.BEST)
    assert main(["test", "--config", str(out / "config.yaml"), "--ckpt_path", checkpoint]) == 0
    assert main(["export", TRUST, "--ckpt_path", checkpoint, "--out", str(folder / "bundle")]) == 0
    return out, folder / "bundle"


def exit_code(arguments):
    try:
        return main(arguments)
    except SystemExit as end:
        return end.code


def test_the_bundle_is_complete_and_its_checksums_are_right(bundle):
    _, folder = bundle
    files = {path.name for path in folder.iterdir()}
    assert files == {"model.onnx", "config.yaml", "README.md", "SHA256SUMS", "run.py", "tiles.py", "masks.py"}
    sums = dict(line.split("  ")[::-1] for line in (folder / "SHA256SUMS").read_text().splitlines())
    assert set(sums) == files - {"SHA256SUMS"}
    for name, sum in sums.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == sum


def test_the_scripts_of_a_bundle_are_the_files_of_the_package(bundle):
    _, folder = bundle
    package = ROOT / "cracklab"
    assert (folder / "run.py").read_bytes() == (package / "export" / "bundle.py").read_bytes()
    for name in ("tiles.py", "masks.py"):
        assert (folder / name).read_bytes() == (package / "predict" / name).read_bytes()


def test_onnx_gives_the_probabilities_and_masks_of_pytorch_at_any_size(bundle):
    out, folder = bundle
    restored = restore(out / run_folder.BEST, trust=["support.TinyNet"])
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
    for batch, size in ((1, (32, 32)), (3, (96, 160))):
        image = np.stack([draw(seed, size)[0].transpose(2, 0, 1) for seed in range(batch)])
        with torch.inference_mode():
            normal = (torch.from_numpy(image).float() / 255 - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / (
                torch.tensor([0.229, 0.224, 0.225])[:, None, None]
            )
            expected = restored.net(normal).sigmoid().numpy()
        probability, mask = session.run(None, {"image": image})
        np.testing.assert_allclose(probability, expected, atol=1e-5)
        np.testing.assert_array_equal(mask, np.where(probability > restored.threshold, 255, 0))
        assert mask.dtype == np.uint8
    assert onnx.load(str(folder / "model.onnx")).opset_import[0].version == 18


def test_the_script_makes_the_masks_of_predict_without_pytorch_and_cracklab(bundle, tmp_path):
    """In a process that cannot import either, on a photo of several tiles."""
    out, folder = bundle
    photos = tmp_path / "photos"
    photos.mkdir()
    for name, size in {"large": (1100, 1300), "small": (40, 57)}.items():
        cv2.imwrite(str(photos / f"{name}.png"), draw(3, size)[0][..., ::-1])
    masks = tmp_path / "masks"
    command = [
        sys.executable,
        "-I",
        "-c",
        ALONE,
        str(folder / "run.py"),
        str(photos),
        "--out",
        str(masks),
        "--memory_gb=0.005",
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    arguments = [
        "predict",
        "--ckpt_path",
        str(out / run_folder.BEST),
        "--images",
        str(photos),
        "--out",
        str(tmp_path / "ours"),
    ]
    assert main([*arguments, TRUST, "--device=cpu"]) == 0
    for name in ("small", "large"):
        theirs, ours = (
            cv2.imread(str(tmp_path / part / f"{name}.png"), cv2.IMREAD_UNCHANGED) for part in ("masks", "ours")
        )
        assert theirs.shape == ours.shape
        assert (theirs == ours).mean() > 0.9999
    assert 0 < (ours > 0).mean() < 1
    settings = json.loads((tmp_path / "ours" / "predict.json").read_text())
    described = yaml.safe_load((folder / "config.yaml").read_text())["predict"]
    assert {key: described[key] for key in ("tile", "overlap", "scale", "threshold")} == {
        key: settings[key] for key in ("tile", "overlap", "scale", "threshold")
    }
    assert settings["tile"] == 4096


def test_the_script_has_smaller_tiles_for_less_memory(bundle):
    for memory_gb, tiles in ((None, 1), (0.009, 12)):
        done = subprocess.run(
            [sys.executable, "-c", TILES, str(bundle[1]), str(memory_gb)], capture_output=True, text=True
        )
        assert done.stdout.strip() == str(tiles), done.stderr


def test_predict_takes_a_bundle_as_its_checkpoint(bundle, tmp_path):
    """The masks are those of the checkpoint, and what a bundle does not keep is asked from the checkpoint."""
    out, folder = bundle
    photo = draw(3, (100, 130))[0]
    masks = [
        load(path, "cpu", trust=["support.TinyNet"]).predict(photo)
        for path in (folder / "model.onnx", out / run_folder.BEST)
    ]
    np.testing.assert_allclose(masks[0].probability, masks[1].probability, atol=1e-5)
    assert (masks[0].mask != masks[1].mask).sum() <= 1
    with pytest.raises(RunError, match=r"model.onnx does not say which images it was trained on: give the checkpoint"):
        _ = DeployedModel(folder / "model.onnx").seen
    call = [
        "audit",
        "--data.layout=synthetic",
        "--ckpt_path",
        str(folder / "model.onnx"),
        "--out",
        str(tmp_path / "audit"),
    ]
    assert exit_code(call) != 0
    assert not (tmp_path / "audit").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scale": [1e9, 1.0]}, r"holds settings that cannot be used, scale.0: .* less than or equal to 16"),
        ({"threshold": 2}, "cannot be used, threshold"),
        ({"bytes_per_px": 0}, "cannot be used, bytes_per_px"),
        ({"bytes_per_px": float("inf")}, "cannot be used, bytes_per_px"),
        ({"class_names": []}, "cannot be used, class_names"),
        ({"class_names": ["crack"] * 256}, "cannot be used, class_names"),
        ({"scales": [16.0, 15.0]}, "cannot be used, scales: .* give 1 to 8 different numbers from 0.0625 to 4"),
        ({"channels": 1}, r"maps image to probability, mask, and not image \(B, 1, h, w\) to probability"),
        (
            {"class_names": ["wall", "crack"]},
            r"gives \(1, 1, 32, 32\) instead of probabilities of shape \(1, 2, 32, 32\)",
        ),
        ({"interpolation": "magic"}, "cannot be used, interpolation"),
        (None, "holds no settings of cracklab: export it again with `cracklab export`"),
    ],
)
def test_a_graph_with_other_settings_is_one_message(bundle, tmp_path, change, message):
    graph = onnx.load(str(bundle[1] / "model.onnx"))
    settings = json.loads(graph.metadata_props[0].value)
    onnx.helper.set_model_props(graph, {} if change is None else {"cracklab": json.dumps(settings | change)})
    onnx.save(graph, str(tmp_path / "model.onnx"))
    with pytest.raises(RunError, match=message):
        DeployedModel(tmp_path / "model.onnx").score(np.zeros((1, 32, 32, 3), np.uint8))


def test_a_bundle_that_enlarges_photos_without_bound_fails_for_them_alone(bundle, tmp_path):
    """16 times 4 times the size, as its settings may ask for."""
    graph = onnx.load(str(bundle[1] / "model.onnx"))
    settings = json.loads(graph.metadata_props[0].value) | {"scale": [16, 16], "scales": [4]}
    copy = shutil.copytree(bundle[1], tmp_path / "copy")

    def write(settings):
        onnx.helper.set_model_props(graph, {"cracklab": json.dumps(settings)})
        onnx.save(graph, str(copy / "model.onnx"))
        (copy / "SHA256SUMS").write_text(f"{sha256(copy / 'model.onnx')}  model.onnx\n")

    write(settings)
    with pytest.raises(DataError, match="the photo of 600 x 500 px would become 38400 x 32000 px"):
        load(copy / "model.onnx").predict(np.zeros((500, 600), np.uint8))
    names = {"huge": np.zeros((500, 600), np.uint8), "tiny": np.zeros((3, 4), np.uint8)}
    for name, photo in names.items():
        cv2.imwrite(str(tmp_path / f"{name}.png"), photo)
    command = [sys.executable, str(copy / "run.py"), "huge.png", "tiny.png", "--out", "masks"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert "huge.png failed: at the scale of the net it has 38400 x 32000 px" in done.stderr
    assert (tmp_path / "masks" / "tiny.png").is_file()
    write(settings | {"channels": 1})  # an error of ONNX Runtime, for every photo
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr.count(".png failed: ")) == (1, 2)


def test_the_script_names_a_photo_that_fails_and_overwrites_none(bundle, tmp_path):
    _, folder = bundle
    cv2.imwrite(str(tmp_path / "a.png"), draw(3, (40, 40))[0])
    (tmp_path / "b.jpg").write_text("no photo")
    whole = cv2.imencode(".jpg", draw(3, (40, 40))[0])[1].tobytes()
    (tmp_path / "0.jpg").write_bytes(whole[: len(whole) // 2])
    python = [sys.executable, str(folder / "run.py")]
    photos = ["0.jpg", "a.png", "b.jpg"]
    done = subprocess.run([*python, *photos, "--out", "masks"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert "b.jpg cannot be read" in done.stderr
    assert "0.jpg is truncated" in done.stderr
    assert not (tmp_path / "masks" / "0.png").exists()
    assert (tmp_path / "masks" / "a.png").is_file()
    (tmp_path / "walls/east").mkdir(parents=True)
    (tmp_path / "walls/.thumbs").mkdir()
    for name in ("east/a.png", "east/.hidden.txt", "._b.JPG", "b.JPG", ".thumbs/c.JPG"):
        (tmp_path / "walls" / name).write_bytes((tmp_path / "a.png").read_bytes())
    for place in ("walls", "walls/**/*.[pJ]*"):
        done = subprocess.run([*python, place, "--out", "walls/masks"], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        masks = {
            path.relative_to(tmp_path / "walls/masks").as_posix() for path in (tmp_path / "walls/masks").rglob("*.png")
        }
        assert masks == {"east/a.png", "b.png"}, "masks of the first start are no photos of the second"
    done = subprocess.run([*python, "walls/*.tif", "--out", "none"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert "walls/*.tif has no photo" in done.stderr
    assert not (tmp_path / "none").exists()
    before = (tmp_path / "a.png").read_bytes()
    done = subprocess.run([*python, "a.png", "--out", "."], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert (tmp_path / "a.png").read_bytes() == before


def test_the_card_states_data_scores_protocols_and_limits(bundle):
    out, folder = bundle
    card = (folder / "README.md").read_text()
    scores = json.loads((out / run_folder.TEST_METRICS).read_text())
    assert f"| iou | {scores['test/iou']:.4f} |" in card
    assert "7 test images" in card
    protocols = json.loads((out / run_folder.PROTOCOLS).read_text())
    assert f"iou {protocols['per_image']['values']['iou']:.4f}" in card
    assert "Warning: Thresholds are picked on the test images" in " ".join(card.split())
    for text in (
        "TinyNet",
        "24 train, 5 val, 7 test",
        "`data.crop` 64",
        "## Intended use",
        "## Limits",
        "0.5 of their height",
    ):
        assert text in card
    assert max(map(len, card.splitlines())) <= 120


def test_the_configuration_states_the_provenance_of_the_model_without_paths(bundle):
    out, folder = bundle
    content = yaml.safe_load((folder / "config.yaml").read_text())
    assert content["checkpoint"]["sha256"] == hashlib.sha256((out / run_folder.BEST).read_bytes()).hexdigest()
    assert content["checkpoint"]["file"] == "best.ckpt"
    assert content["checkpoint"]["data"]["images"]["train"] == 24
    assert content["training"]["model"]["net"]["class_path"] == "support.TinyNet"
    assert content["training"]["data"]["root"] is None
    assert str(out) not in (folder / "config.yaml").read_text()


class Drifting(nn.Module):
    """A net that computes something else while it is exported."""

    def __init__(self, in_channels: int = 3, classes: int = 1, by: float = 0.1) -> None:
        super().__init__()
        self.conv, self.by = nn.Conv2d(in_channels, classes, 1), by

    def forward(self, image):
        return self.conv(image) + (self.by if torch.compiler.is_exporting() else 0.0)


class Unwritable(Drifting):
    """A net with a branch on values, which no graph can express."""

    def forward(self, image):
        return self.conv(image) * (1.0 if float(image.mean().item()) > 0 else 2.0)


@pytest.mark.parametrize(
    ("net", "said"), [("Drifting", "differs from PyTorch by"), ("Unwritable", "cannot be written as ONNX")]
)
def test_an_export_that_fails_leaves_nothing(tmp_path, capsys, net, said):
    out = fit(tmp_path / "run", f"--model.net={__name__}.{net}", "--trainer.max_epochs=1")
    before = set(tmp_path.iterdir())
    call = ["export", "--ckpt_path", str(out / run_folder.BEST), "--out", str(tmp_path / "bundle")]
    assert exit_code([*call, f"--trust={__name__}.{net}"]) == 1
    assert said in capsys.readouterr().err
    assert set(tmp_path.iterdir()) == before


def test_a_difference_just_above_the_tolerance_fails(bundle):
    out, folder = bundle
    deployed = export_model.Deployed(restore(out / run_folder.BEST, trust=["support.TinyNet"]))
    assert export_model.compare(deployed, folder / "model.onnx") < export_model.TOLERANCE
    with torch.no_grad():
        deployed.net.head[1].bias += 1e-3
    with pytest.raises(export_model.ExportError, match="nothing was written"):
        export_model.compare(deployed, folder / "model.onnx")


@pytest.mark.slow
def test_nets_of_one_channel_and_untested_ones_are_exported(tmp_path):
    out = fit(tmp_path / "run", "--model.net=support.TinyNet", "--trainer.max_epochs=1", "--data.channels=1")
    folder = tmp_path / "link"
    folder.symlink_to(tmp_path / "empty")
    (tmp_path / "empty").mkdir()
    assert main(["export", TRUST, "--ckpt_path", str(out / run_folder.BEST), "--out", str(folder)]) == 0
    assert "Not tested" in (folder / "README.md").read_text()
    cv2.imwrite(str(tmp_path / "a.png"), draw(3, (40, 40))[0])
    command = [sys.executable, str(folder / "run.py"), str(tmp_path / "a.png"), "--out", str(tmp_path / "masks")]
    assert subprocess.run(command, capture_output=True).returncode == 0


def test_a_folder_that_is_not_empty_is_refused_and_stays_as_it_was(bundle, capsys):
    out, folder = bundle
    before = {path: os.stat(path).st_mtime_ns for path in folder.iterdir()}
    assert exit_code(["export", "--ckpt_path", str(out / run_folder.BEST), "--out", str(folder)]) == 2
    assert "is not an empty folder: choose another" in capsys.readouterr().err
    assert {path: os.stat(path).st_mtime_ns for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--ckpt_path", "a.ckpt", "--out", "b", "--outt", "c"], "no option is called '--outt'; did you mean '--out'?"),
        (["--ckpt-path", "a.ckpt", "--out", "b", "c"], "no option is called 'c'"),
        (["--ckpt-path", "a.ckpt"], "arguments are required: --out"),
        (["--ckpt-path", "/nowhere/a.ckpt", "--out", "b"], "checkpoint /nowhere/a.ckpt does not exist"),
        (
            ["--ckpt-path", "cracklab:cracks", "--out", "."],
            "--out . is the folder in which the command runs: give another",
        ),
    ],
)
def test_a_wrong_call_ends_in_one_message_and_writes_nothing(tmp_path, monkeypatch, capsys, arguments, expected):
    monkeypatch.chdir(tmp_path)
    assert exit_code(["export", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert expected in said.err
    assert not list(tmp_path.iterdir())


def test_tiles_that_are_small_for_the_reach_overlap_by_at_most_half_and_are_named(bundle, tmp_path):
    """A reach of 290 px, and 0.05 GB, in which tiles have 352 px."""
    copy = shutil.copytree(bundle[1], tmp_path / "copy")
    graph = onnx.load(str(copy / "model.onnx"))
    settings = json.loads(graph.metadata_props[0].value) | {"reach": 290, "overlap": 580, "bytes_per_px": 400}
    onnx.helper.set_model_props(graph, {"cracklab": json.dumps(settings)})
    onnx.save(graph, str(copy / "model.onnx"))
    (copy / "SHA256SUMS").write_text(f"{sha256(copy / 'model.onnx')}  model.onnx\n")
    cv2.imwrite(str(tmp_path / "a.png"), draw(3, (40, 40))[0])
    for memory, said in (("0.05", True), ("2", False)):
        command = [sys.executable, str(copy / "run.py"), "a.png", "--out", memory, "--memory_gb", memory]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        warning = "warning: tiles of 352 px overlap by 160 px, less than twice the net's reach of 290 px"
        assert (warning in done.stderr, "give a larger --memory_gb" in done.stderr) == (said, said)
