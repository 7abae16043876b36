"""The front door for Python: `cracklab.load`, `predict` and what a prediction holds, against the command and by hand."""

import shutil
import subprocess
import sys

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from predict_cases import load, predict_call, read, restore
from support import ROOT, fit

import cracklab
from cracklab import run_folder
from cracklab.cli import main
from cracklab.data.images import rgb_photo
from cracklab.errors import ConfigError, DataError, RunError
from cracklab.files import write_image
from cracklab.predict.prediction import Prediction
from cracklab.predict.predictor import Predictor
from cracklab.synthetic.draw import draw

KINDS = ["mask", "overlay", "probability", "centre_lines"]


@pytest.fixture(scope="session")
def scaled_run(tmp_path_factory, deepcrack):
    """A run of TinyNet that sees photos at three quarters of their size; a tenth of a photo of DeepCrack is crack."""
    out = tmp_path_factory.mktemp("runs") / "scaled"
    fit(out, "--model.net=support.TinyNet", "--trainer.max_epochs=1", "--data.crop=64", "--data.resize=48")
    probability = load(out / run_folder.BEST, "cpu").predict(deepcrack / "test_img" / "11125-1.jpg").probability
    content = torch.load(out / run_folder.BEST, weights_only=True)
    content["cracklab"]["threshold"] = float(np.quantile(probability, 0.9))
    torch.save(content, out / run_folder.BEST)
    return out


