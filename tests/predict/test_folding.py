"""Normalisations become parts of convolutions, and the memory of a net is counted."""

import numpy as np
import pytest
import timm
import torch
from torch import nn
from torch.nn.utils import parametrizations

from cracklab.checkpoint import Payload
from cracklab.data.transform import EvalTransform
from cracklab.predict.folding import fold_normalisation
from cracklab.predict.memory import PeakMemory
from cracklab.predict.predictor import Predictor
from cracklab.predict.tiles import Tiling
from cracklab.predict.trained_model import TrainedModel
from cracklab.weights import checkpoint_file


def normalisations(net):
    return sum(isinstance(module, nn.BatchNorm2d) for module in net.modules())


def trained(net):
    """Kept statistics and weights unlike those of a fresh normalisation, which folding could forget unnoticed."""
    generator = torch.Generator().manual_seed(3)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.weight.data, module.bias.data, module.running_mean, module.running_var):
                values.copy_(torch.rand(values.shape, generator=generator) + 0.5)
    return net.eval()


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_lite0"])
@torch.inference_mode()
def test_a_folded_net_gives_the_same_without_normalisations(name):
    net = trained(timm.create_model(name, num_classes=2))
    folded = fold_normalisation(net, torch.rand(1, 3, 64, 64))
    assert normalisations(net) > normalisations(folded) == 0
    image = torch.rand(2, 3, 96, 64)
    torch.testing.assert_close(folded(image), net(image), rtol=1e-3, atol=1e-4)


class Fork(nn.Module):
    """The result of the convolution is used twice."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, image):
        result = self.conv(image)
        return self.norm(result) + result


class Twice(Fork):
    """The convolution is called twice, once without the normalisation."""

    def forward(self, image):
        return self.norm(self.conv(self.conv(image)))


@pytest.mark.parametrize("kind", [Fork, Twice])
def test_a_net_whose_convolution_has_other_users_stays_as_it_is(kind):
    net = trained(kind())
    assert fold_normalisation(net, torch.rand(1, 3, 8, 8)) is net


class Block(nn.Module):
    """A convolution and its normalisation, which is called by keyword and may keep to the statistics of its batch."""

    def __init__(self, conv, training=False):
        super().__init__()
        self.conv, self.norm, self.always = conv, nn.BatchNorm2d(4), training

    def train(self, mode=True):
        super().train(mode)
        self.norm.train(mode or self.always)
        return self

    def forward(self, image):
        return self.norm(input=self.conv(image)) if self.always else self.norm(self.conv(image))


@pytest.mark.parametrize("reparametrise", [parametrizations.weight_norm, parametrizations.spectral_norm, None])
def test_a_net_that_cannot_be_folded_stays_as_it_is(reparametrise):
    conv = nn.Conv2d(3, 4, 3, padding=1)
    net = trained(Block(conv, training=True) if reparametrise is None else Block(reparametrise(conv)))
    assert fold_normalisation(net, torch.rand(1, 3, 16, 16)) is net


def model_of(net):
    return TrainedModel("best.ckpt", net, EvalTransform(), ("crack",), 0.5, {}, Payload(config="", threshold=0.5))


class BrightFork(Fork):
    """The result of the convolution is used twice, the second time where it is bright alone."""

    def forward(self, image):
        result = self.conv(image)
        return self.norm(result)[:, :1] + (result[:, :1] - 1).relu()


def test_a_folded_net_is_compared_on_bright_images_too():
    net = trained(BrightFork())
    nn.init.ones_(net.conv.weight)
    model = model_of(net)
    model.score(np.zeros((1, 64, 64, 3), np.uint8))
    white = np.full((1, 64, 64, 3), 255, np.uint8)
    planes = model.transform.normalise(torch.from_numpy(white.transpose(0, 3, 1, 2)))
    np.testing.assert_allclose(model.score(white), model.probabilities(planes).detach().numpy(), atol=1e-5)


class Attention(nn.Module):
    """A net whose pixels all attend to each other, little."""

    def __init__(self):
        super().__init__()
        self.patches, self.attention = nn.Conv2d(3, 8, 16, 16), nn.MultiheadAttention(8, 2, batch_first=True)
        self.up = nn.ConvTranspose2d(8, 1, 16, 16)

    def forward(self, image):
        patches = self.patches(image)
        tokens = patches.flatten(2).transpose(1, 2)
        mixed, _ = self.attention(tokens, tokens, tokens, need_weights=False)
        return self.up((tokens + 1e-4 * mixed).transpose(1, 2).reshape(patches.shape))


@pytest.mark.parametrize("overlap", [None, 64])
def test_attention_gets_tiles_of_512_px_however_large_the_memory(overlap):
    torch.manual_seed(0)
    predictor = Predictor([model_of(Attention().eval())], "cpu", overlap=overlap, memory_gb=64)
    assert predictor.tiling == Tiling(512, overlap or 128)


def test_tensors_without_a_storage_are_left_out():
    with torch.inference_mode(), PeakMemory() as memory:
        torch.zeros(100, 100).to_sparse().to_dense()
    assert memory.peak >= 100 * 100 * 4


def test_memory_is_that_of_the_tensors_in_use():
    layers = nn.Sequential(nn.Conv2d(3, 8, 1, bias=False), nn.Conv2d(8, 1, 1, bias=False))
    with torch.inference_mode(), PeakMemory() as memory:
        layers(torch.zeros(1, 3, 100, 100))
    planes = 3 + 8 + 1  # the image is held by this test's call, the middle one by the second layer
    assert memory.peak == planes * 100 * 100 * 4


def test_the_model_that_ships_keeps_how_much_memory_its_net_needs():
    from cracklab.export.bundle_files import ARENA
    from cracklab.predict.deployed_model import DeployedModel
    from cracklab.predict.trained_model import restore

    assert DeployedModel(checkpoint_file("cracks")).bytes_per_px == ARENA * restore("cracks").bytes_per_px
    assert np.isclose(restore("cracks").bytes_per_px, 300, rtol=0.3)
