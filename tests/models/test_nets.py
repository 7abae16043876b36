"""The nets: the papers' figures, shapes, signals, gradients."""

import copy
from functools import cache

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
from torch import nn

from cracklab.models import CrackSeg, PipeUNet, TransUNet, UNet


def unet(**options):
    return UNet(widths=(16, 32, 64, 128), **options)


def crack_seg(**options):
    return CrackSeg("resnet18", **options)


def trans_unet(**options):
    return TransUNet(layers=1, **options)


NETS = [unet, PipeUNet, crack_seg, trans_unet]


@cache
def made(make, channels=3, classes=1):
    """Return a net in training mode; cached, since the transformer takes a second to build."""
    torch.manual_seed(0)
    return make(in_channels=channels, classes=classes)


@pytest.fixture(scope="module", autouse=True)
def release():
    """Release the nets at the end; with their gradients they take half a gigabyte."""
    yield
    made.cache_clear()


@pytest.fixture(params=NETS, ids=lambda make: make.__name__)
def net(request):
    yield made(request.param)
    made(request.param).train().zero_grad()


def parameters(net):
    return sum(parameter.numel() for parameter in net.parameters())


def steps(net, image):
    """Return the convolutions that a net runs, in order: class, number of parameters, shape of the output."""
    found = []
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.register_forward_hook(
                lambda module, _, out: found.append((type(module).__name__, parameters(module), *out.shape[1:]))
            )
    net(image)
    return found


def test_pipe_unet_has_the_layers_of_the_papers_table():
    """Deopujari 2025, "Layer-by-Layer Parameter Breakdown": filters and parameters of each layer, 1,735,361 in all."""
    up, conv = "ConvTranspose2d", "Conv2d"
    table = [
        *[(conv, 640, 64, 16, 16), (conv, 36928, 64, 16, 16)],
        *[(conv, 36928, 64, 8, 8), (conv, 36928, 64, 8, 8)],
        *[(conv, 73856, 128, 4, 4), (conv, 147584, 128, 4, 4)],
        *[(conv, 295168, 256, 2, 2), (conv, 295040, 128, 2, 2)],
        *[(up, 147584, 128, 4, 4), (conv, 295040, 128, 4, 4), (conv, 73792, 64, 4, 4)],
        *[(up, 36928, 64, 8, 8), (conv, 73792, 64, 8, 8), (conv, 36928, 64, 8, 8)],
        *[(up, 36928, 64, 16, 16), (conv, 73792, 64, 16, 16), (conv, 36928, 64, 16, 16)],
        (conv, 577, 1, 16, 16),
    ]
    assert steps(PipeUNet(), torch.zeros(1, 1, 16, 16)) == table
    assert parameters(PipeUNet()) == 1_735_361


def test_unet_of_2015_has_the_known_number_of_parameters():
    """31,037,633 is what the common PyTorch U-Net of five levels with batch normalisation has, for 3 channels and 1 class."""
    assert parameters(UNet(widths=(64, 128, 256, 512, 1024), batch_norm=True)) == 31_037_633


def test_unet_has_the_levels_of_the_facade_paper():
    """Krasniqi 2026, section 5.3: 64, 128, 256, 512 channels, two 3 x 3 convolutions a level, halved in between."""
    conv, up = "Conv2d", "ConvTranspose2d"
    widths = [64, 128, 256, 512]
    down, before = [], 3
    for level, width in enumerate(widths):
        side = 16 >> level
        for channels in (before, width):
            down.append((conv, width * (channels * 9 + 1), width, side, side))
        before = width
    rise = []
    for level in (2, 1, 0):
        width, side = widths[level], 16 >> level
        rise.append((up, width * 2 * width * 4 + width, width, side, side))
        for channels in (2 * width, width):
            rise.append((conv, width * (channels * 9 + 1), width, side, side))
    assert steps(UNet(), torch.zeros(1, 3, 16, 16)) == [*down, *rise, (conv, 65, 1, 16, 16)]


def test_dropout_is_in_encoder_and_decoder():
    """Ozcan 2024: "dropout layers with a rate of 0.3 were used in the decoder and encoder"."""
    net = UNet(dropout=0.3)
    for part, levels in ((net.encoder, 4), (net.decoder, 3)):
        assert [module.p for module in part.modules() if isinstance(module, nn.Dropout)] == [0.3] * levels
    image = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        assert not torch.equal(net(image), net(image))
        net.eval()
        torch.testing.assert_close(net(image), net(image), rtol=0, atol=0)
    assert not any(isinstance(module, nn.Dropout) for module in UNet().modules())


def test_crack_seg_has_koenigs_decoder():
    """Koenig 2021: 256 ... 16 channels; Conv-BN and four convolutions in two residual blocks a level, two Conv-BN at level one."""
    net = CrackSeg("resnet34")
    below, skips, widths = 512, [256, 128, 64, 64], [256, 128, 64, 32]
    expected = 0
    for skip, width in zip(skips, widths, strict=True):
        expected += (below + skip) * width * 9 + 2 * width  # no bias, but scale and shift of the normalisation
        expected += 4 * (width * width * 9 + width)
        below = width
    expected += (32 + 16) * 16 * 9 + 2 * 16 + 16 * 16 * 9 + 2 * 16
    assert parameters(net.decoder) == expected
    assert parameters(net.stem) == 3 * 16 * 9 + 2 * 16 + 16 * 16 * 9 + 2 * 16
    assert parameters(net.head) == 16 * 9 + 1
    assert parameters(net.encoder) == 21_797_672 - 513_000  # torchvision's ResNet-34 without its classifier
    sides = [side for name, _, _, side, _ in steps(net.decoder[0], torch.zeros(1, 768, 4, 4)) if name == "Conv2d"]
    assert sides == [4] * 5


