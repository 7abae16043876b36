"""`cracklab predict` on photos of any size, from checkpoints alone."""

import json
import os
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from predict_cases import exit_code, load, predict_call, read, restore
from support import ROOT, TinyNet, fit

from cracklab import config_files, run_folder
from cracklab.cli import main
from cracklab.predict.comparison import data_of
from cracklab.predict.prediction import Prediction
from cracklab.predict.tiles import Tiling
from cracklab.synthetic.draw import draw

SIZES = {"wall": (97, 130), "tiny": (20, 33), "large": (300, 210)}


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed, (name, size) in enumerate(SIZES.items()):
        image, _ = draw(seed, size)
        cv2.imwrite(str(folder / f"{name}.png"), image[..., ::-1])
    (folder / "notes.txt").write_text("not a photo")
    return folder


def predict(folder, photos, out, *more):
    return main(predict_call(folder / run_folder.BEST, photos, out, *more))


def probabilities(predictor, photo, tiling):
    """Return the probabilities (H, W) of a photo."""
    predictor.tiling = tiling
    return predictor.predict(photo).probability


def test_masks_have_the_photos_own_size_and_stem(tiny_run, photos, tmp_path):
    out = tmp_path / "masks"
    assert predict(tiny_run, photos, out, "--probability", "--centre_lines") == 0
    ends = (".png", "_overlay.jpg", "_probability.png", ".geojson")
    assert {path.name for path in out.iterdir()} == {f"{n}{end}" for n in SIZES for end in ends} | {"predict.json"}
    threshold = json.loads((out / "predict.json").read_text())["threshold"]
    for name, size in SIZES.items():
        mask, probability = read(out / f"{name}.png"), read(out / f"{name}_probability.png")
        assert mask.shape == probability.shape == size
        assert mask.dtype == np.uint8
        assert probability.dtype == np.uint16
        np.testing.assert_array_equal(mask, np.where(probability > threshold * 65535, 255, 0))
        assert read(out / f"{name}_overlay.jpg").shape == (*size, 3)


def test_the_overlay_file_blends_the_mask_over_the_photo(tmp_path):
    photo = draw(2, (300, 210))[0]
    mask = np.zeros(photo.shape[:2], np.uint8)
    mask[240:280, 50:90] = 255
    Prediction(photo.copy(), mask, None).save(tmp_path, ["overlay"], "a")
    overlay = read(tmp_path / "a_overlay.jpg")[..., ::-1].astype(int)
    near = cv2.dilate(mask, np.ones((17, 17))) > 0  # JPEG stores colours in blocks of 16 px
    assert np.abs(overlay - photo)[~near].mean() < 3
    inside = cv2.erode(mask, np.ones((17, 17))) > 0
    expected = 0.4 * photo[inside] + 0.6 * np.array([213, 94, 0])
    assert np.abs(overlay[inside] - expected).mean() < 6


def test_centre_lines_have_the_length_and_width_of_the_mask(tmp_path):
    """A slanted strip of 80 x 5 px, against the numbers that it was drawn with."""
    y, x = np.mgrid[:100, :120] - 20
    along, across = 0.8 * x + 0.6 * y, 0.8 * y - 0.6 * x  # from (20, 20) to (84, 68)
    mask = 255 * ((along >= 0) & (along <= 80) & (abs(across) <= 2.5)).astype(np.uint8)
    Prediction(np.zeros((100, 120, 3), np.uint8), mask, None).save(tmp_path, ["centre_lines"], "a")
    content = json.loads((tmp_path / "a.geojson").read_text())
    assert content["type"] == "FeatureCollection"
    assert content["size_px"] == [120, 100]
    (line,) = content["features"]
    assert line["geometry"]["type"] == "LineString"
    ends = sorted([line["geometry"]["coordinates"][0], line["geometry"]["coordinates"][-1]])
    np.testing.assert_allclose(ends, [[20, 20], [84, 68]], atol=1)
    facts = line["properties"]
    assert facts["crack"] == 1
    assert len(facts["width_px"]) == len(line["geometry"]["coordinates"])
    assert facts["length_px"] == pytest.approx(80, abs=1.6)
    assert facts["width_p50_px"] == pytest.approx(5, abs=0.5)


