import numpy as np
import pytest
import torch
from metric_cases import blobs, real_pairs
from scipy import ndimage

from cracklab.errors import ConfigError
from cracklab.metrics import boundary_iou
from cracklab.metrics.boundary import image_boundary_iou


def reference(pred, target, width=None):
    """Boundary IoU by SciPy: pad by one pixel of background, erode by the square, take the removed pixels."""
    if width is None:
        width = max(1, round(0.02 * np.sqrt(pred.shape[0] ** 2 + pred.shape[1] ** 2)))
    bands = []
    for mask in (pred, target):
        inner = ndimage.binary_erosion(np.pad(mask, 1), np.ones((3, 3)), iterations=width, border_value=1)
        bands.append(mask & ~inner[1:-1, 1:-1])
    union = np.sum(bands[0] | bands[1])
    return np.sum(bands[0] & bands[1]) / union if union else 1.0


@pytest.mark.parametrize("width", [None, 1, 2, 5, 40])
@pytest.mark.parametrize("shape", [(2, 2, 60, 91), (1, 1, 7, 120), (3, 1, 1, 19)])
def test_boundary_iou_is_the_references(rng, width, shape):
    pred, target = blobs(rng, shape, 3, 0.4), blobs(rng, shape, 3, 0.4)
    ours = boundary_iou(torch.from_numpy(pred), torch.from_numpy(target), width_px=width)
    theirs = [[reference(p, t, width) for p, t in zip(*pair, strict=True)] for pair in zip(pred, target, strict=True)]
    assert ours.tolist() == theirs


def test_boundary_iou_is_the_references_on_real_masks(deepcrack):
    for pred, target in real_pairs(deepcrack, 6):
        for width in (None, 2):
            assert boundary_iou(pred, target, width_px=width).item() == reference(
                pred[0, 0].numpy(), target[0, 0].numpy(), width
            )


@pytest.mark.parametrize(("shape", "width"), [((512, 512), 14), ((384, 544), 13), ((10, 10), 1), ((96, 96), 3)])
def test_the_default_width_is_two_percent_of_the_diagonal(shape, width):
    pred, target = torch.zeros(2, 1, 1, *shape, dtype=torch.bool)
    pred[:], target[..., : shape[1] // 2] = True, True
    value = boundary_iou(pred, target)
    assert value == boundary_iou(pred, target, width_px=width)
    assert value != boundary_iou(pred, target, width_px=width + 1)


def test_the_band_of_a_square_in_closed_form():
    pred = torch.zeros(1, 1, 20, 20, dtype=torch.bool)
    pred[..., 2:12, 2:12] = True
    assert image_boundary_iou(pred[0, 0].numpy(), pred[0, 0].numpy(), 2) == (1.0, 0.64)  # 10 x 10 less 6 x 6
    full = torch.ones(1, 1, 20, 20, dtype=torch.bool)
    # the square begins at 2, 2: bands of 2 px do not meet, bands of 3 (84 and 204 px) share an L of 10 + 9 px
    assert boundary_iou(pred, full, width_px=2).item() == 0
    assert boundary_iou(pred, full, width_px=3).item() == pytest.approx(19 / (84 + 204 - 19))


def test_boundary_iou_of_thin_masks_is_plain_iou(rng):
    pred, target = rng.random((2, 1, 1, 30, 30)) < 0.1
    iou = (pred & target).sum() / (pred | target).sum()
    assert boundary_iou(torch.from_numpy(pred), torch.from_numpy(target), width_px=3).item() == iou
    assert image_boundary_iou(pred[0, 0], target[0, 0], 3)[1] == 1


def test_boundary_iou_is_1_if_both_masks_are_empty_and_0_if_one_is():
    empty, some = torch.zeros(1, 1, 9, 9, dtype=torch.bool), torch.ones(1, 1, 9, 9, dtype=torch.bool)
    assert boundary_iou(empty, empty).item() == 1
    assert boundary_iou(empty, some).item() == boundary_iou(some, empty).item() == 0


def test_invalid_pixels_are_ignored(rng):
    pred, target = (torch.from_numpy(blobs(rng, (2, 1, 30, 41), 2, 0.4)) for _ in range(2))
    valid = torch.zeros(2, 1, 30, 41)
    valid[..., :20, :25] = 1
    cropped = boundary_iou(pred[..., :20, :25], target[..., :20, :25], width_px=2)
    assert torch.equal(boundary_iou(pred, target | (valid == 0), valid=valid, width_px=2), cropped)


def test_boundary_iou_is_symmetric_and_1_for_equal_masks(rng):
    pred, target = (torch.from_numpy(blobs(rng, (3, 1, 30, 41), 2, 0.4)) for _ in range(2))
    assert torch.equal(boundary_iou(pred, target), boundary_iou(target, pred))
    assert torch.equal(boundary_iou(pred, pred), torch.ones(3, 1, dtype=torch.float64))


def test_width_below_one_pixel_is_refused():
    mask = torch.ones(1, 1, 4, 4, dtype=torch.bool)
    with pytest.raises(ConfigError, match="width_px is 0: expected 1 or more"):
        boundary_iou(mask, mask, width_px=0)
