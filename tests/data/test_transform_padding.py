import cv2
import numpy as np
import pytest
from data_cases import pair, write

from cracklab.data.images import IGNORE
from cracklab.data.loader import collate
from cracklab.data.transform import EvalTransform
from cracklab.errors import ConfigError


@pytest.mark.parametrize(("padding", "outside"), [("ignored", IGNORE), ("background", 0)])
def test_an_image_resized_by_its_longer_side_is_padded_in_black(padding, outside):
    transform = EvalTransform(resize=64, resize_side="longer", pad=(64, 80), padding=padding)
    image, mask = transform.prepare(*pair(1, 60, 120))
    assert image.shape == (64, 80, 3)
    assert image[:32, :64].min() > 0
    assert not image[32:].any()
    assert not image[:, 64:].any()
    assert set(np.unique(mask[32:])) == set(np.unique(mask[:32, 64:])) == {outside}
    assert set(np.unique(mask[:32, :64])) == {0, 1}
    assert transform.prepared_size(60, 120) == (32, 64)


def test_a_side_that_is_long_enough_is_not_padded():
    image, mask = EvalTransform(pad=32).prepare(*pair(1, 40, 20))
    assert image.shape == (40, 32, 3)
    assert (mask[:, :20] != IGNORE).all()
    with pytest.raises(ConfigError, match="pad is 0"):
        EvalTransform(pad=0)


def test_ignored_padding_is_not_valid_in_the_batch(tmp_path, make_data):
    for seed in range(6):
        write(tmp_path, f"a{seed}", *pair(seed))
    options = {"root": str(tmp_path), "resize": 64, "resize_side": "longer", "pad": 64, "cache": "none"}
    # photos of 40 x 56 px become 46 x 64 px
    for padding, share in (("ignored", 46 / 64), ("background", 1)):
        data = make_data("folders", padding=padding, **options)
        data.setup("fit")
        batch = collate([data.dataset(data.splits.train)[0, 0]])
        assert batch["image"].shape == (1, 3, 64, 64)
        assert (1 if batch["valid"] is None else batch["valid"].float().mean().item()) == share


def test_bicubic_interpolation_equals_that_of_opencv():
    photo = pair(3, 60, 80)[0]
    smaller = EvalTransform(resize=(20, 30), interpolation="bicubic").prepare(photo, photo[..., 0] // 255)[0]
    np.testing.assert_array_equal(smaller, cv2.resize(photo, (30, 20), interpolation=cv2.INTER_CUBIC))
    assert (smaller != EvalTransform(resize=(20, 30)).prepare(photo, photo[..., 0] // 255)[0]).any()
