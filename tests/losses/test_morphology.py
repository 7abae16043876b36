"""Soft erosion, dilation and skeletons against SciPy and max-pooling."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch.nn import functional as F

from cracklab.losses.morphology import dilate, erode, soft_skeleton
from cracklab.losses.topology import iterations_for

CROSS = ndimage.generate_binary_structure(2, 1)


def test_erosion_and_dilation_equal_scipys():
    x = torch.rand(2, 2, 9, 7, dtype=torch.float64)
    smaller = ndimage.grey_erosion(x.numpy(), footprint=CROSS[None, None], mode="constant", cval=np.inf)
    larger = ndimage.grey_dilation(x.numpy(), footprint=np.ones((1, 1, 3, 3)), mode="constant", cval=-np.inf)
    np.testing.assert_array_equal(erode(x).numpy(), smaller)
    np.testing.assert_array_equal(dilate(x).numpy(), larger)


def test_gradients_equal_those_of_max_pooling():
    x = torch.rand(2, 1, 9, 7, dtype=torch.float64, requires_grad=True)
    weight = torch.rand(2, 1, 9, 7, dtype=torch.float64)
    pooled = -torch.maximum(F.max_pool2d(-x, (3, 1), 1, (1, 0)), F.max_pool2d(-x, (1, 3), 1, (0, 1)))
    for ours, theirs in ((erode(x), pooled), (dilate(x), F.max_pool2d(x, 3, 1, 1))):
        gradients = [torch.autograd.grad((y * weight).sum(), x)[0] for y in (ours, theirs)]
        torch.testing.assert_close(*gradients)


def test_ignored_pixels_neither_erode_nor_dilate():
    x = torch.full((1, 1, 5, 5), 0.5)
    x[..., 2, 2] = 0.0
    valid = torch.ones(1, 1, 5, 5)
    valid[..., 2, 2] = 0
    assert erode(x, valid)[valid > 0].eq(0.5).all()
    x[..., 2, 2] = 1.0
    assert dilate(x, valid)[valid > 0].eq(0.5).all()


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 8, 9, 15])
def test_half_the_width_is_enough_iterations_for_a_skeleton_and_fewer_are_not(width):
    """A crack needs (width - 1) / 2 iterations, rounded down; `auto` takes at least as many."""
    mask = torch.zeros(1, 1, 40, 40)
    mask[..., 5:35, 20 : 20 + width] = 1
    needed = (width - 1) // 2
    middle = (..., slice(20, 21), slice(None))
    assert soft_skeleton(mask, needed)[middle].sum() >= 1
    if needed:
        assert soft_skeleton(mask, needed - 1)[middle].sum() == 0
    assert iterations_for(SimpleNamespace(crack_share=0.03, width_px_p95=float(width))) >= needed
