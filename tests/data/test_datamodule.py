import hashlib
import warnings
from typing import get_type_hints

import cv2
import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from data_cases import pair, write
from torch.utils.data import DataLoader

from cracklab.data import cache, dataset
from cracklab.data.augment import POLICIES, Flips, Policy
from cracklab.data.datamodule import CrackDataModule
from cracklab.data.layouts import LAYOUTS, Layout
from cracklab.data.loader import collate
from cracklab.data.sampler import EpochSampler
from cracklab.errors import ConfigError, DataError


def fingerprint(batch):
    """Return a hash of everything in a batch."""
    digest = hashlib.sha256(repr((batch["id"], batch["size"].tolist(), batch["valid"] is None)).encode())
    for tensor in (batch["image"], batch["mask"], *batch["maps"].values()):
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def epoch_of(loader, epoch):
    loader.sampler.set_epoch(epoch)
    return [fingerprint(batch) for batch in loader]


OPTIONS = {"batch_size": 3, "maps": ["signed_distance", "skeleton"], "train_crop": 32, "seed": 11}


def ready(make_data, **options):
    data = make_data(**{**OPTIONS, **options})
    data.setup("fit")
    return data


# -- samples depend on seed, epoch and index only ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("augment", ["flips", "strong"])
def test_any_number_of_workers_gives_the_same_bytes(make_data, augment):
    expected = None
    for workers in (0, 1, 2, 4):
        loader = ready(make_data, num_workers=workers, augment=POLICIES[augment]()).train_dataloader()
        found = [epoch_of(loader, epoch) for epoch in (0, 1)]
        expected = expected or found
        assert found == expected
    assert expected[0] != expected[1]


@pytest.mark.slow
def test_workers_that_inherit_nothing_give_the_same_bytes(make_data):
    expected = epoch_of(ready(make_data).train_dataloader(), 2)
    loader = ready(make_data, num_workers=1).train_dataloader()
    loader.multiprocessing_context = "forkserver"
    assert epoch_of(loader, 2) == expected


def samples_by_step(data, batch_size, processes=1, rank=0):
    """Return the samples of one process in each step of epoch 3, as sets of bytes."""
    samples = data.dataset(data.splits.train, data.augment)
    sampler = EpochSampler(samples, data.seed, num_replicas=processes, rank=rank)
    sampler.set_epoch(3)
    loader = DataLoader(samples, batch_size, sampler=sampler, collate_fn=collate, drop_last=True)
    return [{batch["image"][i].numpy().tobytes() for i in range(len(batch["id"]))} for batch in loader]


def test_two_processes_see_in_each_step_the_set_that_one_sees(make_data):
    data = ready(make_data)
    whole = samples_by_step(data, 4)
    parts = [samples_by_step(ready(make_data), 2, processes=2, rank=rank) for rank in range(2)]
    assert [a | b for a, b in zip(*parts, strict=True)] == whole
    assert all(len(step) == 4 for step in whole)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_resumed_epoch_continues_with_the_next_batch(make_data, workers):
    whole = ready(make_data).train_dataloader()
    expected = [epoch_of(whole, epoch) for epoch in (2, 3)]
    data = ready(make_data, num_workers=workers)
    data.resume(epoch=2, batches=3)
    loader = data.train_dataloader()
    assert len(loader) == len(whole)
    assert epoch_of(loader, 2) == expected[0][3:]
    assert epoch_of(loader, 3) == expected[1]


def test_loaders_do_not_change_the_global_generators(make_data):
    data = ready(make_data)
    torch.manual_seed(3)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    for loader in (data.train_dataloader(), data.val_dataloader()):
        for _ in loader:
            pass
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])


def test_samples_are_the_same_with_and_without_a_cache(make_data, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "disk_folder", lambda: tmp_path)
    epochs = [epoch_of(ready(make_data, cache=where).train_dataloader(), 1) for where in ("memory", "disk", "none")]
    assert epochs[0] == epochs[1] == epochs[2]


@pytest.mark.parametrize("where", ["memory", "disk"])
def test_maps_of_validation_images_are_computed_only_once(make_data, where, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "disk_folder", lambda: tmp_path)
    expected = epoch_of(ready(make_data, cache="none").val_dataloader(), 0)
    calls = []
    compute = dataset.compute_maps
    monkeypatch.setattr(dataset, "compute_maps", lambda *a, **k: calls.append(1) or compute(*a, **k))
    data = ready(make_data, cache=where)
    for _ in range(3):
        assert epoch_of(data.val_dataloader(), 0) == expected
    assert len(calls) == 3  # once for each validation image


