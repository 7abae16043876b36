"""Run folders of somebody else: their configurations name code, and no command that reads them runs it."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
import yaml

from cracklab import plugins
from cracklab.cli import main
from cracklab.study.integrity import kept_files

OLD = Path(__file__).parent / "fixtures" / "release_0_1"
PART = {"class_path": "strange_parts.Part"}


def strange(config):
    """Return a configuration whose every class is that of the module, which it imports too."""
    content = yaml.safe_load(config) | {"import": ["strange_parts.py"]}
    content["model"] |= {"net": PART, "loss": PART, "optimizer": PART}
    content["trainer"] |= {"logger": PART, "callbacks": [PART]}
    content["data"]["layout"] = PART
    return yaml.safe_dump(content)


@pytest.fixture
def marker(tmp_path, monkeypatch):
    """A file that the module writes when it is imported; it lies where the commands start, and beside the runs."""
    for name in ("run", "kfold"):
        shutil.copytree(OLD / name, tmp_path / name)
    shutil.copy(OLD / "wall.png", tmp_path)
    code = f"open({str(tmp_path / 'marker')!r}, 'w').close()\n\n\nclass Part: ...\n"
    for config in tmp_path.rglob("config.yaml"):
        config.write_text(strange(config.read_text()))
        (config.parent / "strange_parts.py").write_text(code)
    (tmp_path / "strange_parts.py").write_text(code)
    for job in (tmp_path / "kfold" / "jobs").glob("*.json"):  # as if the runs had left these files
        files = kept_files(tmp_path / "kfold" / job.stem)
        job.write_text(json.dumps(json.loads(job.read_text()) | {"files": files}))
    checkpoint = tmp_path / "run" / "checkpoints" / "best.ckpt"
    content = torch.load(checkpoint, weights_only=True)
    content["cracklab"]["config"] = strange(content["cracklab"]["config"])
    torch.save(content, checkpoint)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path / "marker"
    sys.modules.pop("strange_parts", None)


CHECKPOINT = ["--ckpt_path", "run/checkpoints/best.ckpt", "--out", "out"]


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (["predict", "--images", "wall.png", *CHECKPOINT], 2),
        (["rank", "wall.png", *CHECKPOINT], 2),
        (["export", *CHECKPOINT], 2),
        (["audit", "--data.layout=synthetic", *CHECKPOINT], 2),
        (["audit", "kfold", "--out", "out"], 2),
        (["report", "run", "--out", "out"], 0),
        (["report", "kfold", "--out", "out"], 0),
    ],
)
def test_the_code_that_a_run_folder_names_is_not_imported(marker, capsys, call, code):
    try:
        found = main(call)
    except SystemExit as end:
        found = end.code
    assert found == code
    assert code == 0 or "strange_parts.Part" in capsys.readouterr().err
    assert not marker.exists()
    assert "strange_parts" not in sys.modules


def test_a_configuration_that_is_named_is_code(marker):
    """So the module does leave its mark where it is imported."""
    plugins.import_all(plugins.take(["--config", "run/config.yaml"])[0])
    assert marker.exists()
