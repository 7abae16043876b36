"""`cracklab predict` on photos of any size, from the checkpoint alone."""

import cv2
import numpy as np
import pytest
import torch
from support import TinyNet, fit

from cracklab import run
from cracklab.cli import main
from cracklab.data.synthetic import draw
from cracklab.data.transform import EvalTransform
from cracklab.predict.tiles import probabilities
from cracklab.restore import restore

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


def predict(tiny_run, photos, out, *more):
    return main(
        [
            "predict",
            "--ckpt_path",
            str(tiny_run / run.BEST),
            "--images",
            str(photos),
            "--out",
            str(out),
            "--device=cpu",
            *more,
        ]
    )


def test_masks_have_the_photos_own_size_and_stem(tiny_run, photos, tmp_path):
    out = tmp_path / "masks"
    assert predict(tiny_run, photos, out) == 0
    assert {path.name for path in out.iterdir()} == {
        f"{name}{end}" for name in SIZES for end in (".png", "_overlay.jpg")
    }
    for name, size in SIZES.items():
        mask = cv2.imread(str(out / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        assert mask.shape == size
        assert mask.dtype == np.uint8
        assert set(np.unique(mask)) <= {0, 255}
        assert cv2.imread(str(out / f"{name}_overlay.jpg")).shape == (*size, 3)


def test_a_photo_of_the_training_size_is_scored_as_test_scores_it(tiny_run):
    """The same net, transform and threshold: the mask is the one that the evaluator saw."""
    restored = restore(tiny_run / run.BEST)
    restored.data.setup("test")
    batch = next(iter(restored.data.test_dataloader()))
    batch = restored.data.on_after_batch_transfer(batch, 0)
    with torch.inference_mode():
        expected = restored.module.probabilities(restored.module(batch["image"]))[0].numpy()
    photo = restored.data.as_photo(batch["image"][0])
    got = probabilities(restored.module, restored.data.transform, photo)
    assert got.shape == (1, 64, 64)
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_tiles_do_not_show_with_a_net_that_sees_little(tiny_run):
    """TinyNet sees 3 px around a pixel, an overlap of half a tile is more than enough away from the border."""
    module = restore(tiny_run / run.BEST).module
    torch.manual_seed(0)
    module.net = TinyNet().eval()
    photo, _ = draw(3, (256, 192))
    whole = probabilities(module, EvalTransform(), photo, tile=512)
    tiled = probabilities(module, EvalTransform(), photo, tile=64, overlap=0.5)
    inside = (slice(None), slice(8, -8), slice(8, -8))
    assert np.abs(whole - tiled)[inside].max() < 0.02


def test_the_scale_of_training_is_used(tiny_run):
    """A photo twice as large, reduced by half as in training, scores like the photo itself."""
    module = restore(tiny_run / run.BEST).module
    photo, _ = draw(3, (128, 96))
    large = photo.repeat(2, axis=0).repeat(2, axis=1)
    here = probabilities(module, EvalTransform(), photo)
    reduced = probabilities(module, EvalTransform(crop=64, resize=32), large)
    assert reduced.shape == (1, 256, 192)
    unscaled = probabilities(module, EvalTransform(), large)
    error, without = (
        np.abs(scores[:, 32:-32:2, 32:-32:2] - here[:, 16:-16, 16:-16]).mean() for scores in (reduced, unscaled)
    )
    assert error < 0.03, "interpolated back, so not equal"
    assert without > 1.5 * error, "the scale makes no difference here, so the test could not fail"


def test_a_damaged_photo_is_named_and_the_others_are_done(tiny_run, photos, tmp_path, capsys):
    (photos / "broken.jpg").write_bytes((photos / "wall.png").read_bytes()[:60])
    with pytest.raises(SystemExit) as end:
        predict(tiny_run, photos, tmp_path / "masks")
    assert end.value.code == 1
    assert "broken.jpg" in capsys.readouterr().err
    assert len(list((tmp_path / "masks").glob("*.png"))) == len(SIZES)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--images", "/nowhere"], "/nowhere names no photo"),
        (["--ckpt_path", "missing.ckpt"], "missing.ckpt does not exist"),
        (["--overlap", "1"], "--overlap 1"),
    ],
)
def test_wrong_calls(tiny_run, photos, tmp_path, capsys, arguments, expected):
    with pytest.raises(SystemExit) as end:
        predict(tiny_run, photos, tmp_path / "masks", *arguments)
    assert end.value.code == 2
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "masks").exists()


def test_a_checkpoint_without_configuration_is_refused(tmp_path, photos, capsys):
    torch.save({"state_dict": {}}, tmp_path / "other.ckpt")
    with pytest.raises(SystemExit) as end:
        main(
            [
                "predict",
                "--ckpt_path",
                str(tmp_path / "other.ckpt"),
                "--images",
                str(photos),
                "--out",
                str(tmp_path / "m"),
            ]
        )
    assert end.value.code == 2
    assert "holds no configuration of cracklab" in capsys.readouterr().err


def test_pretrained_weights_are_not_fetched_again(tmp_path, tiny_run):
    """A checkpoint brings its weights; the net is rebuilt without asking a hub for others."""
    content = torch.load(tiny_run / run.BEST, weights_only=True)
    assert "encoder_weights: null" in content["cracklab"]["config"]
    content["cracklab"]["config"] = content["cracklab"]["config"].replace(
        "encoder_weights: null", "encoder_weights: imagenet"
    )
    torch.save(content, tmp_path / "pretrained.ckpt")
    assert restore(tmp_path / "pretrained.ckpt").module.net is not None


def test_grey_nets_predict_too(tmp_path, photos):
    out = fit(tmp_path / "grey", "--data.channels=1", "--model.net=support.TinyNet", "--trainer.max_epochs=1")
    assert predict(out, photos, tmp_path / "masks") == 0