@pytest.fixture
def deepcrack_photos(deepcrack, tmp_path):
    """Two photos of DeepCrack, 544 x 384 px: two tiles each."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("11125-1.jpg", "IMG_5778-1.jpg"):
        shutil.copy(deepcrack / "test_img" / name, folder)
    return sorted(folder.iterdir())


@pytest.fixture
def part(deepcrack_photos, tmp_path):
    """A part of a photo of DeepCrack, 128 x 128 px; all centre lines of an untrained net on a whole one take many seconds."""
    path = tmp_path / "part.png"
    cv2.imwrite(str(path), cv2.imread(str(deepcrack_photos[0]))[:128, :128])
    return path


@pytest.fixture(scope="module")
def predictor(small_run):
    return load(small_run / run_folder.BEST, "cpu")


def strip(photo_value=200):
    """A prediction of a level crack of 1 x 41 px, certain, on a flat wall of 40 x 60 px."""
    photo, mask = np.full((40, 60, 3), photo_value, np.uint8), np.zeros((40, 60), np.uint8)
    mask[20, 10:51] = 255
    return photo, mask


def test_the_overlay_of_a_photo_too_wide_for_a_jpeg_is_smaller_and_the_mask_is_not(tmp_path):
    photo, mask = np.full((6, 131_000, 3), (10, 90, 200), np.uint8), np.zeros((6, 131_000), np.uint8)
    Prediction(photo, mask, None).save(tmp_path, name="wall", reuse_photo=True)
    overlay = cv2.imread(str(tmp_path / "wall_overlay.jpg"))
    assert overlay.shape == (3, 65_500, 3)
    np.testing.assert_allclose(overlay[1, 9], (200, 90, 10), atol=3)  # blue, green, red
    assert cv2.imread(str(tmp_path / "wall.png")).shape[1] == 131_000
    with pytest.raises(DataError, match=r"wall\.jpg cannot be written as \.jpg \(131000 x 6 px"):
        write_image(tmp_path / "wall.jpg", photo)


@pytest.mark.parametrize("run", ["scaled_run", "grey_run", "classes_run"])
def test_mask_and_probability_are_the_files_of_the_command_bit_for_bit(run, deepcrack_photos, tmp_path, request):
    checkpoint = request.getfixturevalue(run) / run_folder.BEST
    out = tmp_path / "out"
    assert main(predict_call(checkpoint, deepcrack_photos[0].parent, out, "--probability")) == 0
    model = load(checkpoint, "cpu")
    for path in deepcrack_photos:
        file = read(out / f"{path.stem}.png")
        array = np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])
        for photo in (str(path), path, array):
            result = model.predict(photo)
            assert result.mask.dtype == np.uint8
            np.testing.assert_array_equal(result.mask, file)
            assert result.probability.dtype == np.float32
            stored = read(out / f"{path.stem}_probability.png")
            np.testing.assert_array_equal(np.rint(result.probability * 65535).astype(np.uint16), stored)
        assert 1 < len(np.unique(file)) <= max(2, model.num_classes), "nothing is found, so the test could not fail"


@pytest.mark.parametrize("run", ["small_run", "classes_run"])
def test_mask_and_probability_follow_from_one_pass_of_the_net(run, deepcrack_photos, request):
    """Away from rounding: sigmoid and threshold, or softmax and argmax, of the net alone on the whole photo."""
    checkpoint = request.getfixturevalue(run) / run_folder.BEST
    model = restore(checkpoint)
    image = torch.from_numpy(np.ascontiguousarray(cv2.imread(str(deepcrack_photos[0]))[..., ::-1]))
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    normal = ((image / 255 - mean) / std).permute(2, 0, 1)[None]
    with torch.inference_mode():
        logits = model.net(normal)[0]
    result = load(checkpoint, "cpu").predict(deepcrack_photos[0])
    if len(logits) == 1:
        expected = logits[0].sigmoid().numpy()
        mask = np.where(expected > model.threshold, 255, 0)
    else:
        expected = logits.softmax(0).numpy().max(0)
        mask = logits.numpy().argmax(0)
    assert np.abs(result.probability - expected).max() < 0.02
    assert (result.mask == mask).mean() > 0.999


@pytest.mark.parametrize("run", ["scaled_run", "classes_run"])
def test_save_writes_the_files_of_the_command(run, part, tmp_path, request):
    checkpoint = request.getfixturevalue(run) / run_folder.BEST
    out = tmp_path / "out"
    assert main(predict_call(checkpoint, part, out, "--probability", "--centre_lines")) == 0
    result = load(checkpoint, "cpu").predict(part)
    written = result.save(tmp_path / "ours", KINDS)
    theirs = {path.name: path.read_bytes() for path in out.iterdir() if path.name != "predict.json"}
    assert {path.name: path.read_bytes() for path in written} == theirs
    assert {path.name for path in (tmp_path / "ours").iterdir()} == set(theirs)
    assert written[-1].name == "part.png", "the mask is last: if it exists, all files do"


def test_save_writes_mask_and_overlay_unless_told_otherwise(tmp_path):
    photo, mask = strip()
    result = Prediction(photo, mask, None)
    assert {path.name for path in result.save(tmp_path)} == {"photo.png", "photo_overlay.jpg"}
    assert {path.name for path in result.save(tmp_path, ["mask"], "east/a")} == {"a.png"}
    assert (tmp_path / "east" / "a.png").is_file()


def test_saving_keeps_the_photo_unless_its_memory_may_be_reused(tmp_path):
    photo, mask = strip()
    result = Prediction(photo, mask, None)
    (kept,) = result.save(tmp_path / "kept", ["overlay"])
    assert (photo == 200).all()
    (reused,) = result.save(tmp_path / "reused", ["overlay"], reuse_photo=True)
    assert not (photo == 200).all()
    assert kept.read_bytes() == reused.read_bytes()


def test_the_overlay_blends_vermilion_over_cracks_and_leaves_the_rest():
    photo, mask = strip()
    overlay = Prediction(photo, mask, None).overlay()
    assert overlay.dtype == np.uint8
    np.testing.assert_array_equal(overlay[mask == 0], 200)
    assert (overlay[mask > 0] == [208, 136, 80]).all()  # 0.4 x 200 + 0.6 x (213, 94, 0)
    assert (photo == 200).all()


def test_the_overlay_of_several_classes_leaves_the_first_and_gives_each_other_one_a_colour():
    photo, classes = np.full((300, 8, 3), 200, np.uint8), np.zeros((300, 8), np.uint8)
    classes[100:200], classes[200:] = 1, 2
    overlay = Prediction(photo, classes, None, num_classes=3).overlay()
    assert (overlay[:100] == 200).all()
    assert (overlay[100:200] == [208, 136, 80]).all()  # vermilion
    assert (overlay[200:] == [80, 175, 149]).all()  # 0.4 x 200 + 0.6 x (0, 158, 115), bluish green


def test_cracks_are_a_table_in_px_and_with_a_scale_in_mm():
    photo, mask = strip()
    in_px = Prediction(photo, mask, None).cracks
    assert isinstance(in_px, pd.DataFrame)
    assert len(in_px) == 1
    assert in_px.loc[0, "crack"] == 1
    assert in_px.loc[0, "length_px"] == pytest.approx(41, abs=1)
    assert in_px.loc[0, "area_px"] == 41
    assert in_px.loc[0, "orientation_deg"] == pytest.approx(0, abs=1e-6)
    assert not [name for name in in_px if "mm" in name]
    in_mm = Prediction(photo, mask, None, mm_per_px=0.5).cracks
    assert in_mm.loc[0, "length_mm"] == pytest.approx(in_px.loc[0, "length_px"] / 2)
    assert in_mm.loc[0, "area_mm2"] == pytest.approx(41 / 4)


def test_cracks_are_the_rows_of_cracklab_measure(scaled_run, part, tmp_path):
    result = load(scaled_run / run_folder.BEST, "cpu", mm_per_px=0.3).predict(part)
    (mask,) = result.save(tmp_path / "masks", ["mask"])
    assert main(["measure", str(mask), "--out", str(tmp_path / "m"), "--mm_per_px=0.3", "--no_pictures"]) == 0
    expected = pd.read_csv(tmp_path / "m" / "cracks.csv").drop(columns="id")
    assert len(expected) > 3
    pd.testing.assert_frame_equal(result.cracks.round(4), expected, check_dtype=False, atol=1e-4)


def test_a_photo_without_cracks_has_an_empty_table_with_the_same_columns():
    photo, mask = strip()
    empty = Prediction(photo, np.zeros_like(mask), None).cracks
    assert len(empty) == 0
    assert list(empty) == list(Prediction(photo, mask, None).cracks)
    assert empty["length_px"].sum() == 0


def test_the_scale_of_one_photo_comes_before_that_of_all(small_run):
    model = load(small_run / run_folder.BEST, "cpu", mm_per_px=0.5)
    photo = draw(2, (64, 64))[0]
    assert model.predict(photo).mm_per_px == 0.5
    assert model.predict(photo, mm_per_px=0.2).mm_per_px == 0.2


def test_grey_arrays_are_photos_of_three_equal_channels(predictor, tmp_path):
    grey = draw(2, (64, 96))[0][..., 0].copy()
    cv2.imwrite(str(tmp_path / "grey.png"), grey)
    result = predictor.predict(grey)
    assert result.photo.shape == (64, 96, 3)
    for same in (np.stack([grey] * 3, axis=-1), tmp_path / "grey.png"):
        np.testing.assert_array_equal(predictor.predict(same).probability, result.probability)


def test_views_of_arrays_are_predicted_as_their_copies(predictor):
    """Colours in OpenCV's order turned round, and every second pixel of a larger photo."""
    photo = draw(2, (128, 192))[0]
    for view in (photo[..., ::-1], photo[::2, ::2]):
        expected = predictor.predict(view.copy())
        np.testing.assert_array_equal(predictor.predict(view).probability, expected.probability)


