import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cracklab.data.augment import POLICIES
from cracklab.data.dataset import CrackDataset, random_window
from cracklab.data.loader import collate
from cracklab.data.maps import compute_maps
from cracklab.data.transform import EvalTransform


def pairs(number=6, height=40, width=56):
    rng = np.random.default_rng(0)
    return [
        (rng.integers(0, 256, (height, width, 3), dtype=np.uint8), (rng.random((height, width)) < 0.1).astype(np.uint8))
        for _ in range(number)
    ]


def dataset(content, policy="flips", **options):
    ids = [f"photo{i}" for i in range(len(content))]
    policy = policy and POLICIES[policy]()
    options = {"positions": range(len(content)), "transform": EvalTransform(), **options}
    return CrackDataset(content, ids, policy=policy, **options)


def same(a, b):
    assert a["id"] == b["id"]
    assert a["size"] == b["size"]
    assert a["maps"].keys() == b["maps"].keys()
    for x, y in [(a[k], b[k]) for k in ("image", "mask", "valid")] + [(a["maps"][k], b["maps"][k]) for k in a["maps"]]:
        assert x.dtype == y.dtype
        assert torch.equal(x, y)


def test_a_sample_depends_on_seed_epoch_and_index_only():
    content = pairs()
    options = {"crop": 32, "maps": ["signed_distance", "tips"], "seed": 4}
    forwards = {key: dataset(content, **options)[key] for key in [(0, 1), (0, 2), (1, 1)]}
    other = dataset(content, **options)
    for key in [(5, 0), (1, 1), (0, 2), (0, 1)]:
        if key in forwards:
            same(other[key], forwards[key])
    assert not torch.equal(forwards[0, 1]["image"], forwards[1, 1]["image"])
    assert not torch.equal(forwards[0, 1]["image"], dataset(content, crop=32, seed=5)[0, 1]["image"])
    same(other[3], other[0, 3])


def test_a_repeated_image_is_augmented_differently_each_time():
    data = dataset(pairs(), positions=[2, 2])
    assert len(data) == 2
    assert data[0, 0]["id"] == data[0, 1]["id"] == "photo2"
    assert any(not torch.equal(data[e, 0]["image"], data[e, 1]["image"]) for e in range(3))


def test_evaluation_neither_crops_nor_augments():
    content = pairs()
    sample = dataset(content, policy=None, crop=8)[0, 3]
    np.testing.assert_array_equal(sample["image"].permute(1, 2, 0), content[3][0])
    np.testing.assert_array_equal(sample["mask"][0], content[3][1])
    assert sample["valid"].all()
    assert (sample["size"], sample["maps"]) == ((40, 56), {})


def test_a_sample_has_the_documented_shapes_and_types():
    sample = dataset(pairs(), transform=EvalTransform(channels=1), maps=["distance"])[0, 0]
    assert (sample["image"].shape[0], sample["image"].dtype) == (1, torch.uint8)
    assert (sample["mask"].shape[0], sample["mask"].dtype) == (1, torch.uint8)
    assert (sample["valid"].shape[0], sample["valid"].dtype) == (1, torch.bool)
    assert (sample["maps"]["distance"].shape, sample["maps"]["distance"].dtype) == (
        sample["mask"].shape,
        torch.float32,
    )


@pytest.mark.parametrize("policy", ["flips", "strong"])
def test_maps_are_computed_from_the_augmented_mask(policy):
    sample = dataset(pairs(), policy, crop=32, maps=["distance", "skeleton"], map_options={"radius": 1})[3, 2]
    expected = compute_maps(sample["mask"][0].numpy(), ["distance", "skeleton"], options={"radius": 1})
    for name, values in expected.items():
        np.testing.assert_array_equal(sample["maps"][name], values)


def test_ignored_pixels_are_not_valid_and_do_not_enter_maps():
    content = pairs(1)
    content[0][1][:, :30] = 255
    sample = dataset(content, policy=None, maps=["distance"])[0]
    np.testing.assert_array_equal(sample["valid"][0], content[0][1] != 255)
    assert sample["mask"].max() == 1
    expected = compute_maps(content[0][1] == 1, ["distance"], content[0][1] != 255)["distance"]
    np.testing.assert_array_equal(sample["maps"]["distance"], expected)


