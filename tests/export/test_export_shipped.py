"""The bundle of the model that ships, whose convolutions pad as TensorFlow's do."""

import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from support import ROOT
from timm.layers import Conv2dSame
from torch import nn

from cracklab.checkpoint import read_checkpoint
from cracklab.cli import main
from cracklab.data.transform import EvalTransform
from cracklab.export import model
from cracklab.export.linked import write_graph
from cracklab.export.model import Deployed, ExportError, with_constant_padding
from cracklab.export.shipped import as_shipped
from cracklab.predict.trained_model import TrainedModel, restore
from cracklab.synthetic.draw import draw
from cracklab.weights import WEIGHTS, graph_file


@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(3, 2, 1), (5, 2, 1), ((1, 4), (1, 2), (1, 3)), (2, 4, 1)])
def test_constant_padding_is_that_of_timm_for_sides_of_whole_strides(kernel, stride, dilation):
    net = nn.Sequential(
        Conv2dSame(3, 4, kernel, stride, dilation=dilation), Conv2dSame(4, 1, kernel, stride, bias=False)
    )
    fixed = with_constant_padding(Deployed(TrainedModel("", net, EvalTransform(), ("crack",), 0.5, {}, None))).net
    assert not any(isinstance(module, Conv2dSame) for module in fixed.modules())
    assert isinstance(net[0], Conv2dSame), "the net itself has changed"
    for size in ((32, 64), (96, 32)):
        image = torch.rand(2, 3, *size)
        torch.testing.assert_close(fixed(image), net(image), rtol=0, atol=1e-6)


def test_what_ships_predicts_as_the_checkpoint_of_its_run_and_is_a_fraction_of_its_size(tmp_path):
    run, small = ROOT / "tests/fixtures/release_0_1/run/checkpoints/last.ckpt", tmp_path / "small.ckpt"
    torch.save(as_shipped(read_checkpoint(run), threshold=0.25), small)
    whole, shipped = restore(run), restore(small)
    assert shipped.threshold == 0.25
    assert shipped.transform == whole.transform
    image = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(shipped.net(image), whole.net(image), rtol=0, atol=5e-3)
    assert any(weight.dtype == torch.float16 for weight in read_checkpoint(small)["state_dict"].values())
    assert small.stat().st_size < 0.3 * run.stat().st_size


@pytest.mark.slow  # exports
def test_a_graph_that_differs_from_its_checkpoint_replaces_none(tmp_path, monkeypatch):
    checkpoint = Path(shutil.copy(ROOT / "tests/fixtures/release_0_1/run/checkpoints/last.ckpt", tmp_path))
    monkeypatch.setattr(model, "TOLERANCE", -1.0)
    graph_file(checkpoint).write_bytes(b"good")
    with pytest.raises(ExportError, match="differs from PyTorch by"):  # its weights are found in the checkpoint
        write_graph(checkpoint)
    assert graph_file(checkpoint).read_bytes() == b"good"
    assert {path.name for path in tmp_path.iterdir()} == {"last.ckpt", "last.onnx"}


@pytest.mark.slow  # exports for a minute
def test_the_bundle_of_the_model_that_ships_makes_the_masks_of_predict(tmp_path):
    """At its three scales, on a photo of several tiles and a small one."""
    for name, size in {"large": (600, 700), "small": (90, 130)}.items():
        cv2.imwrite(str(tmp_path / f"{name}.png"), draw(3, size)[0][..., ::-1])
    photos = [str(tmp_path / f"{name}.png") for name in ("large", "small")]
    bundle = tmp_path / "bundle"
    assert main(["export", "--ckpt_path", "cracklab:cracks", "--out", str(bundle)]) == 0
    command = [sys.executable, str(bundle / "run.py"), *photos, "--out", str(tmp_path / "theirs")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert main(["predict", "--images", *photos, "--out", str(tmp_path / "ours"), "--device=cpu"]) == 0
    for name in ("large", "small"):
        theirs, ours = (cv2.imread(str(tmp_path / part / f"{name}.png"), 0) for part in ("theirs", "ours"))
        assert theirs.shape == ours.shape
        assert (theirs != ours).sum() <= 1e-4 * ours.size
    assert 0.001 < (cv2.imread(str(tmp_path / "ours/large.png"), 0) > 0).mean() < 0.5
    assert np.array_equal((bundle / "NOTICE").read_bytes(), (WEIGHTS / "NOTICE").read_bytes())
    card = " ".join((bundle / "README.md").read_text().split())
    assert "fuse the probabilities at 1, 0.5, 0.25 times that size" in card
    assert "`cracklab models cracks`" in card
