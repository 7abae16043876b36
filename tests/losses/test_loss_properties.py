"""Properties of every registered loss; a new loss is covered as soon as it is registered."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from loss_cases import batch, make, tensors
from loss_maps import reference_maps

from cracklab.losses import LOSSES

EVERY = pytest.mark.parametrize("name", LOSSES)


def extreme_masks(classes, size=16):
    """Return masks whose last class is empty, full, one pixel wide, one pixel, and random."""
    rng = np.random.default_rng(0)
    index = np.zeros((5, size, size), int)
    last = max(classes - 1, 1)
    index[1] = last
    index[2, :, size // 2] = last
    index[3, 3, 5] = last
    index[4] = rng.integers(0, last + 1, (size, size))
    return np.stack([index == c for c in range(classes)], 1) if classes > 1 else index[:, None] > 0


def extreme_logits(shape):
    """Return logits of 0, +-30 and +-1e4, confident ones of random sign, and moderate ones."""
    random = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return [
        0 * random,
        *(s + 0 * random for s in (30, -30, 1e4, -1e4)),
        30 * random.sign(),
        1e4 * random.sign(),
        random,
    ]


@EVERY
@pytest.mark.parametrize("classes", [1, 3])
def test_value_and_gradient_are_finite(name, classes):
    mask = extreme_masks(classes)
    _, y, maps, _ = tensors(mask, mask, reference_maps(mask), None)
    loss = make(name)
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        for logits in extreme_logits(mask.shape):
            z = logits.to(dtype).requires_grad_()
            value = loss(z, y, maps)
            value.backward()
            assert value.ndim == 0
            assert value.isfinite(), (dtype, logits.flatten()[:3])
            assert z.grad.isfinite().all(), (dtype, logits.flatten()[:3])


@EVERY
@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("ignore", [False, True], ids=["whole", "ignore"])
def test_the_loss_of_a_batch_is_the_mean_over_its_images(name, classes, ignore):
    z, y, maps, valid = tensors(*batch(classes, ignore=ignore, images=4))
    loss = make(name).double()
    alone = [
        loss(
            z[i : i + 1],
            y[i : i + 1],
            {k: m[i : i + 1] for k, m in maps.items()},
            None if valid is None else valid[i : i + 1],
        )
        for i in range(4)
    ]
    assert loss(z, y, maps, valid).item() == pytest.approx(sum(alone).item() / 4, rel=1e-9)


@EVERY
@pytest.mark.parametrize("classes", [1, 3])
def test_ignored_pixels_change_neither_value_nor_gradient(name, classes):
    z, y, maps, valid = batch(classes, ignore=True)
    valid[-1] = 0  # an image without a valid pixel does not count
    outside = valid == 0
    maps = reference_maps(y, valid)
    loss = make(name).double()
    expected = loss(*tensors(z[:-1], y[:-1], {k: m[:-1] for k, m in maps.items()}, valid[:-1]))
    rng = np.random.default_rng(1)
    other_z = np.where(outside, rng.choice([np.nan, np.inf, -1e4, 3.0], z.shape), z)
    other_y = np.where(outside, rng.integers(0, 2, y.shape), y)
    other_maps = {k: np.where(outside, rng.uniform(0, 50, m.shape), m) for k, m in maps.items()}
    logits, *rest = tensors(other_z, other_y, other_maps, valid)
    value = loss(logits.requires_grad_(), *rest)
    assert value.item() == pytest.approx(expected.item(), rel=1e-9)
    value.backward()
    assert logits.grad[torch.as_tensor(outside).expand_as(logits)].eq(0).all()
    nothing = loss(*tensors(z, y, maps, np.zeros_like(valid)))
    assert nothing.isfinite()


@EVERY
@pytest.mark.parametrize("classes", [1, 3])
def test_valid_everywhere_equals_no_valid(name, classes):
    z, y, maps, _ = tensors(*batch(classes))
    loss = make(name).double()
    assert loss(z, y, maps, torch.ones_like(z[:, :1])).item() == pytest.approx(loss(z, y, maps).item(), rel=1e-12)


@EVERY
def test_order_of_classes_does_not_matter(name):
    z, y, maps, valid = tensors(*batch(4, ignore=True))
    order = [0, 3, 1, 2] if name == "unified_focal" else [2, 0, 3, 1]  # there channel 0 is the background
    loss = make(name).double()
    permuted = loss(z[:, order], y[:, order], {k: m[:, order] for k, m in maps.items()}, valid)
    assert permuted.item() == pytest.approx(loss(z, y, maps, valid).item(), rel=1e-9)


@EVERY
def test_half_precision_loses_only_the_rounding_of_the_logits(name):
    z, y, maps, valid = tensors(*batch(1, ignore=True))
    loss = make(name)
    for dtype in (torch.float16, torch.bfloat16):
        rounded = z.to(dtype)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            value = loss(rounded, y, maps, valid)
        assert value.dtype == torch.float32
        assert value.item() == pytest.approx(loss(rounded.double(), y, maps, valid).item(), rel=1e-5)


MASKS = st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda shape: hnp.arrays(np.int64, shape, elements=st.integers(0, 2))
)


@EVERY
@settings(max_examples=10, deadline=None)
@given(
    index=MASKS, several=st.booleans(), scale=st.sampled_from([0.1, 3.0, 1e3]), seed=st.integers(0, 9), data=st.data()
)
def test_any_batch_has_a_finite_loss_that_order_and_mirroring_do_not_change(name, index, several, scale, seed, data):
    mask = np.stack([index == c for c in range(3)], 1) if several else index[:, None] > 0
    rng = np.random.default_rng(seed)
    z = rng.normal(0, scale, mask.shape)
    valid = data.draw(st.none() | hnp.arrays(bool, (len(index), 1, *index.shape[1:])))
    mask = mask if valid is None else mask & valid
    inputs = tensors(z, mask, reference_maps(mask, valid), valid)
    loss = make(name).double()
    logits = inputs[0].requires_grad_()
    value = loss(*inputs)
    value.backward()
    assert value.isfinite()
    assert logits.grad.isfinite().all()

    def moved(change):
        return tuple(
            {k: change(m) for k, m in x.items()} if isinstance(x, dict) else x if x is None else change(x)
            for x in inputs
        )

    assert loss(*moved(lambda x: x.flip(0))).item() == pytest.approx(value.item(), rel=1e-6, abs=1e-9)
    if name != "active_boundary":  # it compares a pixel with its neighbours below and to the right
        assert loss(*moved(lambda x: x.flip(-1))).item() == pytest.approx(value.item(), rel=1e-6, abs=1e-9)
        assert loss(*moved(lambda x: x.mT)).item() == pytest.approx(value.item(), rel=1e-6, abs=1e-9)