def test_each_class_has_its_own_map():
    mask = np.random.default_rng(0).integers(0, 4, (20, 24)).astype(np.uint8)
    sample = dataset([(np.zeros((20, 24, 3), np.uint8), mask)], None, num_classes=4, maps=["signed_distance"])[0]
    assert sample["mask"].max() == 3
    for index in range(4):
        expected = compute_maps(mask == index, ["signed_distance"])["signed_distance"][0]
        np.testing.assert_array_equal(sample["maps"]["signed_distance"][index], expected)


@given(height=st.integers(1, 50), width=st.integers(1, 50), side=st.integers(1, 50), seed=st.integers(0, 999))
@settings(deadline=None)
def test_random_windows_are_inside_the_image(height, width, side, seed):
    rng = np.random.default_rng(seed)
    mask = (rng.random((height, width)) < 0.05).astype(np.uint8)
    rows, columns = random_window(mask, side, 0.5, rng)
    assert mask[rows, columns].shape == (min(side, height), min(side, width))
    assert min(rows.start, columns.start) >= 0


def test_random_windows_contain_cracks_at_the_given_rate_but_not_always():
    mask = np.zeros((200, 200), np.uint8)
    mask[100, 100] = 1

    def rate(crack_rate):
        rng = np.random.default_rng(0)
        return np.mean([mask[random_window(mask, 20, crack_rate, rng)].any() for _ in range(400)])

    by_chance = 20 * 20 / 181**2  # of 181 x 181 positions of the window, 20 x 20 contain the pixel
    assert rate(0) == pytest.approx(by_chance, abs=0.02)
    assert rate(0.6) == pytest.approx(0.6 + 0.4 * by_chance, abs=0.06)
    assert rate(1) == 1


def test_the_crack_pixel_is_uniformly_distributed_in_windows_around_cracks():
    mask = np.zeros((200, 200), np.uint8)
    mask[100, 60] = 1
    rng = np.random.default_rng(0)
    windows = [random_window(mask, 20, 1, rng) for _ in range(2000)]
    offsets = np.array([(100 - rows.start, 60 - columns.start) for rows, columns in windows])
    assert offsets.min() == 0
    assert offsets.max() == 19
    counts = np.stack([np.bincount(offsets[:, axis], minlength=20) for axis in (0, 1)])
    assert counts.min() > 60  # 2000 windows over 20 offsets: 100 expected
    assert counts.max() < 150


# -- batches --------------------------------------------------------------------------------------------------------


def test_a_batch_of_one_size_is_not_padded():
    data = dataset(pairs(3, 32, 64), policy=None, maps=["distance"])
    batch = collate([data[i] for i in range(3)])
    assert batch["image"].shape == (3, 3, 32, 64)
    assert batch["valid"] is None
    assert batch["size"].tolist() == [[32, 64]] * 3
    assert torch.equal(batch["maps"]["distance"][1], data[1]["maps"]["distance"])


def test_a_batch_of_several_sizes_is_padded_at_the_bottom_and_the_right():
    samples = [dataset(pairs(1, h, w), None, maps=["distance"])[0] for h, w in ((20, 70), (33, 40))]
    batch = collate(samples)
    assert batch["image"].shape == (2, 3, 64, 96)  # the next multiples of 32 of 33 and 70
    assert batch["size"].tolist() == [[20, 70], [33, 40]]
    for i, (height, width) in enumerate(batch["size"].tolist()):
        inside = torch.zeros(64, 96, dtype=torch.bool)
        inside[:height, :width] = True
        assert torch.equal(batch["valid"][i, 0], inside)
        assert torch.equal(batch["mask"][i][:, :height, :width], samples[i]["mask"])
        assert not batch["mask"][i][:, ~inside].any()
        assert torch.equal(batch["maps"]["distance"][i][:, :height, :width], samples[i]["maps"]["distance"])
        assert not batch["maps"]["distance"][i][:, ~inside].any()
    image = samples[0]["image"].numpy()
    expected = np.pad(image, ((0, 0), (0, 44), (0, 26)), mode="reflect")
    np.testing.assert_array_equal(batch["image"][0], expected)