def test_a_data_module_that_is_used_again_has_the_maps_of_the_new_loss(make_data):
    data = make_data("synthetic", {"train": 4, "val": 2, "test": 1, "size": (32, 32)})
    data.setup("fit")
    for names in (["distance"], ["distance", "signed_distance"], ["signed_distance"]):
        data.maps = tuple(names)
        batch = next(iter(data.val_dataloader()))
        assert sorted(batch["maps"]) == sorted(names)
        if "signed_distance" in names:
            assert batch["maps"]["signed_distance"].min() < 0


def test_a_name_that_is_no_text_is_refused_before_any_work(make_data, tmp_path):
    write(tmp_path / "test", "a", *pair(1))
    for path in [path for path in tmp_path.rglob("a.*") if path.is_file()]:
        path.rename(path.with_stem("a\udcff"))
    with pytest.raises(DataError, match=r"a\\udcff\.\w+' is not UTF-8, and no table can hold it"):
        make_data("folders", root=str(tmp_path)).setup("test")


def test_images_for_a_test_alone_need_no_plan(make_data, tmp_path):
    for stem in "abc":
        write(tmp_path / "test", stem, *pair(ord(stem)))
    data = make_data("folders", root=str(tmp_path), train_crop="auto", batch_size="auto")
    data.setup("test")
    assert data.ids("test") == ["a", "b", "c"]
    assert len(data.test_dataloader().dataset) == 3


def test_the_memory_limit_holds_for_images_and_maps_together(make_data, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "disk_folder", lambda: tmp_path)
    images = (
        21 * (48 * 64 * 4 + 1024 + 64) / 1e9
    )  # RGB and mask, thumbnail, and the share in 64 bytes, of 13 + 3 + 5 images
    data = ready(make_data, cache_gb=1.1 * images)
    data.val_dataloader()
    stores = data._prepared._stores
    assert stores["all"].temporary
    maps = next(store for name, store in stores.items() if name.startswith("val"))
    assert not maps.temporary
    assert sum(store.gigabytes for store in stores.values() if store.temporary) < 1.1 * images


# -- splits ---------------------------------------------------------------------------------------------------------


def test_crops_of_one_photo_are_on_one_side(make_data, photos):
    data = make_data("folders", root=str(photos), val_fraction=0.25, test_fraction=0.25)
    data.setup("fit")
    names = {side: {name[0] for name in data.ids(side)} for side in ("train", "val", "test")}
    assert {side: len(data.ids(side)) for side in names} == {"train": 12, "val": 6, "test": 6}  # of 24 images
    assert sum(map(len, names.values())) == 8  # each of the eight photos is on one side
    seen = [name for batch in data.val_dataloader() for name in batch["id"]]
    assert seen == data.ids("val")


def test_splits_depend_neither_on_resize_and_crop_nor_on_the_training_seed(make_data, photos):
    found = []
    for options in ({}, {"resize": 20, "seed": 5}, {"cache": "none", "crop": 30}):
        data = make_data("folders", root=str(photos), fold=1, folds=4, **options)
        data.setup("fit")
        found.append(data.splits)
    assert found[0] == found[1] == found[2]


def test_a_leaking_split_is_refused_or_reported_by_name(make_data, tmp_path):
    for split, stem in (("train", "a-1"), ("train", "b-1"), ("train", "c-1"), ("test", "a-2"), ("test", "d")):
        write(tmp_path / split, stem, *pair(10 * ord(stem[0]) + ord(stem[-1])))
    with pytest.raises(DataError, match=r"photo 'a'.*a-1\.png.*a-2\.png"):
        make_data("folders", root=str(tmp_path)).setup("fit")
    with pytest.warns(UserWarning, match=r"photo 'a'.*a-1\.png.*a-2\.png"):
        make_data("folders", root=str(tmp_path), known_overlap="report").setup("fit")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clean = make_data("folders", root=str(tmp_path), split="official-clean", val_fraction=0.5)
        clean.setup("fit")
    assert sorted(clean.ids("train") + clean.ids("val")) == ["b-1", "c-1"]


def test_all_unpaired_files_are_listed_in_one_error(make_data, photos):
    (photos / "masks/a-1.png").unlink()
    (photos / "images/b-2.png").unlink()
    with pytest.raises(DataError, match=r"2 faults(?s:.*)a-1\.png.*no mask(?s:.*)b-2\.png.*no image"):
        make_data("folders", root=str(photos)).setup("fit")


