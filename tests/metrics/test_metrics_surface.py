import cv2
import numpy as np
import pytest
import torch
from metric_cases import blobs, real_pairs
from monai.metrics import compute_hausdorff_distance
from scipy import ndimage
from scipy.spatial.distance import cdist

from cracklab.errors import ConfigError
from cracklab.metrics import hausdorff95
from cracklab.metrics.image_scores import image_scores
from cracklab.metrics.options import EvaluationOptions
from cracklab.metrics.surface import _percentile95, edge_distances, surface

pytestmark = pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")  # MONAI's own


def monai(pred, target):
    return compute_hausdorff_distance(pred.float(), target.float(), include_background=True, percentile=95)


def brute(pred, target):
    """Distances between all edge pixels, from SciPy's erosion."""
    points = [np.argwhere(m & ~ndimage.binary_erosion(m)) for m in (pred, target)]
    distances = cdist(*points)
    return distances.min(1), distances.min(0)


@pytest.mark.parametrize("sigma", [0.0, 1.0, 2.5, 6.0])  # 0: dense, where a distance transform takes over from the tree
@pytest.mark.parametrize("shape", [(2, 2, 40, 56), (1, 1, 33, 7), (3, 1, 1, 19)])
def test_hd95_is_monais(rng, sigma, shape):
    pred, target = (torch.from_numpy(blobs(rng, shape, sigma, 0.3)) for _ in range(2))
    pred[..., 0, 0], target[..., -1, -1] = True, True  # none empty
    assert hausdorff95(pred, target).shape == shape[:2]
    assert torch.allclose(hausdorff95(pred, target).float(), monai(pred, target), atol=1e-4)


def test_hd95_is_monais_on_real_masks(deepcrack):
    for pred, target in real_pairs(deepcrack, 8):
        assert hausdorff95(pred, target).item() == pytest.approx(monai(pred, target).item(), abs=1e-4)


@pytest.mark.slow
def test_hd95_is_monais_on_all_real_and_500_random_masks(deepcrack, rng):
    for pred, target in real_pairs(deepcrack, 237):
        assert hausdorff95(pred, target).item() == pytest.approx(monai(pred, target).item(), abs=1e-4)
    for _ in range(500):
        shape = tuple(rng.integers(5, 200, 2))
        pred, target = (
            torch.from_numpy(blobs(rng, (1, 1, *shape), rng.uniform(0, 6), rng.uniform(0.01, 0.5))) for _ in range(2)
        )
        pred[..., 0, 0], target[..., -1, -1] = True, True  # none empty
        assert hausdorff95(pred, target).item() == pytest.approx(monai(pred, target).item(), abs=1e-4)


@pytest.mark.parametrize("share", [0.02, 0.5])  # by the tree, and by the distance transform
def test_distances_are_those_of_brute_force(rng, share):
    for _ in range(5):
        pred, target = rng.random((2, 21, 34)) < share
        expected = brute(pred, target)
        for ours, theirs in zip(edge_distances(pred, target), expected, strict=True):
            assert np.allclose(np.sort(ours), np.sort(theirs), atol=1e-4)


def test_the_percentile_is_taken_per_direction():
    pred, target = np.zeros((2, 1, 1, 9, 200), bool)
    target[..., 4, 10:110] = True
    pred[..., 4, 10:110] = True
    pred[..., 4, 160:170] = True  # 10 of 110 predicted edge pixels lie 51 to 60 px off, none of the truth
    value = hausdorff95(torch.from_numpy(pred), torch.from_numpy(target)).item()
    forward = np.r_[np.zeros(100), np.arange(51, 61)]
    assert value == pytest.approx(np.percentile(forward, 95))
    assert value != pytest.approx(np.percentile(np.r_[forward, np.zeros(100)], 95))  # pooled over both directions


def test_hd95_of_more_values_than_torch_takes_is_still_monais(rng, monkeypatch):
    distances = np.arange((1 << 24) + 2, dtype=np.float64)
    assert _percentile95(distances) == pytest.approx(0.95 * (len(distances) - 1), rel=1e-12)
    pair = [torch.from_numpy(blobs(rng, (1, 1, 90, 120))) for _ in range(2)]
    monkeypatch.setattr("cracklab.metrics.surface.TORCH_QUANTILE", 0)
    assert hausdorff95(*pair).item() == pytest.approx(monai(*pair).item(), abs=0.002)