def test_a_residual_block_with_zero_weights_is_the_identity():
    net = CrackSeg("resnet18")
    block = net.decoder[0][1]
    for parameter in block.parameters():
        nn.init.zeros_(parameter)
    x = torch.randn(1, 256, 5, 7)
    torch.testing.assert_close(block(x), x)


def test_trans_unet_has_as_many_parameters_as_chens():
    """Chen 2021 report 105.28 million parameters; a layer of ViT-B has 7,087,872."""
    with torch.device("meta"):
        full, one = TransUNet(), TransUNet(layers=1)
    assert round(parameters(full) / 1e6, 2) == 105.28
    assert parameters(full) - parameters(one) == 11 * 7_087_872
    below, skips, widths = 512, [512, 256, 64, 0], [256, 128, 64, 16]
    expected = 0
    for skip, width in zip(skips, widths, strict=True):
        expected += (below + skip) * width * 9 + width * width * 9 + 4 * width
        below = width
    assert parameters(full.decoder) == expected
    assert parameters(full.neck) == 768 * 512 * 9 + 2 * 512


def test_trans_unet_decodes_the_tokens_of_timms_encoder():
    net = TransUNet(layers=2).eval()
    image = torch.randn(1, 3, 48, 32)
    with torch.no_grad():
        features, skips = net._encoded(image)
        tokens = net.encoder.forward_features(image)
    torch.testing.assert_close(features.flatten(2).transpose(1, 2), tokens[:, 1:])
    assert [tuple(skip.shape[1:]) for skip in skips] == [(64, 24, 16), (256, 12, 8), (512, 6, 4)]


@pytest.mark.parametrize("make", NETS)
@pytest.mark.parametrize(("channels", "classes", "size"), [(1, 3, (37, 70)), (3, 1, (48, 33))])
def test_any_size_and_channels_work_and_every_parameter_has_a_gradient(make, channels, classes, size):
    net = made(make, channels, classes)
    for parameter in net.parameters():
        if (
            not parameter.any()
        ):  # timm initialises residual blocks as the identity, in which only the scale has a gradient
            nn.init.normal_(parameter)
    logits = net(torch.randn(2, channels, *size))
    assert logits.shape == (2, classes, *size)
    logits.square().mean().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.count_nonzero(), name
    net.zero_grad()


def test_the_gradient_equals_a_finite_difference_along_a_random_direction(net):
    """A path without gradient, such as a detached skip, would make them differ."""
    exact = copy.deepcopy(net).double().eval()
    generator = torch.Generator().manual_seed(0)
    image, along = torch.randn(2, 1, 3, 32, 32, generator=generator, dtype=torch.float64)
    weights = torch.randn(exact(image).shape, generator=generator, dtype=torch.float64)

    def score(step):
        return (exact(image + step * along) * weights).sum()

    step = torch.zeros((), dtype=torch.float64, requires_grad=True)
    slope = torch.autograd.grad(score(step), step)[0].item()
    with torch.no_grad():
        assert slope == pytest.approx(((score(1e-6) - score(-1e-6)) / 2e-6).item(), rel=1e-4)


def test_an_odd_size_is_padded_with_the_edge_of_the_image(net):
    net.eval()
    image = torch.randn(1, 3, 39, 50)
    height, width = {CrackSeg: (64, 64), TransUNet: (48, 64)}.get(type(net), (40, 56))
    edged = torch.from_numpy(np.pad(image, ((0, 0), (0, 0), (0, height - 39), (0, width - 50)), mode="edge"))
    with torch.no_grad():
        torch.testing.assert_close(net(image), net(edged)[..., :39, :50])


@pytest.mark.parametrize("make", NETS)
def test_the_scale_of_a_signal_is_kept(make):
    with torch.no_grad():
        assert 0.2 < made(make)(torch.randn(2, 3, 64, 64)).std() < 5


def test_half_precision_is_close_to_single(net):
    torch.manual_seed(3)
    image = torch.randn(2, 3, 40, 56)
    single = net(image)
    with torch.autocast("cpu", torch.bfloat16):
        half = net(image)
    assert half.dtype == torch.bfloat16
    assert (half.float() - single).std() < 0.2 * single.std()
    half.float().square().mean().backward()
    assert all(parameter.grad.isfinite().all() for parameter in net.parameters())


@pytest.mark.parametrize("encoder", ["mobilenet_v2", "efficientnet-b0", "mit_b0", "densenet121", "tu-convnext_atto"])
def test_crack_seg_takes_any_encoder(encoder):
    net = CrackSeg(encoder, in_channels=1, classes=2)
    assert net(torch.randn(2, 1, 33, 64)).shape == (2, 2, 33, 64)
    assert parameters(net.encoder) == parameters(smp.encoders.get_encoder(encoder, in_channels=1))


@pytest.mark.slow
def test_a_compiled_net_gives_the_same_logits(net):
    # compiled for variable sizes, the transformer takes many minutes; the others are recompiled once
    compiled = torch.compile(net.eval(), dynamic=False if isinstance(net, TransUNet) else None)
    with torch.no_grad():
        for size in ((64, 64), (39, 50)):
            image = torch.randn(1, 3, *size)
            torch.testing.assert_close(compiled(image), net(image), rtol=1e-3, atol=1e-4)
