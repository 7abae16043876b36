"""A net for prediction: normalisations folded into the convolutions before them."""

import copy
from typing import Any

import torch
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

LARGEST_DIFFERENCE = 1e-3
"""Largest difference in logits that rounding explains; a folded net that differs more is not used."""


@torch.inference_mode()
def fold_normalisation(net: nn.Module, example: Tensor) -> nn.Module:
    """Return a copy of a net in evaluation mode in which each batch normalisation that follows a convolution is part of it.

    With its kept mean m and variance v, batch normalisation is one scale and one shift of each channel, so that
    gamma (w * x + b - m) / sqrt(v + eps) + beta is a convolution by w gamma / sqrt(v + eps). Which convolution is followed by which
    normalisation is seen in one pass over an example. The net itself is returned if there is nothing to fold, if it cannot be folded,
    or if the logits of the copy differ, as where the result of a convolution goes to two places.

    Args:
        net: in evaluation mode; gives logits for images.
        example: images (B, C, H, W).

    Example:
        >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU()).eval()
        >>> fold_normalisation(net, torch.rand(1, 1, 8, 8))
        Sequential(
          (0): Conv2d(1, 2, kernel_size=(3, 3), stride=(1, 1))
          (1): Identity()
          (2): ReLU()
        )
    """
    try:
        return _folded(net, example)
    except (
        Exception
    ):  # of nets that cannot be copied, compute their weights, or take other images: all predict as they are
        return net


def _folded(net: nn.Module, example: Tensor) -> nn.Module:
    expected, pairs = _pairs(net, example)
    if not pairs or not isinstance(expected, Tensor):
        return net
    folded = copy.deepcopy(net)
    for conv, norm in pairs:
        before, after = folded.get_submodule(conv), folded.get_submodule(norm)
        assert isinstance(before, nn.Conv2d)
        assert isinstance(after, nn.BatchNorm2d)
        folded.set_submodule(conv, fuse_conv_bn_eval(before, after))
        rest = nn.Sequential(after.drop, after.act) if isinstance(after, BatchNormAct2d) else nn.Identity()
        folded.set_submodule(norm, rest)
    return folded if (folded(example) - expected).abs().max() <= LARGEST_DIFFERENCE else net


def _pairs(net: nn.Module, example: Tensor) -> tuple[Any, list[tuple[str, str]]]:
    """Return the output of a net for an example, and the names of each convolution and the normalisation that follows it.

    Modules that are called several times, or that have several names, are left out.
    """
    made: dict[
        int, tuple[str, Tensor]
    ] = {}  # the address of a result -> its convolution; kept, so that no address is used again
    found, calls = [], dict[str, int]()

    def of_convolution(name: str, result: Tensor) -> None:
        calls[name] = calls.get(name, 0) + 1
        made[id(result)] = name, result

    def of_normalisation(name: str, image: Tensor) -> None:
        calls[name] = calls.get(name, 0) + 1
        if id(image) in made:
            found.append((made[id(image)][0], name))

    names: dict[nn.Module, list[str]] = {}
    for name, module in net.named_modules(remove_duplicate=False):
        names.setdefault(module, []).append(name)
    hooks = []
    for module, (name, *others) in names.items():
        if isinstance(module, nn.Conv2d) and not others:
            hooks.append(module.register_forward_hook(lambda _, images, result, n=name: of_convolution(n, result)))
        elif type(module) in (nn.BatchNorm2d, BatchNormAct2d) and module.running_mean is not None and not others:
            hooks.append(module.register_forward_hook(lambda _, images, result, n=name: of_normalisation(n, images[0])))
    try:
        result = net(example)
    finally:
        for hook in hooks:
            hook.remove()
    return result, [pair for pair in found if calls[pair[0]] == calls[pair[1]] == 1]