def test_a_photo_of_the_training_size_is_scored_as_test_scores_it(tiny_run):
    """The same net, transform and threshold give the probabilities that the evaluator got."""
    restored, data = restore(tiny_run / run_folder.BEST), data_of(config_files.read(tiny_run / run_folder.CONFIG))
    data.setup("test")
    batch = data.on_after_batch_transfer(next(iter(data.test_dataloader())), 0)
    with torch.inference_mode():
        expected = restored.probabilities(batch["image"])[0, 0].numpy()
    photo = data.as_photo(batch["image"][0])
    found = probabilities(load(tiny_run / run_folder.BEST, "cpu"), photo, Tiling())
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_the_scale_of_training_is_used(tiny_run):
    """A photo enlarged by two and seen at half its size scores like the photo itself."""
    predictor = load(tiny_run / run_folder.BEST, "cpu")
    photo, _ = draw(3, (128, 96))
    large = photo.repeat(2, axis=0).repeat(2, axis=1)
    here = probabilities(predictor, photo, Tiling())
    unscaled = probabilities(predictor, large, Tiling())
    predictor.scale = 0.5, 0.5
    reduced = probabilities(predictor, large, Tiling())
    assert reduced.shape == (256, 192)
    error, without = (
        np.abs(scores[32:-32:2, 32:-32:2] - here[16:-16, 16:-16]).mean() for scores in (reduced, unscaled)
    )
    assert error < 0.03, "interpolated back, so not equal"
    assert without > 1.5 * error, "the scale makes no difference, so the test could not fail"


def test_a_net_trained_on_whole_photos_resized_sees_others_at_that_scale(tmp_path):
    """Drawn walls of 64 x 64 as 32 x 16: a photo of 200 x 100 is seen at 100 x 25, not squeezed into 32 x 16."""
    out = fit(tmp_path / "r", "--model.net=support.TinyNet", "--trainer.max_epochs=1", "--data.resize=[32,16]")
    assert load(out / run_folder.BEST, "cpu").scaled_size(200, 100) == (100, 25)


