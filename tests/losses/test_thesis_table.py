"""Table 3.1 of the thesis: a polygon, an enclosing and a crossing rectangle as predictions of an ellipse."""

import numpy as np
import pytest
import torch
from loss_maps import reference_maps

from cracklab.losses import build_loss

PRINTED = {
    "bce": (0.565, 0.619, 0.597),
    "iou": (0.037, 0.214, 0.166),
    "dice": (0.019, 0.120, 0.091),
    "distance_transform": (0.056, 0.296, 0.238),
}
SIZE, HALF_WIDTH, HALF_HEIGHT = 256, 94.0, 75.0


@pytest.fixture(scope="module")
def shapes():
    """Return the ellipse, about a third of the image, and its three predictions."""
    rows, columns = np.indices((SIZE, SIZE)) - (SIZE - 1) / 2
    u, v = columns / HALF_WIDTH, rows / HALF_HEIGHT
    sides = np.arange(13) * 2 * np.pi / 13
    polygon = np.all([u * np.cos(t) + v * np.sin(t) <= np.cos(np.pi / 13) for t in sides], 0)
    enclosing, crossing = (np.maximum(abs(u), abs(v)) <= scale for scale in (1, 0.885))
    return u**2 + v**2 <= 1, (polygon, enclosing, crossing)


@pytest.fixture(scope="module")
def table(shapes):
    ellipse, predictions = shapes
    mask = ellipse[None, None].astype(float)
    maps = {name: torch.as_tensor(m) for name, m in reference_maps(mask).items()}
    mask = torch.as_tensor(mask)
    losses = {name: build_loss(name) for name in ("bce", "iou", "dice")}
    losses["distance_transform"] = build_loss("distance_transform", inner="published", threshold=0.95)

    def value(name, prediction):
        z = torch.as_tensor(prediction[None, None].astype(float))
        # its figures for cross entropy only fit the 0 / 1 prediction as logits; the other losses took probabilities
        return losses[name](z if name == "bce" else 200 * z - 100, mask, maps).item()

    return {name: [value(name, prediction) for prediction in predictions] for name in losses}


def test_rows_and_columns_rank_as_printed(table):
    for name, (polygon, enclosing, crossing) in table.items():
        assert polygon < crossing < enclosing, name
    for k in range(3):
        assert table["dice"][k] < table["iou"][k] < table["distance_transform"][k] < table["bce"][k]


@pytest.mark.parametrize("name", PRINTED)
def test_values_are_within_a_hundredth_of_the_printed(table, name):
    """The thesis gives no sizes; the shapes here have its IoU, and the other rows follow."""
    assert table[name] == pytest.approx(PRINTED[name], abs=0.01)


def test_the_full_weight_ranks_the_predictions_alike(shapes):
    ellipse, predictions = shapes
    mask = torch.as_tensor(ellipse[None, None].astype(float))
    maps = {name: torch.as_tensor(m) for name, m in reference_maps(mask.numpy()).items()}
    loss = build_loss("distance_transform")
    polygon, enclosing, crossing = (
        loss(torch.as_tensor(200.0 * p[None, None] - 100), mask, maps).item() for p in predictions
    )
    assert polygon < crossing < enclosing