def test_all_unreadable_files_are_listed_in_one_error(make_data, photos):
    (photos / "images/a-1.png").write_bytes(b"nonsense")
    (photos / "masks/c-3.png").write_bytes((photos / "masks/c-3.png").read_bytes()[:60])
    for where in ("memory", "none"):
        with pytest.raises(DataError, match=r"a-1\.png.*decoded(?s:.*)c-3\.png.*truncated"):
            make_data("folders", root=str(photos), cache=where).setup("fit")


# -- batches --------------------------------------------------------------------------------------------------------


def test_a_batch_has_the_documented_shapes_and_types(make_data):
    data = ready(make_data, train_crop=None)
    raw = next(iter(data.train_dataloader()))
    batch = data.on_after_batch_transfer(raw, 0)
    assert batch["image"].shape[:2] == (3, 3)
    assert batch["image"].dtype == batch["mask"].dtype == torch.float32
    assert set(batch["mask"].unique().tolist()) <= {0.0, 1.0}
    assert batch["mask"].shape == (3, 1, *batch["image"].shape[2:])
    assert set(batch["maps"]) == {"signed_distance", "skeleton"}
    photo = data.as_photo(batch["image"][1])
    np.testing.assert_array_equal(photo, raw["image"][1].permute(1, 2, 0))


def test_images_are_padded_to_a_multiple_of_32_and_the_padding_is_not_valid(make_data):
    data = make_data(layout_options={"train": 3, "val": 1, "test": 1, "size": (40, 50)})
    data.setup("fit")
    batch = data.on_after_batch_transfer(next(iter(data.val_dataloader())), 0)
    assert batch["image"].shape == (1, 3, 64, 64)  # the next multiples of 32 of 40 and 50
    assert batch["valid"].dtype == torch.float32
    assert batch["valid"].sum() == 40 * 50
    assert batch["size"].tolist() == [[40, 50]]


def test_class_indices_become_one_channel_per_class(make_data, tmp_path):
    mask = np.random.default_rng(0).integers(0, 4, (32, 32)).astype(np.uint8)
    for stem in "abcdefgh":
        write(tmp_path, stem, *pair(ord(stem), 32, 32))
        cv2.imwrite(str(tmp_path / f"masks/{stem}.png"), mask)
    data = make_data("folders", {"num_classes": 3, "ignore": 3}, root=str(tmp_path))
    assert (data.num_classes, data.class_names) == (3, ("class_0", "class_1", "class_2"))
    data.setup("fit")
    batch = data.on_after_batch_transfer(next(iter(data.val_dataloader())), 0)
    assert batch["mask"].shape[1] == 3
    for index in range(3):
        np.testing.assert_array_equal((batch["mask"][0, index] * batch["valid"][0, 0]) == 1, mask == index)
    np.testing.assert_array_equal(batch["valid"][0, 0] == 1, mask != 3)


def test_grey_images_have_one_channel(make_data):
    data = ready(make_data, channels=1)
    assert data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)["image"].shape[1] == 1


def test_an_incomplete_training_batch_is_dropped_unless_it_is_the_only_one(make_data):
    sizes = [[len(b["id"]) for b in ready(make_data, batch_size=n).train_dataloader()] for n in (4, 13, 20)]
    assert sizes == [[4, 4, 4], [13], [13]]  # of 13 training images


def test_statistics_are_of_the_resized_training_masks(make_data, photos):
    data = make_data("folders", root=str(photos), resize=20, val_fraction=0.25, test_fraction=0.25)
    data.setup("fit")
    masks = [data.dataset([data.splits.train[i]])[0]["mask"].numpy() for i in range(12)]
    assert data.statistics.images == 12
    assert data.statistics.crack_share == pytest.approx(np.mean(masks))
    assert 1 <= data.statistics.width_px_p5 <= data.statistics.width_px_p50 <= data.statistics.width_px_p95


# -- with Lightning -------------------------------------------------------------------------------------------------