def test_the_order_of_colours_matters(predictor):
    photo = draw(2, (128, 192))[0]
    assert np.abs(predictor.predict(photo).probability - predictor.predict(photo[..., ::-1]).probability).max() > 0


@pytest.mark.parametrize(
    ("photo", "message"),
    [
        (np.zeros((4, 5, 3), np.float32), r"float32 of shape \(4, 5, 3\): give uint8, 0 to 255"),
        (np.zeros((4, 5, 3), np.uint16), "uint16"),
        (np.zeros((4, 5), bool), "bool"),
        (np.zeros((4, 5, 4), np.uint8), r"shape \(4, 5, 4\)"),
        (np.zeros((3, 4, 5), np.uint8), r"shape \(3, 4, 5\)"),
        (np.zeros((1, 4, 5, 3), np.uint8), r"shape \(1, 4, 5, 3\)"),
        (np.zeros(4, np.uint8), r"shape \(4,\)"),
        (np.zeros((0, 5, 3), np.uint8), r"shape \(0, 5, 3\)"),
        (torch.zeros(4, 5, 3), "a Tensor: give a path, or a NumPy array of uint8"),
        ([[1, 2]], "a list: give a path"),
        ("/nowhere/wall.jpg", "'/nowhere/wall.jpg' cannot be read"),
        ("/", "is a folder, not an image file"),
        (__file__, "cannot be decoded as an image"),
    ],
)
def test_what_is_no_photo_is_refused(predictor, photo, message):
    with pytest.raises(DataError, match=message):
        predictor.predict(photo)


