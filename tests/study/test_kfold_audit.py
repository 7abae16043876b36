"""Out-of-fold probabilities of `kfold --keep_probabilities`, and `cracklab audit` of that folder."""

import csv
import json
import shutil
import struct
import zlib

import cv2
import numpy as np
import pytest
import yaml
from support import SMALLEST

from cracklab import run_folder
from cracklab.cli import main
from cracklab.study.aggregate import aggregate
from cracklab.study.child import fit_and_test
from cracklab.study.command import arguments_of_flags, parser, plan_study, write_study
from cracklab.study.folder import RunStatus, Study
from cracklab.study.inputs import read_inputs
from cracklab.study.integrity import kept_files
from cracklab.study.worker import arguments_of

pytestmark = pytest.mark.slow  # a kfold in processes of its own


def rows(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Two folds of drawn images; the runs of the plan are performed in this process, which saves seconds."""
    study = Study(tmp_path_factory.mktemp("kept") / "cross")
    flags = arguments_of_flags(parser("kfold").parse_args(["--out", "x", "--keep_probabilities"]))
    inputs = read_inputs("kfold", [*SMALLEST, "--panels.images=0", "--trainer.max_epochs=1", *flags], folds=2)
    write_study(study, plan_study("kfold", inputs), inputs)
    for run in study.plan.runs:
        assert fit_and_test(arguments_of(study, run)) == 0
        study.write_status(run, RunStatus("finished", files=kept_files(study.path(run))))
    aggregate(study)
    return study.folder


def test_each_image_has_the_probabilities_that_its_scores_were_made_of(kept):
    for fold in ("fold_0", "fold_1"):
        threshold = json.loads((kept / fold / run_folder.TEST_METRICS).read_text())["test/threshold"]
        scored = rows(kept / fold / run_folder.PER_IMAGE_NATIVE)
        assert len(list((kept / fold / run_folder.PROBABILITIES).iterdir())) == len(scored) > 0
        for row in scored:
            stored = cv2.imread(str(run_folder.probability_file(kept / fold, row["id"])), cv2.IMREAD_UNCHANGED)
            assert stored.shape == (32, 32)
            sure = np.abs(stored / 255 - threshold) > 1 / 255
            predicted = float(row["tp"]) + float(row["fp"])
            assert abs(predicted - (stored / 255 >= threshold).sum()) <= (~sure).sum()


def test_a_kfold_is_audited_from_its_folder_alone(kept, capsys):
    assert main(["audit", str(kept)]) == 0
    assert "14 masks" in capsys.readouterr().out
    assert {path.name for path in (kept / "audit").iterdir()} == {"audit.csv", "audit.html", "exclude.txt"}
    first = (kept / "audit" / "audit.csv").read_bytes()
    assert main(["audit", str(kept), "--out", str(kept.parent / "again")]) == 0
    assert (kept.parent / "again" / "audit.csv").read_bytes() == first


def damaged(kept, folder, change):
    copy = folder / "copy"
    shutil.copytree(kept, copy)
    change(copy)
    return copy


def plan(copy, **changes):
    content = yaml.safe_load((copy / "study.yaml").read_text())
    content["runs"][0].update(changes)
    (copy / "study.yaml").write_text(yaml.safe_dump(content))


def huge(path):
    """A PNG that claims more pixels than the memory holds."""
    head = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head)) + b"\0\0\0\0IEND"
    )


def list_since(copy):
    """An image that was trained on is left out by the list now."""
    path, listed = copy / "fold_0" / run_folder.CONFIG, copy / "list.txt"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    content["data"]["exclude"] = str(listed)
    path.write_text(yaml.safe_dump(content))
    listed.write_text(rows(copy / "fold_0" / run_folder.PER_IMAGE_NATIVE)[0]["id"])
    study = Study(copy)
    run = study.plan.runs[0]
    study.write_status(run, RunStatus("finished", files=kept_files(study.path(run))))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (list_since, "list.txt' has changed: restore the list"),
        (lambda copy: shutil.rmtree(copy / "fold_1"), "unfinished, 1 of 2"),
        (lambda copy: shutil.rmtree(copy / "fold_0" / run_folder.PROBABILITIES), "--keep_probabilities"),
        (lambda copy: (copy / "study.yaml").unlink(), "holds no study.yaml"),
        (lambda copy: (copy / "fold_0" / run_folder.PER_IMAGE_NATIVE).unlink(), "per_image_native.csv gone"),
        (lambda copy: plan(copy, folder="../copy/fold_0"), "not a valid plan"),
        (lambda copy: plan(copy, labels=None), "not a valid plan"),
        (lambda copy: huge(next((copy / "fold_0" / run_folder.PROBABILITIES).iterdir())), "60000 x 60000"),
        (
            lambda copy: (copy / "data.json").write_text(json.dumps({"no/photo.png": [1, 2, 3, "x"]})),
            "paths are relative",
        ),
        (lambda copy: (copy / "data.json").write_text(json.dumps({"/no/photo.png": [1, 2, 3, "x"]})), "photo.png gone"),
    ],
)
def test_a_folder_that_cannot_be_audited_is_one_message(kept, tmp_path, capsys, change, said):
    copy = damaged(kept, tmp_path, change)
    with pytest.raises(SystemExit):
        main(["audit", str(copy), "--out", str(tmp_path / "out")])
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_configuration_in_a_run_folder_runs_no_code(kept, tmp_path, capsys):
    """The configuration of a run is data here: a class that is no layout is refused before it is imported."""
    marker = tmp_path / "ran"

    def attack(copy):
        path = copy / "fold_0" / run_folder.CONFIG
        config = yaml.safe_load(path.read_text())
        (tmp_path / "evil_layout.py").write_text(f"open({str(marker)!r}, 'w')\n")
        config["data"]["layout"] = {"class_path": "evil_layout.Layout", "init_args": {}}
        path.write_text(yaml.safe_dump(config))
        status = copy / "jobs" / "fold_0.json"
        content = json.loads(status.read_text())
        content["files"].pop(run_folder.CONFIG)  # as one who makes such a folder would
        status.write_text(json.dumps(content))

    copy = damaged(kept, tmp_path, attack)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        with pytest.raises(SystemExit):
            main(["audit", str(copy), "--out", str(tmp_path / "out")])
    assert "no layout is registered as 'evil_layout.Layout'" in capsys.readouterr().err
    assert not marker.exists()


def test_flags_of_kfold_become_arguments_of_fit():
    options = parser("kfold").parse_args(["--out", "x", "--pool", "--keep_probabilities"])
    assert arguments_of_flags(options) == ["--data.pool=true", "--probabilities.keep=true"]
    assert arguments_of_flags(parser("study").parse_args(["--out", "x"])) == []


def test_a_study_is_no_kfold(kept, tmp_path, capsys):
    def as_study(copy):
        path = copy / "study.yaml"
        path.write_text(path.read_text().replace("command: kfold", "command: study"))

    assert Study(kept).plan.command == "kfold"
    with pytest.raises(SystemExit):
        main(["audit", str(damaged(kept, tmp_path, as_study))])
    assert "give a kfold" in capsys.readouterr().err
