"""Distances to predicted outlines, by OpenCV and by the transform for GPUs, against SciPy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from loss_space_oracles import outline_distance as oracle

from cracklab.losses import outline_distance as module
from cracklab.losses.outline_distance import distance_torch, outline_distance


@pytest.fixture(params=["opencv", "torch"])
def transformed(request, monkeypatch):
    """Yield `outline_distance` with each of its two transforms."""
    if request.param == "torch":
        monkeypatch.setattr(module, "_distance_opencv", distance_torch)
    return outline_distance


@pytest.mark.parametrize("share", [0.5, 0.02, 0.0005, 0.0, 1.0])
def test_distances_equal_scipys(transformed, share):
    rng = np.random.default_rng(0)
    inside = rng.random((2, 2, 61, 97)) < share
    valid = rng.random((2, 1, 61, 97)) < 0.8
    valid[1] = False
    for mask in (None, valid):
        found = transformed(torch.from_numpy(inside), None if mask is None else torch.from_numpy(mask))
        assert found.dtype == torch.float32
        for b, c in np.ndindex(2, 2):
            ok = np.ones((61, 97), bool) if mask is None else mask[b, 0]
            inner = inside[b, c]
            expected = oracle(inner & ok, ok)
            np.testing.assert_allclose(found[b, c].numpy()[ok], expected[ok], atol=1e-3)


def test_the_number_of_chunks_does_not_change_the_distances(monkeypatch):
    where = torch.rand(3, 1, 40, 30) < 0.02
    whole = distance_torch(where)
    monkeypatch.setattr(module, "CHUNK", 30 * 30 * 7)
    assert torch.equal(distance_torch(where), whole)


@settings(deadline=None)
@given(hnp.arrays(bool, st.tuples(st.just(1), st.just(1), st.integers(1, 12), st.integers(1, 12))))
def test_both_transforms_agree_on_any_mask(where):
    tensor = torch.from_numpy(where)
    torch.testing.assert_close(distance_torch(tensor), module._distance_opencv(tensor), rtol=0, atol=1e-3)
