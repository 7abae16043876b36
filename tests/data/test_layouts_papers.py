"""Layouts that protocols of papers need: a collection with exclusions, tiles of photos, validation images as test images."""

from collections import Counter
from dataclasses import replace

import cv2
import numpy as np
import pytest
from data_cases import pair

from cracklab.data.images import IGNORE
from cracklab.data.layouts import LAYOUTS
from cracklab.errors import ConfigError, DataError

NAMES = {
    "CRACK500_20160405_171336_641_361": ("CRACK500", "CRACK500_20160405_171336"),
    "CRACK500_20160405_171336_1_361": ("CRACK500", "CRACK500_20160405_171336"),
    "GAPS384_train_0552_1_641": ("GAPS384", "GAPS384_train_0552"),
    "GAPS384_train_0552_541_1": ("GAPS384", "GAPS384_train_0552"),
    "Rissbilder_for_Florian_9S6A2869_37_1430_3692_3865": ("Rissbilder_for_Florian", "Rissbilder_for_Florian_9S6A2869"),
    "Volker_DSC01608_737_269_1058_1389": ("Volker", "Volker_DSC01608"),
    "noncrack_noncrack_concrete_wall_28_0.jpg": ("noncrack", "noncrack_noncrack_concrete_wall_28"),
    "noncrack_noncrack_concrete_wall_28_7.jpg": ("noncrack", "noncrack_noncrack_concrete_wall_28"),
    "DeepCrack_11231-3": ("DeepCrack", "DeepCrack_11231"),
    "DeepCrack_11112": ("DeepCrack", "DeepCrack_11112"),
    "CFD_001.jpg": ("CFD", "CFD_001"),
    "cracktree200_6266": ("cracktree200", "cracktree200_6266"),
    "Sylvie_Chambon_319": ("Sylvie_Chambon", "Sylvie_Chambon_319"),
    "Eugen_Müller_12": ("Eugen_Müller", "Eugen_Müller_12"),
    "forest_001": ("forest", "forest_001"),
}
"""Published file name -> data set and photo."""


def save(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), values[..., ::-1] if values.ndim == 3 else values)


def collection(root, sides=("",)):
    for side in sides:
        for seed, name in enumerate(NAMES):
            image, mask = pair(seed)
            save(root / side / "images" / f"{name}.jpg", image)
            save(root / side / "masks" / f"{name}.jpg", mask * 255)
    return root


def test_names_in_the_collection_tell_the_source_and_the_photo(tmp_path):
    records, problems = LAYOUTS["crack_collection"]().index(collection(tmp_path, ("", "train")))
    assert not problems
    assert {r.id: (r.source, r.group) for r in records} == {n.removesuffix(".jpg"): f for n, f in NAMES.items()}
    assert {r.split for r in records} == {None}
    assert LAYOUTS["crack_collection"]().read(records[0])[1].max() == 1


def test_the_collection_without_images_folder_has_the_published_sides(tmp_path):
    collection(tmp_path, ("train", "test"))
    for name in NAMES:
        other = "test" if "Volker" in name else "train"
        gone = "train" if other == "test" else "test"
        (tmp_path / gone / "images" / f"{name}.jpg").unlink()
        (tmp_path / gone / "masks" / f"{name}.jpg").unlink()
    records, problems = LAYOUTS["crack_collection"]().index(tmp_path)
    assert not problems
    assert Counter(r.split for r in records) == {"train": len(NAMES) - 1, "test": 1}


def photos(root, number=4):
    """Write whole photos of CRACK500, 100 x 150 px, with a crack in the tile at row 32, column 64."""
    for seed in range(number):
        image, _ = pair(seed, 100, 150)
        mask = np.zeros((100, 150), np.uint8)
        mask[40:44, 70:90] = 255
        mask[98:, :] = 255  # below the last complete tile
        name = f"20160222_0808{seed:02d}"
        save(root / "traindata" / f"{name}.jpg", image)
        save(root / "traindata" / f"{name}_mask.png", mask)
    return root


def tiles(**options):
    return LAYOUTS["tiles"](LAYOUTS["crack500"](part="data"), **{"side": 32, **options})


