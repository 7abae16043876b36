"""Normalisations become parts of convolutions, and the memory of a net is counted."""

import numpy as np
import pytest
import timm
import torch
from torch import nn

from cracklab.predict.folding import fold_normalisation
from cracklab.predict.memory import PeakMemory
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


def test_memory_is_that_of_the_tensors_in_use():
    layers = nn.Sequential(nn.Conv2d(3, 8, 1, bias=False), nn.Conv2d(8, 1, 1, bias=False))
    with torch.inference_mode(), PeakMemory() as memory:
        layers(torch.zeros(1, 3, 100, 100))
    planes = 3 + 8 + 1  # the image is held by this test's call, the middle one by the second layer
    assert memory.peak == planes * 100 * 100 * 4


def test_the_model_that_ships_keeps_how_much_memory_its_net_needs():
    from cracklab.predict.deployed_model import DeployedModel
    from cracklab.predict.trained_model import restore

    assert DeployedModel(checkpoint_file("cracks")).bytes_per_px == restore("cracks").bytes_per_px
    assert np.isclose(restore("cracks").bytes_per_px, 300, rtol=0.3)
