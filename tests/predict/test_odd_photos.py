"""One photo that cannot be predicted never stops the others."""

import os

import cv2
from predict_cases import exit_code, predict_call

from cracklab import run_folder
from cracklab.synthetic.draw import draw


def test_odd_photos_are_named_and_the_others_are_done(small_run, tmp_path, capsys):
    photos, out = tmp_path / "photos", tmp_path / "masks"
    photos.mkdir()
    jpeg = cv2.imencode(".jpg", draw(1, (64, 96))[0])[1].tobytes()
    good = ("a.jpg", "wänd ☃.jpg", "=1+1.jpg", "n" * 239 + ".jpg")
    for name in (*good, "m" * 251 + ".jpg"):
        (photos / name).write_bytes(jpeg)
    (photos / "cut.jpg").write_bytes(jpeg[: len(jpeg) // 2] + b"\xff\xd9")
    (photos / "zero.png").write_bytes(b"")
    (photos / "folder.png").mkdir()
    (photos / "broken.png").symlink_to("missing.png")
    os.mkfifo(photos / "pipe.png")
    cv2.imwrite(str(photos / "large.png"), draw(1, (200, 300))[0])
    call = predict_call(small_run / run_folder.BEST, photos, out, "--max_megapixels=0.05")
    assert exit_code(call) == 1
    said = capsys.readouterr()
    assert "4 of 11 photos predicted" in said.out
    for name in ("m" * 251, "cut.jpg", "zero.png", "folder.png", "broken.png", "pipe.png", "large.png"):
        assert name in said.err
    assert "(File name too long): choose a shorter path" in said.err
    assert {path.name for path in out.glob("*.png")} == {f"{name[:-4]}.png" for name in good}
    assert not list(out.glob(".*"))
    assert exit_code([*call, "--max_megapixels=0"]) == 2
    assert "max_megapixels 0: give more than 0" in capsys.readouterr().err