def test_bit_depth_format_and_orientation_of_a_photo_do_not_change_its_mask(small_run, tmp_path):
    """The same pixels in other formats give the same probabilities; those of a turned file are upright."""
    image, _ = draw(5, (96, 128))
    plain = tmp_path / "photos"
    plain.mkdir()
    cv2.imwrite(str(plain / "eight.png"), image[..., ::-1])
    cv2.imwrite(str(plain / "sixteen.png"), image[..., ::-1].astype(np.uint16) * 257)
    cv2.imwrite(str(plain / "tiff.TIF"), image[..., ::-1].astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[0x0112] = 6  # stored a quarter turn off
    Image.fromarray(np.ascontiguousarray(np.rot90(image))).save(
        plain / "phone.jpg", quality=100, subsampling=0, exif=exif
    )
    assert predict(small_run, plain, tmp_path / "out", "--probability") == 0
    ends = ("eight", "sixteen", "tiff", "phone")
    eight, sixteen, tiff, phone = (read(tmp_path / "out" / f"{name}_probability.png") / 65535 for name in ends)
    assert eight.std() > 0.01
    np.testing.assert_array_equal(sixteen, eight)
    np.testing.assert_array_equal(tiff, eight)
    assert phone.shape == (96, 128)
    assert np.abs(phone - eight).mean() < eight.std() / 10


def test_tiles_and_one_pass_give_the_same_mask(small_run, tmp_path):
    """With the default overlap, which follows from the net's reach."""
    photo, _ = draw(3, (256, 192))
    predictor = load(small_run / run_folder.BEST, "cpu")
    (tmp_path / "photos").mkdir()
    cv2.imwrite(str(tmp_path / "photos" / "a.png"), photo[..., ::-1])
    assert predict(small_run, tmp_path / "photos", tmp_path / "out", "--tile=64", "--probability") == 0
    found = json.loads((tmp_path / "out" / "predict.json").read_text())
    assert 1 <= found["reach"] <= 3
    assert found["overlap"] == 2 * found["reach"]
    tiled = read(tmp_path / "out" / "a_probability.png") / 65535
    once = probabilities(predictor, photo, Tiling(256, 0))
    assert np.abs(once - tiled).max() < 0.02
    assert ((once > predictor.threshold) == (tiled > predictor.threshold)).mean() > 0.999


def test_a_damaged_photo_is_named_and_the_others_are_done(small_run, photos, tmp_path, capsys):
    (photos / "broken.jpg").write_bytes((photos / "wall.png").read_bytes()[:60])
    (photos / "text.png").write_text("no photo at all")
    out = tmp_path / "masks"
    assert exit_code(predict_call(small_run / run_folder.BEST, photos, out)) == 1
    said = capsys.readouterr()
    assert "2 failed:" in said.err
    assert "broken.jpg" in said.err
    assert "text.png" in said.err
    assert "3 of 5 photos predicted" in said.out
    assert {path.stem for path in out.glob("*.png")} == set(SIZES)


def test_a_photo_whose_results_cannot_be_written_is_named_and_the_others_are_done(small_run, photos, tmp_path, capsys):
    (tmp_path / "masks" / "wall.png").mkdir(parents=True)
    assert exit_code(predict_call(small_run / run_folder.BEST, photos, tmp_path / "masks")) == 1
    assert "wall.png" in capsys.readouterr().err
    assert (tmp_path / "masks" / "large.png").is_file()
    assert not list((tmp_path / "masks").glob(".*")), "no partly written file is left"


def test_a_second_start_predicts_missing_and_changed_photos_alone(small_run, photos, tmp_path, capsys):
    out = tmp_path / "out"
    assert predict(small_run, photos, out) == 0
    first = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    (out / "wall.png").unlink()
    image, _ = draw(9, (50, 60))
    cv2.imwrite(str(photos / "new.png"), image)
    earlier = (photos / "tiny.png").stat().st_mtime_ns - 60 * 10**9
    cv2.imwrite(str(photos / "tiny.png"), draw(8, SIZES["tiny"])[0])
    os.utime(photos / "tiny.png", ns=(earlier, earlier))
    assert predict(small_run, photos, out) == 0
    said = capsys.readouterr().out
    assert "1 of 4 photos are done already" in said
    assert "3 of 3 photos predicted" in said
    changed = {path.name for path in out.iterdir() if path.stat().st_mtime_ns != first.get(path)}
    assert changed == {f"{name}{end}" for name in ("wall", "tiny", "new") for end in (".png", "_overlay.jpg")}
    assert predict(small_run, photos, out, "--probability") == 0, "a file of a further kind is missing"
    assert len(list(out.glob("*_probability.png"))) == 4


@pytest.mark.slow  # starts a process
def test_after_a_kill_all_files_are_whole_and_a_second_start_finishes(small_run, tmp_path):
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for seed in range(12):
        cv2.imwrite(str(photos / f"{seed:02}.png"), draw(seed, (128, 160))[0])
    arguments = [sys.executable, "-m", "cracklab", *predict_call(small_run / run_folder.BEST, photos, out)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment)
    for line in process.stdout:
        if line.startswith("3 of 12"):
            process.kill()
            break
    process.wait()
    done = [path for path in out.glob("[0-9]*.png")]
    assert 0 < len(done) < 12
    assert all(read(path).shape == (128, 160) for path in done)
    assert predict(small_run, photos, out) == 0
    assert len(list(out.glob("[0-9]*.png"))) == 12


def test_another_checkpoint_or_other_settings_in_the_same_folder_are_refused(
    small_run, tiny_run, photos, tmp_path, capsys
):
    out = tmp_path / "out"
    assert predict(small_run, photos, out) == 0
    before = {path: path.read_bytes() for path in out.iterdir()}
    for arguments in (
        predict_call(tiny_run / run_folder.BEST, photos, out),
        predict_call(small_run / run_folder.BEST, photos, out, "--tta=flips"),
        predict_call(small_run / run_folder.BEST, photos, out, "--overlap=96"),
    ):
        assert exit_code(arguments) == 2
        assert "choose another --out" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in out.iterdir()} == before


def test_checkpoints_and_flips_are_averaged(small_run, tmp_path):
    """Against the mean of eight probabilities computed here; the threshold is the mean of both thresholds."""
    content = torch.load(small_run / run_folder.BEST, weights_only=True)
    content["cracklab"]["threshold"] = 0.2
    content["state_dict"]["net.head.1.bias"] += 1
    torch.save(content, tmp_path / "other.ckpt")
    paths = [small_run / run_folder.BEST, tmp_path / "other.ckpt"]
    photo, _ = draw(3, (64, 96))
    both = load(paths, "cpu", flips=True)
    assert both.threshold == pytest.approx((load(paths[:1], "cpu").threshold + 0.2) / 2)
    expected = np.zeros((64, 96))
    for path in paths:
        for turn in (np.s_[:], np.s_[::-1], np.s_[:, ::-1], np.s_[::-1, ::-1]):
            one = probabilities(load(path, "cpu"), photo[turn], Tiling())
            expected += one[turn] / 8
    np.testing.assert_allclose(probabilities(both, photo, Tiling()), expected, atol=1e-4)


