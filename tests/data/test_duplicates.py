import cv2
import numpy as np
import pytest

from cracklab.data.duplicates import near_duplicates, thumbnail
from cracklab.data.groups import with_groups
from cracklab.data.images import read_image
from cracklab.data.samples import Record
from cracklab.synthetic.draw import draw


@pytest.fixture(scope="module")
def walls():
    return [draw(seed, (128, 160))[0] for seed in range(12)]


COPIES = {
    "exact": lambda image: image,
    "half the size": lambda image: cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "saved at low quality": lambda image: cv2.imdecode(
        cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 30])[1], 1
    ),
    "darker": lambda image: (image * 0.8).astype(np.uint8),
    "noisy": lambda image: np.clip(image + np.random.default_rng(0).normal(0, 8, image.shape), 0, 255).astype(np.uint8),
    "mirrored": lambda image: image[:, ::-1],
    "turned": lambda image: np.rot90(image),
    "turned and mirrored": lambda image: np.rot90(image)[::-1],
}


@pytest.mark.parametrize("kind", COPIES)
def test_a_changed_copy_is_the_only_duplicate(walls, kind):
    copy = COPIES[kind](walls[4])
    found = near_duplicates([thumbnail(np.ascontiguousarray(image)) for image in (*walls, copy)])
    assert found == [(4, 12)]


def test_uniform_images_have_no_duplicates():
    assert near_duplicates([np.full((32, 32), level, np.uint8) for level in (0, 0, 200)]) == []
    assert near_duplicates([]) == []


def test_the_block_size_does_not_change_the_result(walls, monkeypatch):
    small = [thumbnail(image) for image in (*walls, walls[2], walls[9])]
    monkeypatch.setattr("cracklab.data.duplicates.BLOCK", 3)
    assert near_duplicates(small) == [(2, 12), (9, 13)]


def test_auto_groups_duplicates_as_one_photo_but_other_rules_do_not():
    records = [Record(f"{stem}.jpg", "m") for stem in ("a-1", "a-2", "b-1", "b-2", *"cdefghij")]
    joined = with_groups(records, "auto", duplicates=[(1, 2), (3, 4)])
    assert [record.group for record in joined] == [*"aaaaa", *"defghij"]
    assert [record.group for record in with_groups(records, "(.)", duplicates=[(1, 2)])] == list("aabbcdefghij")


def test_deepcrack_holds_one_photo_twice_under_two_names(deepcrack):
    paths = [*sorted((deepcrack / "train_img").iterdir()), *sorted((deepcrack / "test_img").iterdir())]
    found = near_duplicates([thumbnail(read_image(str(path))) for path in paths])
    assert [(paths[i].name, paths[j].name) for i, j in found] == [("11158.jpg", "11216.jpg")]