def test_an_array_of_the_right_kind_is_not_copied():
    photo = np.zeros((4, 5, 3), np.uint8)
    assert np.shares_memory(rgb_photo(photo), photo)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tile": 100}, "tile is 100: give a multiple of 32 px"),
        ({"overlap": -1}, "overlap is -1: give 0 to 480 px"),
        ({"tile": 64, "overlap": 33}, "overlap is 33: give 0 to 32 px"),
        ({"batch_size": 0}, "batch_size is 0: give 1 or more"),
        ({"device": "quantum"}, "device 'quantum' cannot be used"),
        ({"mm_per_px": 0}, "mm_per_px is 0: give a positive number"),
        ({"mm_per_px": float("nan")}, "mm_per_px is nan"),
    ],
)
def test_options_that_cannot_work_are_refused(small_run, options, message):
    with pytest.raises(ConfigError, match=message):
        load(small_run / run_folder.BEST, **options)


def test_a_scale_that_is_not_positive_is_refused_before_the_photo_is_scored(predictor):
    with pytest.raises(ConfigError, match="mm_per_px is -1"):
        predictor.predict("/nowhere/wall.jpg", mm_per_px=-1)


def test_no_or_missing_checkpoints_are_refused(tmp_path):
    with pytest.raises(RunError, match="does not exist"):
        load(tmp_path / "missing.ckpt")
    with pytest.raises(ConfigError, match="no checkpoint is given"):
        load([])


def test_several_checkpoints_are_averaged(small_run, tmp_path):
    content = torch.load(small_run / run_folder.BEST, weights_only=True)
    content["state_dict"]["net.head.1.bias"] += 1
    torch.save(content, tmp_path / "other.ckpt")
    paths = [small_run / run_folder.BEST, tmp_path / "other.ckpt"]
    photo = draw(3, (64, 96))[0]
    one, other = (load(path, "cpu").predict(photo).probability for path in paths)
    assert np.abs(one - other).max() > 0.1
    both = load(paths, "cpu").predict(photo).probability
    np.testing.assert_allclose(both, (one + other) / 2, atol=1e-6)


def test_tiling_is_that_of_the_command_unless_it_is_given(small_run):
    model = load(small_run / run_folder.BEST, "cpu")
    assert 1 <= model.reach <= 3
    assert (model.tiling.tile, model.tiling.overlap, model.tiling.batch) == (4096, 2 * model.reach, 1)
    small = load(small_run / run_folder.BEST, "cpu", memory_gb=0.1).tiling.tile
    assert 128 < small < 4096
    given = load(small_run / run_folder.BEST, "cpu", tile=64, overlap=16, batch_size=3).tiling
    assert (given.tile, given.overlap, given.batch) == (64, 16, 3)


def test_probabilities_are_kept_on_request(predictor):
    photo = draw(3, (64, 96))[0]
    full = predictor.predict(photo).probability
    short = predictor.predict(photo, keep_probability="uint16")
    assert short.stored_probability.dtype == np.uint16
    assert short.probability.dtype == np.float32
    np.testing.assert_allclose(short.probability, full, atol=0.5 / 65535 + 1e-7)
    none = predictor.predict(photo, keep_probability=None)
    np.testing.assert_array_equal(none.mask, short.mask)
    with pytest.raises(ConfigError, match="probabilities were not kept"):
        _ = none.probability


def test_a_file_that_would_replace_the_photo_or_of_an_unknown_kind_is_refused(predictor, tmp_path):
    path = tmp_path / "wall.png"
    cv2.imwrite(str(path), draw(3, (64, 96))[0])
    before = path.read_bytes()
    result = predictor.predict(path)
    with pytest.raises(DataError, match=r"wall\.png is the photo, and would be overwritten"):
        result.save(tmp_path)
    with pytest.raises(ConfigError, match="called 'masks'; did you mean 'mask'"):
        result.save(tmp_path / "out", ["masks"])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    assert {file.name for file in result.save(tmp_path / "out")} == {"wall.png", "wall_overlay.jpg"}


def test_importing_cracklab_imports_no_library():
    code = (
        "import sys, cracklab; "
        "assert not {'numpy', 'torch', 'lightning', 'cv2', 'jsonargparse'} & set(sys.modules); "
        "assert {'load', 'Predictor', 'CrackModule', 'CrackDataModule'} <= set(dir(cracklab)); "
        "assert cracklab.__version__"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_the_package_exports_its_public_names_and_no_others():
    assert cracklab.Predictor is Predictor
    assert {"load", "Predictor", "CrackModule", "CrackDataModule"} == set(cracklab.__all__) - {"__version__"}
    for name in cracklab.__all__:
        assert getattr(cracklab, name) is not None
    with pytest.raises(AttributeError, match="module 'cracklab' has no attribute 'lod'"):
        _ = cracklab.lod