class Recorder(pl.LightningModule):
    """A module that records the batches it is trained on."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.shown = []

    def training_step(self, batch, batch_idx):
        self.shown.append((self.current_epoch, fingerprint(batch)))
        return self.weight * batch["image"].mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def train(data, **options):
    module = Recorder()
    trainer = pl.Trainer(
        max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, **options,
    )  # fmt: skip
    trainer.fit(module, datamodule=data)
    return module.shown


def test_lightning_sets_the_epoch_and_keeps_the_sampler(make_data):
    shown = train(ready(make_data))
    loader = ready(make_data)
    for epoch in (0, 1):
        batches = loader.train_dataloader()
        batches.sampler.set_epoch(epoch)
        expected = [(epoch, fingerprint(loader.on_after_batch_transfer(batch, 0))) for batch in batches]
        assert [step for step in shown if step[0] == epoch] == expected


def test_overfit_batches_repeats_the_same_batch(make_data):
    shown = train(ready(make_data), overfit_batches=1)
    assert len(shown) == 2
    assert shown[0][1] == shown[1][1]


# -- names in place of objects --------------------------------------------------------------------------------------


def test_a_layout_and_a_policy_may_be_given_by_name(photos):
    by_name = CrackDataModule(root=str(photos), layout="folders", augment="strong", seed=3, cache="none")
    by_class = CrackDataModule(
        LAYOUTS["folders"](), root=str(photos), augment=POLICIES["strong"](), seed=3, cache="none"
    )
    for data in (by_name, by_class):
        data.setup("fit")
    assert by_name.splits == by_class.splits
    assert epoch_of(by_name.train_dataloader(), 1) == epoch_of(by_class.train_dataloader(), 1)


def test_synthetic_data_needs_no_root():
    data = CrackDataModule("synthetic")
    assert vars(data.layout) == vars(LAYOUTS["synthetic"]())
    assert isinstance(data.augment, Flips)


def test_misspelt_names_are_refused_with_the_nearest_name():
    with pytest.raises(ConfigError, match="no layout is called 'deepcrak'; did you mean 'deepcrack'"):
        CrackDataModule("deepcrak")
    with pytest.raises(ConfigError, match="no augmentation policy is called 'flip'; did you mean 'flips'"):
        CrackDataModule("synthetic", augment="flip")


def test_the_command_line_sees_no_str_in_the_types_of_layout_and_policy():
    """A union with str would accept `--data.layout deepcrak` and invalid options of a layout without an error."""
    hints = get_type_hints(CrackDataModule.__init__)
    assert (hints["layout"], hints["augment"]) == (Layout, Policy)


# -- wrong settings -------------------------------------------------------------------------------------------------


def test_invalid_settings_are_refused_at_construction(make_data):
    with pytest.raises(ConfigError, match=r"data\.root is not set.*'folders'"):
        make_data("folders")
    with pytest.raises(ConfigError, match=r"batch_size is 0"):
        make_data(batch_size=0)
    with pytest.raises(ConfigError, match=r"crop is 0"):
        make_data(crop=0)


def test_a_loader_before_setup_is_an_error_with_the_remedy(make_data):
    with pytest.raises(RuntimeError, match=r'call setup\("fit"\) first'):
        make_data().train_dataloader()


def test_a_side_without_images_is_an_error_with_the_remedy(make_data, tmp_path):
    for stem in "abc":
        write(tmp_path / "train", stem, *pair(ord(stem)))
    data = make_data("folders", root=str(tmp_path))
    data.setup("test")
    with pytest.raises(DataError, match=r"there are no test images: set data\.split to 'holdout'"):
        data.test_dataloader()


def test_a_data_module_without_training_images_cannot_train_and_can_test(make_data):
    """As for photos of a test alone, with the configuration of a run on a few labels."""
    data = make_data("synthetic", {"train": 4, "val": 2, "test": 1, "size": (32, 32)}, train_images=3)
    index = data.index
    data.index = lambda: ([record for record in index()[0] if record.split == "test"], [])
    data.setup("test")
    assert len(data.test_dataloader()) == 1
    with pytest.raises(DataError, match=r"no image is left for training \(0 train, 0 val, 1 test\)"):
        data.train_dataloader()


def test_deepcrack_by_name_has_its_published_split(deepcrack):
    data = CrackDataModule(layout="deepcrack", root=str(deepcrack), crop=384, resize=96, known_overlap="report")
    with pytest.warns(UserWarning, match=r"images of 4 photos(?s:.*)11158\.jpg, test .*11216\.jpg"):
        data.setup("fit")
    # 10 % of the 300 published training images become validation
    assert [len(data.ids(side)) for side in ("train", "val", "test")] == [270, 30, 237]
    assert 0.02 < data.statistics.crack_share < 0.06
    assert next(iter(data.test_dataloader()))["image"].shape == (16, 3, 96, 96)