def test_hd95_is_0_if_both_masks_are_empty_and_the_diagonal_if_one_is():
    empty, some = torch.zeros(1, 1, 30, 40, dtype=torch.bool), torch.ones(1, 1, 30, 40, dtype=torch.bool)
    assert hausdorff95(empty, empty).item() == 0
    assert hausdorff95(empty, some).item() == hausdorff95(some, empty).item() == 50  # sqrt(30^2 + 40^2)
    assert hausdorff95(some, empty, empty=7.5).item() == 7.5
    assert hausdorff95(empty, empty, empty=7.5).item() == 0


def test_invalid_pixels_are_ignored(rng):
    pred, target = (torch.from_numpy(blobs(rng, (2, 1, 30, 41), share=0.3)) for _ in range(2))
    valid = torch.zeros(2, 1, 30, 41)
    valid[..., :20, :25] = 1
    cropped = hausdorff95(pred[..., :20, :25], target[..., :20, :25])
    assert torch.equal(hausdorff95(pred, target, valid=valid), cropped)
    assert torch.equal(hausdorff95(pred | (valid == 0), target, valid=valid), cropped)
    assert not torch.equal(hausdorff95(pred, target), cropped)


@pytest.mark.parametrize("share", [0.01, 0.3])
def test_hd95_is_symmetric_0_for_equal_masks_and_unchanged_by_padding_and_transposing(rng, share):
    pred, target = (torch.from_numpy(rng.random((3, 1, 24, 31)) < share) for _ in range(2))
    pred[..., 3, 3], target[..., 20, 20] = True, True
    value = hausdorff95(pred, target)
    assert torch.equal(hausdorff95(target, pred), value)
    assert torch.equal(hausdorff95(target, target), torch.zeros(3, 1, dtype=torch.float64))
    pad = (3, 8, 11, 2)
    padded = [torch.nn.functional.pad(m, pad) for m in (pred, target)]
    assert torch.allclose(hausdorff95(*padded), value, atol=1e-4)
    assert torch.allclose(hausdorff95(pred.mT, target.mT), value, atol=1e-4)


def test_hd95_of_views_that_are_not_contiguous():
    mask = np.zeros((20, 30), np.uint8)
    cv2.line(mask, (2, 3), (28, 15), 1, 3)
    whole = torch.from_numpy(mask.astype(bool))[None, None]
    assert hausdorff95(whole[..., ::2, ::3], whole[..., 1::2, ::3]).item() == pytest.approx(
        monai(whole[..., ::2, ::3], whole[..., 1::2, ::3]).item()
    )


@pytest.mark.parametrize(
    ("pred", "target", "options", "message"),
    [
        (
            torch.rand(1, 1, 4, 4),
            torch.ones(1, 1, 4, 4, dtype=torch.bool),
            {},
            r"pred is torch.float32 .* probability > 0.5",
        ),
        (
            torch.ones(4, 4, dtype=torch.bool),
            torch.ones(4, 4, dtype=torch.bool),
            {},
            r"\(4, 4\): expected bool \(B, C, H, W\)",
        ),
        (*torch.ones(2, 1, 1, 4, 4, dtype=torch.bool), {"empty": -1.0}, "empty is -1.0"),
        (*torch.ones(2, 1, 1, 4, 4, dtype=torch.bool), {"empty": "nan"}, "empty is 'nan'"),
        (*torch.ones(2, 1, 1, 4, 4, dtype=torch.bool), {"valid": torch.ones(1, 4, 4)}, "valid is"),
        (torch.ones(1, 1, 4, 4).bool(), torch.ones(1, 1, 4, 5).bool(), {}, "same shape"),
    ],
)
def test_errors_name_value_and_expectation(pred, target, options, message):
    with pytest.raises(ConfigError, match=message):
        hausdorff95(pred, target, **options)


def test_edge_pixels_are_counted_by_distance():
    """Two lines of 10 px, 3 rows apart; and one line against an empty mask."""
    pred, target = (np.zeros((20, 20), bool) for _ in range(2))
    pred[5, :10], target[8, :10] = True, True
    found = {name: number for name, number in surface(pred, target, 2.0).items() if number and name.startswith("n_")}
    assert found == {"n_pred_off_4": 10, "n_true_off_4": 10}
    missed = image_scores(np.zeros_like(pred), target, EvaluationOptions(groups=["surface"]))
    assert {name: number for name, number in missed.items() if name.startswith("n_") and number} == {
        "n_true_off_more": 10
    }
