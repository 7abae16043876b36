"""Parts of one's own: the blocks of CONTRIBUTING.md work from one file outside of the package, through the command line."""

import multiprocessing
import re
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from support import QUICKSTART

from cracklab import run_folder
from cracklab.cli import main
from cracklab.data import cache_key
from cracklab.data.layouts import LAYOUTS
from cracklab.data.transform import EvalTransform
from cracklab.losses import LOSSES, build_loss
from cracklab.metrics import image_scores
from cracklab.plugins import import_all, take
from cracklab.study.inputs import read_inputs
from cracklab.training.command import CrackCLI

ROOT = Path(__file__).resolve().parents[1]
SECTION = (ROOT / "CONTRIBUTING.md").read_text().split("## Your own components")[1].split("\n## ")[0]
BLOCKS = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
SMALL = [
    f"--config={QUICKSTART}", "--import", "my_parts.py", "--model.net=my_parts.Net", "--model.loss=brier", "--data.layout=beside",
    "--data.root=photos", "--data.batch_size=4", "--model.schedule=Constant", "--model.evaluation.surface_every_n_epochs=1",
    "--checkpoint.monitor=val/area_error", "--checkpoint.mode=min", "--trainer.callbacks=my_parts.Auroc", "--trainer.accelerator=cpu",
    "--trainer.enable_progress_bar=false", "--trainer.max_epochs=1", "--panels.images=0",
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def start_folder(tmp_path_factory):
    """Start in a folder with my_parts.py and photos; forget at the end what its parts registered."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "my_parts.py").write_text("\n\n".join(BLOCKS))
    (folder / "photos").mkdir()
    for number in range(12):
        mask = np.zeros((32, 32), np.uint8)
        cv2.line(mask, (0, 2 * number), (31, 31 - number), 255, 2)
        noise = np.random.default_rng(number).integers(0, 40, (32, 32, 3))
        cv2.imwrite(
            str(folder / f"photos/{number}_photo.png"), (180 - 120 * (mask[..., None] > 0) + noise).astype(np.uint8)
        )
        cv2.imwrite(str(folder / f"photos/{number}_crack.png"), mask)
    modules = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "path", [path for path in sys.path if path and Path(path) != Path.cwd()])
        for registry in (LOSSES, LAYOUTS):
            registry.fill()
            patch.setattr(registry, "_classes", dict(registry._classes))
        kept = [
            (mapping, dict(mapping)) for mapping in (image_scores.SCORES, image_scores.SCORES_OF, image_scores.GROUPS)
        ]
        yield folder
        for mapping, before in kept:
            mapping.clear()
            mapping.update(before)
        for name in set(sys.modules) - modules:
            if name.startswith("my_"):
                del sys.modules[name]


@pytest.fixture(scope="module")
def fitted(start_folder):
    assert main(["fit", *SMALL, "--out", "run"]) == 0
    return start_folder / "run"


def refusal(capsys, *arguments: str) -> str:
    """Return the one message of a command that is refused."""
    with pytest.raises(SystemExit) as end:
        main(list(arguments))
    assert end.value.code == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    return line


def test_the_blocks_are_short():
    assert len(BLOCKS) == 5
    assert all(len([line for line in block.splitlines() if line.strip()]) <= 13 for block in BLOCKS)


def test_all_parts_of_one_file_train_and_are_kept_by_the_configuration(fitted):
    config = yaml.safe_load((fitted / run_folder.CONFIG).read_text())
    assert config["import"] == ["my_parts.py"]
    assert config["model"]["net"]["class_path"] == "my_parts.Net"
    row = pd.read_csv(fitted / run_folder.METRICS).iloc[0]
    content = torch.load(fitted / run_folder.BEST, weights_only=True)
    assert next(s for name, s in content["callbacks"].items() if "Checkpoints" in name)["best"] == row["val/area_error"]
    value = build_loss("brier")(
        torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2), valid=torch.tensor([[[[1.0, 1], [0, 0]]]])
    )
    assert value.item() == pytest.approx(0.25)


def test_test_resume_and_predict_follow_the_run(fitted, capsys):
    """`test` knows the file from config.yaml alone; the score is that of the counts; predict asks for the file, and takes it."""
    best, config = str(fitted / run_folder.BEST), str(fitted / run_folder.CONFIG)
    assert main(["test", "--config", config, "--ckpt_path", best]) == 0
    table = pd.read_csv(fitted / run_folder.PER_IMAGE)
    truth = table.tp + table.fn
    np.testing.assert_allclose(table.area_error, (table.fp - table.fn).abs() / truth)
    last = str(fitted / run_folder.LAST)
    assert main(["fit", "--config", config, "--ckpt_path", last, "--out", str(fitted), "--trainer.max_epochs=2"]) == 0
    said = capsys.readouterr().out
    assert "--images PHOTOS --out MASKS --import my_parts.py" in said
    predict = ["predict", "--ckpt_path", best, "--images", "photos/0_photo.png", "--out", "masks", "--device=cpu"]
    message = refusal(capsys, *predict)
    assert "my_parts.Net is not one of the nets" in message
    assert "give --import with the file that defines it" in message
    assert main([*predict, "--import", "my_parts.py"]) == 0
    assert (fitted.parent / "masks/0_photo.png").is_file()


def test_a_changed_layout_of_ones_own_reads_its_images_again(fitted):
    """The layout may be within another one; a comment discards no cache."""
    path, layout = Path("my_parts.py"), LAYOUTS["tiles"](LAYOUTS["beside"](), side=16)
    text, keys = path.read_text(), []
    for change in ("", "\n# a comment\n", "\nX = 1\n"):
        path.write_text(text + change)
        cache_key._code_digest.cache_clear()
        keys.append(cache_key.pairs_key([], layout, EvalTransform()))
    path.write_text(text)
    assert keys[0] == keys[1] != keys[2]


def test_a_net_beside_the_start_is_found_by_its_class_path(start_folder):
    (start_folder / "my_net.py").write_text(BLOCKS[1])
    cli = CrackCLI("fit", [f"--config={QUICKSTART}", "--model.net=my_net.Net"])
    assert type(cli.model.net).__module__ == "my_net"
    assert cli.config["fit"]["import"] == []


def test_predict_does_not_look_for_modules_in_the_start_folder(start_folder, fitted, capsys, monkeypatch):
    """A folder of photos from a stranger may hold Python files."""
    monkeypatch.setattr(sys, "path", [path for path in sys.path if Path(path) != start_folder])
    monkeypatch.delitem(sys.modules, "my_parts")
    predict = ["predict", "--ckpt_path", str(fitted / run_folder.BEST), "--images", "photos", "--out", "masks2"]
    message = refusal(capsys, *predict, "--trust", "my_parts.Net")
    assert "cannot be imported (No module named 'my_parts')" in message
    assert "give the file that defines it with --import" in message


def test_spawned_workers_find_the_file():
    Path("my_light.py").write_text("def double(number):\n    return 2 * number\n")
    (module,) = import_all(["my_light.py"])
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(module.double, (21,)) == 42


def test_kfold_plans_with_the_file_and_hands_it_to_its_runs(capsys):
    assert main(["kfold", *SMALL, "--folds", "2", "--out", "study", "--dry_run"]) == 0
    assert "2 folds = 2 runs" in capsys.readouterr().out
    kept = read_inputs("kfold", SMALL, 2).arguments
    assert kept[kept.index("--import") + 1] == "my_parts.py"


@pytest.mark.slow
def test_the_runs_of_kfold_and_spawned_workers_know_the_file(start_folder):
    """Each run is a process of its own, and its workers are further processes that inherit nothing."""
    Path("my_spawn.py").write_text("import multiprocessing\nmultiprocessing.set_start_method('spawn', force=True)\n")
    more = ["--import=my_spawn.py", "--data.num_workers=1", "--trainer.callbacks=null", "--out=folds"]
    try:
        assert main(["kfold", *SMALL, "--folds", "2", *more]) == 0
    finally:
        multiprocessing.set_start_method(None, force=True)
    assert "area_error" in pd.read_csv("folds/out_of_fold.csv")


def test_names_of_an_overlay_are_added():
    Path("a.yaml").write_text("import: my_a.py\n")
    Path("b.yaml").write_text("import: [my_b.py, my_a.py]\n")
    names, others = take(
        ["--import=my_c.py", "--config", "a.yaml", "--name", "x", "--config=b.yaml", "--import", "my_c.py"]
    )
    assert names == ["my_a.py", "my_b.py", "my_c.py"]
    assert others == ["--config=a.yaml", "--name", "x", "--config=b.yaml"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "there is no such file in"),
        (
            "import os\nx = 1 / 0\n",
            "cannot be imported (ZeroDivisionError: division by zero, my_wrong_1.py:2): correct it",
        ),
        ("def f(:\n", "my_wrong_2.py:1): correct it"),
        (
            BLOCKS[0].replace("brier", "dice"),
            "loss 'dice' is registered twice, by cracklab.losses.region.Dice and my_wrong_3.Brier: rename one",
        ),
        (BLOCKS[3].replace('"area_error"', '"iou"'), "'iou' is the name of another score or column: rename the score"),
        (
            "import missing_thing\n",
            "ModuleNotFoundError: No module named 'missing_thing', my_wrong_5.py:1): correct it",
        ),
    ],
)
def test_a_wrong_file_is_one_message(text, message, request, capsys):
    number = request.node.callspec.indices["text"]
    path = Path(f"my_wrong_{number}.py")
    if text is not None:
        path.write_text(text)
    line = refusal(capsys, "fit", f"--config={QUICKSTART}", "--import", str(path), "--out", "never")
    assert line.startswith(f"error: --import {path}")
    assert message in line
    assert not Path("never").exists()


def test_a_name_that_is_no_module_is_one_message(capsys):
    assert "no module is called 'my_missing'" in refusal(capsys, "losses", "--import", "my_missing")
    Path("json.py").write_text("")
    assert "json is the name of another module" in refusal(capsys, "losses", "--import", "json.py")