def changed(run, name, before, after):
    """Write a copy of a run's checkpoint with other text in its configuration; return it."""
    content = torch.load(run / run_folder.BEST, weights_only=True)
    assert before in content["cracklab"]["config"]
    content["cracklab"]["config"] = content["cracklab"]["config"].replace(before, after)
    torch.save(content, name)
    return name


def test_checkpoints_with_different_interpolations_are_refused(small_run, tmp_path, photos, capsys):
    other = changed(small_run, tmp_path / "other.ckpt", "interpolation: area", "interpolation: bicubic")
    arguments = predict_call(small_run / run_folder.BEST, photos, tmp_path / "out")
    arguments.insert(3, str(other))
    assert exit_code(arguments) == 2
    assert "differ in the interpolation of the photos" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_each_of_several_checkpoints_normalises_photos_as_in_its_training(small_run, tmp_path, photos):
    files = [small_run / run_folder.BEST, changed(small_run, tmp_path / "other.ckpt", "- 0.485", "- 0.9")]
    photo = next(iter(sorted(photos.glob("*.png"))))
    alone = [load(file, "cpu", overlap=32).predict(photo).probability for file in files]
    assert np.abs(alone[0] - alone[1]).max() > 0.01
    both = load(files, "cpu", overlap=32).predict(photo).probability
    np.testing.assert_allclose(both, np.mean(alone, axis=0), atol=1e-6)


def test_the_mask_of_several_classes_holds_their_indices(classes_run, tmp_path, photos):
    """The mask holds the index of the most probable class, and the probability map the probability of that class."""
    content = torch.load(classes_run / run_folder.BEST, weights_only=True)
    assert "num_classes" in content["cracklab"]["config"]
    assert predict(classes_run, photos, tmp_path / "out", "--probability") == 0
    mask, sure = read(tmp_path / "out" / "large.png"), read(tmp_path / "out" / "large_probability.png") / 65535
    assert mask.shape == SIZES["large"]
    assert set(np.unique(mask)) <= {0, 1, 2}
    assert sure.min() >= 1 / 3 - 1e-4
    assert json.loads((tmp_path / "out" / "predict.json").read_text())["threshold"] is None


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--probabilty"], "no option is called '--probabilty'; did you mean '--probability'?"),
        (["--centre-lines", "--batch-sise=2"], "no option is called '--batch_sise'; did you mean '--batch_size'?"),
        (["--tta=flip"], "--tta is 'flip'; did you mean 'flips'?"),
        (["--tile", "large"], "--tile: invalid int value: 'large'"),
        (["--out"], "--out: expected one argument"),
        (["--images", "/nowhere"], "/nowhere names no photo"),
        (["--ckpt_path", "missing.ckpt"], "missing.ckpt does not exist"),
        (["--overlap", "-1"], "overlap is -1: give 0 to 480 px"),
        (["--overlap", "512"], "overlap is 512: give 0 to 480 px"),
        (["--tile", "100"], "tile is 100: give a multiple of 32 px"),
        (["--batch_size", "0"], "batch_size is 0: give 1 or more"),
        (["--device", "quantum"], "device 'quantum' cannot be used"),
    ],
)
def test_a_wrong_call_ends_in_one_message_and_writes_nothing(small_run, photos, tmp_path, capsys, arguments, expected):
    assert exit_code(predict_call(small_run / run_folder.BEST, photos, tmp_path / "masks", *arguments)) == 2
    said = capsys.readouterr().err
    assert expected in said
    assert len(said.splitlines()) == 1
    assert "Traceback" not in said
    assert not (tmp_path / "masks").exists()


def test_nets_of_one_channel_predict_colour_photos(grey_run, tmp_path, photos):
    assert predict(grey_run, photos, tmp_path / "masks") == 0
    assert {path.stem for path in (tmp_path / "masks").glob("*.png")} == set(SIZES)


def test_a_checkpoint_elsewhere_is_enough(small_run, photos, tmp_path):
    """Neither the run folder nor the data is read."""
    shutil.copy(small_run / run_folder.BEST, tmp_path / "alone.ckpt")
    assert main(predict_call(tmp_path / "alone.ckpt", photos, tmp_path / "masks")) == 0
    assert (tmp_path / "masks" / "wall.png").is_file()


def test_the_net_is_rebuilt_from_its_class_path(small_run):
    assert isinstance(restore(small_run / run_folder.BEST).net, TinyNet)
