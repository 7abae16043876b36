"""Runs, calls and files that the tests of prediction share."""

from functools import partial

import cv2
from support import ROOT

from cracklab.cli import main
from cracklab.predict import load as loading
from cracklab.predict import trained_model
from cracklab.synthetic.draw import draw

OWN = ["support.TinyNet"]
"""The net of the tests' own that `predict_call`, `load` and `restore` trust."""
load = partial(loading.load, trust=OWN)
restore = partial(trained_model.restore, trust=OWN)


def predict_call(checkpoint, photos, out, *more):
    """Return the arguments of `cracklab predict` on a CPU."""
    return [
        "predict",
        "--ckpt_path",
        str(checkpoint),
        "--images",
        str(photos),
        "--out",
        str(out),
        "--device=cpu",
        *(f"--trust={path}" for path in OWN),
        *more,
    ]


def exit_code(arguments):
    """Return the exit code of a command."""
    try:
        return main(arguments)
    except SystemExit as end:
        return end.code


def read(path):
    """Read an image file as it is stored."""
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def fit_three_classes(folder):
    """Train TinyNet on three classes of a dozen drawn masks; return the run folder."""
    for seed in range(12):
        image, mask = draw(seed, (64, 64))
        mask[:20] += 1
        for name, array in (("images", image[..., ::-1]), ("masks", mask)):
            (folder / "data" / name).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / "data" / name / f"{seed}.png"), array)
    config = ROOT / "configs" / "base.yaml"
    arguments = ["fit", "--config", str(config), "--config", str(ROOT / "configs" / "data" / "folders.yaml")]
    arguments += ["--data.root", str(folder / "data"), "--data.layout.num_classes=3", "--model.net=support.TinyNet"]
    arguments += ["--model.loss=dice", "--trainer.max_epochs=1", "--data.num_workers=0", "--data.batch_size=4"]
    arguments += ["--trainer.enable_progress_bar=false", "--trainer.accelerator=cpu", "--data.group=(.*)"]
    assert main([*arguments, "--out", str(folder / "classes")]) == 0
    return folder / "classes"