def test_tiles_are_parts_of_the_photo_and_its_mask(tmp_path):
    records, problems = tiles().index(photos(tmp_path))
    assert not problems
    assert len(records) == 4 * 3 * 4  # photos, rows, columns
    assert {r.group for r in records} == {f"20160222_0808{seed:02d}" for seed in range(4)}
    record = next(r for r in records if r.id == "20160222_080800_32_64")
    image, mask = tiles().read(record)
    whole, truth = LAYOUTS["crack500"](part="data").read(replace(record, columns={}))
    np.testing.assert_array_equal(image, whole[32:64, 64:96])
    np.testing.assert_array_equal(mask, truth[32:64, 64:96])
    assert mask.any()
    np.testing.assert_array_equal(tiles().read_image(record), image)
    np.testing.assert_array_equal(tiles().read_mask(record), mask)


def test_tiles_without_crack_are_excluded_if_empty_is_false(tmp_path):
    records, _ = tiles(empty=False, split=False).index(photos(tmp_path))
    assert [r.id for r in records] == [f"20160222_0808{seed:02d}_32_64" for seed in range(4)]
    assert {r.split for r in records} == {None}


def test_a_number_of_photos_is_chosen_by_seed(tmp_path):
    photos(tmp_path)
    chosen = {seed: {r.group for r in tiles(photos=2, seed=seed).index(tmp_path)[0]} for seed in range(8)}
    assert all(len(groups) == 2 for groups in chosen.values())
    assert len({tuple(sorted(groups)) for groups in chosen.values()}) > 1
    assert {r.group for r in tiles(photos=2).index(tmp_path)[0]} == chosen[0]
    with pytest.raises(DataError, match="photos is 5, but there are only 4 photos"):
        tiles(photos=5).index(tmp_path)
    with pytest.raises(ConfigError, match="side is 0"):
        tiles(side=0)


def test_tiles_of_one_photo_are_on_one_side(tmp_path, make_data):
    photos(tmp_path, 12)
    options = {"layout": LAYOUTS["crack500"](part="data"), "side": 32, "split": False}
    data = make_data("tiles", options, root=str(tmp_path), split="holdout", val_fraction=0.2, test_fraction=0.25)
    data.setup("fit")
    sides = [{data.records[i].group for i in positions} for positions in data.splits.by_side().values()]
    assert all(sides)
    assert sum(map(len, sides)) == 12
    next(iter(data.train_dataloader()))


def facades(root, train=9, valid=3):
    for seed in range(train + valid):
        image, mask = pair(seed)
        folder = "train" if seed < train else "valid"
        save(root / folder / f"facade_{seed:03d}.jpg", image)
        save(root / folder / f"facade_{seed:03d}_mask.png", mask * 255)
    return root


def test_validation_images_used_as_test_images_are_an_error_unless_accepted(tmp_path, make_data):
    facades(tmp_path)
    with pytest.raises(DataError, match="more than one side"):
        make_data("fcd108", {"valid_is": "both"}, root=str(tmp_path)).setup("fit")
    data = make_data("fcd108", {"valid_is": "both"}, root=str(tmp_path), known_overlap="report")
    with pytest.warns(UserWarning, match="facade_009"):
        data.setup("fit")
    assert {side: len(positions) for side, positions in data.splits.by_side().items()} == {
        "train": 9,
        "val": 3,
        "test": 3,
    }
    assert [name.removeprefix("val-") for name in data.ids("val")] == [
        n.removeprefix("test-") for n in data.ids("test")
    ]


def test_ade20k_masks_count_classes_from_one_and_ignore_zero(tmp_path):
    for side in ("training", "validation"):
        save(tmp_path / "images" / side / f"ADE_{side}_1.jpg", pair(1)[0])
        values = np.zeros((40, 56), np.uint8)
        values[:20], values[20:30] = 1, 150
        save(tmp_path / "annotations" / side / f"ADE_{side}_1.png", values)
    layout = LAYOUTS["ade20k"](val_is="test")
    records, problems = layout.index(tmp_path)
    assert not problems
    assert [(r.split, r.stem) for r in records] == [("train", "ADE_training_1"), ("test", "ADE_validation_1")]
    assert len(layout.class_names) == layout.num_classes == 150
    _, mask = layout.read(records[0])
    assert [mask[0, 0], mask[25, 0], mask[35, 0]] == [0, 149, IGNORE]
