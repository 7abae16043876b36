"""The command line from the outside: arguments in, exit codes, messages and files out."""

import ast
import csv
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from support import QUICKSTART, TINY, fit

from cracklab import run_folder
from cracklab.cli import main


def refused(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    """Return the message of a wrong call; checks exit code 2, one message, no traceback."""
    with pytest.raises(SystemExit) as end:
        main(list(args))
    assert end.value.code == 2
    message = capsys.readouterr().err
    assert "Traceback" not in message
    assert message.startswith("error: ") or "\nerror: " in message
    return message


HEAVY = ("albumentations", "lightning", "matplotlib", "monai", "numba", "onnxruntime", "pandas", "segmentation_models_pytorch",
         "timm", "torch", "torchvision", "wandb")  # fmt: skip
"""Libraries that take a second or more to import."""
HELP = ("", "audit", "export", "kfold", "losses", "measure", "models", "predict", "rank", "report", "study")
"""Commands whose help is not built from classes."""
WAITED_FOR = {"losses": {"torch"}, "measure": {"numba"}}
"""Command -> the heavy libraries that its help waits for."""


@pytest.mark.parametrize("command", HELP)
def test_help_waits_for_no_heavy_library(command):
    program = (
        "import sys\nfrom cracklab.cli import main\ntry:\n    main(sys.argv[1:])\nexcept SystemExit as end:\n    assert not end.code\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    call = [sys.executable, "-c", program, *([command] if command else []), "--help"]
    answer = subprocess.run(call, capture_output=True, text=True, check=True).stdout
    assert answer.startswith(f"usage: cracklab {command or 'COMMAND'}")
    assert set(ast.literal_eval(answer.splitlines()[-1])) <= WAITED_FOR.get(command, set())


@pytest.mark.slow  # builds the classes of a training
def test_help_of_fit_waits_for_no_net():
    program = "import sys\nfrom cracklab.cli import main\ntry:\n    main(['fit', '--help'])\nexcept SystemExit:\n    print(*sys.modules)"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert not {"timm", "segmentation_models_pytorch", "wandb", "onnxruntime"} & set(answer.splitlines()[-1].split())


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["--model.loss.help", "distance_aware"], "beta"),
        (["--import", "json", "--data.layout.help=folders"], "mask_pattern"),
    ],
)
def test_help_of_a_class_lists_its_options(arguments, option, capsys):
    with pytest.raises(SystemExit) as end:
        main(["fit", *arguments])
    said = capsys.readouterr()
    assert (end.value.code, said.err) == (0, "")
    assert option in said.out


def test_a_misspelt_command_names_the_nearest_one(capsys):
    assert "'fitt'; did you mean 'fit'?" in refused(capsys, "fitt")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--model.loss", "distance_awre"], ["model.loss", "distance_awre", "distance_aware"]),
        (["--model.loss", "distance_aware", "--model.loss.bta", "5"], ["bta", "beta"]),
        (["--model.loss", "distance_aware", "--model.loss.beta", "five"], ["beta", "five"]),
        (["--model.loss", "distance_aware", "--model.loss.sigma", "-1"], ["sigma", "-1"]),
        (["--data.batch_sise", "4"], ["data.batch_sise", "data.batch_size"]),
        (["--data.batch_size", "four"], ["data.batch_size", "four"]),
        (["--model.net", "segmentation_models_pytorch.Unett"], ["model.net", "Unett"]),
        (["--model.net.encoder_nam", "resnet18"], ["encoder_nam", "encoder_name"]),
        (["--model.net.encoder_name", "resnet81"], ["resnet81"]),
        (["--data.layout", "foldres"], ["data.layout", "foldres", "folders"]),
        (["--data.layout", "folders", "--data.root", "/nowhere/at/all"], ["/nowhere/at/all", "data.root"]),
        (["--trainer.max_epoch", "3"], ["trainer.max_epoch", "trainer.max_epochs"]),
        (["--config", "missing.yaml"], ["missing.yaml", "does not exist"]),
        (["--config", "cracklab:quikstart"], ["quikstart", "quickstart"]),
        (["--ckpt_path", "missing.ckpt"], ["missing.ckpt", "does not exist"]),
        (["--model.evaluation.threshold", "1.5"], ["evaluation.threshold", "1.5"]),
        (["--checkpoint.every_n_epoch", "2"], ["checkpoint.every_n_epoch", "checkpoint.every_n_epochs"]),
    ],
)
def test_invalid_arguments_give_one_message_with_value_and_remedy(capsys, tmp_path, monkeypatch, arguments, expected):
    monkeypatch.chdir(tmp_path)
    message = refused(capsys, "fit", "--config", str(QUICKSTART), *TINY[:6], *arguments)
    for word in expected:
        assert word in message
    assert not list(tmp_path.iterdir()), "something was written before the call was refused"


def test_a_misspelt_key_in_a_file_names_the_nearest_one(capsys, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text("data: {bach_size: 4}\n")
    message = refused(capsys, "fit", "--config", str(QUICKSTART), "--config", str(config))
    assert "bach_size" in message
    assert "batch_size" in message


def test_test_without_a_checkpoint_is_refused(capsys):
    assert "--ckpt_path" in refused(capsys, "test", "--config", str(QUICKSTART))


def test_the_run_folder_has_the_files_of_the_contract(tiny_run):
    written = {path.relative_to(tiny_run).as_posix() for path in tiny_run.rglob("*") if path.is_file()}
    assert {
        "config.yaml",
        "metrics.csv",
        "environment.json",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
    } <= written
    assert {"test_metrics.json", "per_image.csv"} <= written
    assert any(name.startswith("panels/") for name in written)
    assert not [name for name in written if Path(name).name.startswith(".")], "half-written files are left"


def test_metrics_csv_has_one_row_per_epoch(tiny_run):
    rows = list(csv.DictReader((tiny_run / run_folder.METRICS).open()))
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert [row["step"] for row in rows] == ["3", "6"]
    assert all(0 <= float(row["val/iou"]) <= 1 and float(row["train/loss"]) > 0 for row in rows)


def test_test_metrics_are_flat_finite_and_equal_to_the_rows_aggregated(tiny_run):
    metrics = json.loads((tiny_run / run_folder.TEST_METRICS).read_text())
    assert all(isinstance(value, float | int | None) for value in metrics.values())
    rows = list(csv.DictReader((tiny_run / run_folder.PER_IMAGE).open()))
    assert next(iter(rows[0])) == "id"
    assert [row["id"] for row in rows] == [f"test-{i:05d}" for i in range(7)]
    mean = sum(float(row["iou"]) for row in rows) / 7
    assert metrics["test/iou_image"] == pytest.approx(mean)
    assert {
        "test/iou",
        "test/iou@0.5",
        "test/dice",
        "test/precision",
        "test/recall",
        "test/hd95_px",
        "test/boundary_iou",
        "test/loss",
    } <= metrics.keys()


def test_config_yaml_starts_the_same_run_elsewhere(tiny_run, tmp_path):
    config = yaml.safe_load((tiny_run / run_folder.CONFIG).read_text())
    assert not {"out", "ckpt_path"} & config.keys()
    assert main(["fit", "--config", str(tiny_run / run_folder.CONFIG), "--out", str(tmp_path / "again")]) == 0
    assert (tmp_path / "again" / run_folder.CONFIG).read_text() == (tiny_run / run_folder.CONFIG).read_text()
    first, again = (
        torch.load(folder / run_folder.LAST, weights_only=True)["state_dict"]
        for folder in (tiny_run, tmp_path / "again")
    )
    assert first.keys() == again.keys()
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_checkpoints_hold_only_text_and_numbers(tiny_run):
    content = torch.load(tiny_run / run_folder.BEST, weights_only=True)
    own = content["cracklab"]
    assert own.pop("class_names") == ["crack"]
    assert all(isinstance(value, str | int | float) for value in own.values())
    assert yaml.safe_load(own["config"]) == yaml.safe_load((tiny_run / run_folder.CONFIG).read_text())
    assert "hyper_parameters" not in content


def test_test_changes_no_file_that_fit_wrote(tiny_run):
    names = [run_folder.CONFIG, run_folder.METRICS, run_folder.ENVIRONMENT, run_folder.BEST, run_folder.LAST]
    before = {name: ((tiny_run / name).read_bytes(), (tiny_run / name).stat().st_mtime_ns) for name in names}
    time.sleep(0.01)
    assert (
        main(["test", "--config", str(tiny_run / run_folder.CONFIG), "--ckpt_path", str(tiny_run / run_folder.BEST)])
        == 0
    )
    assert before == {name: ((tiny_run / name).read_bytes(), (tiny_run / name).stat().st_mtime_ns) for name in names}


def test_fit_refuses_a_used_folder(capsys, tiny_run):
    message = refused(capsys, "fit", "--config", str(QUICKSTART), *TINY, "--out", str(tiny_run))
    assert "already holds a run" in message
    assert "--ckpt_path" in message


def test_validate_writes_and_prints_the_scores_of_a_checkpoint(tiny_run, tmp_path, capsys):
    out = tmp_path / "validation"
    assert (
        main(
            [
                "validate",
                "--config",
                str(tiny_run / run_folder.CONFIG),
                "--ckpt_path",
                str(tiny_run / run_folder.BEST),
                "--out",
                str(out),
            ]
        )
        == 0
    )
    best = max(float(row["val/iou"]) for row in csv.DictReader((tiny_run / run_folder.METRICS).open()))
    file = out / "val_metrics.json"
    assert json.loads(file.read_text())["val/iou"] == pytest.approx(best, abs=1e-9)
    shown = capsys.readouterr().out
    assert re.search(r"\d+ validation images at threshold .*:\n  IoU           " + f"{best:.4f}", shown)
    assert f"all scores, as in {file}:" in shown
    assert "Validate metric" not in shown  # Lightning's table


def test_a_checkpoint_that_needs_unpickling_is_refused(capsys, tiny_run, tmp_path):
    class Hostile:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "it ran",))

    torch.save({"cracklab": Hostile()}, tmp_path / "hostile.ckpt")
    message = refused(
        capsys, "test", "--config", str(tiny_run / run_folder.CONFIG), "--ckpt_path", str(tmp_path / "hostile.ckpt")
    )
    assert "hostile.ckpt" in message
    assert not (tmp_path / "it ran").exists()


def test_every_loss_trains_with_the_maps_that_it_names(tmp_path):
    from cracklab.losses import LOSSES

    for name in ("bce", "distance_aware", "boundary"):  # no map, the distance, the signed distance
        assert name in LOSSES
        out = fit(tmp_path / name, "--model.loss", name, "--model.net=support.TinyNet", "--trainer.max_epochs=1")
        row = next(csv.DictReader((out / run_folder.METRICS).open()))
        assert float(row["val/loss"]) == pytest.approx(float(row["val/loss"]))


def test_a_loss_of_another_library_trains_and_fit_ends_with_the_next_commands(tmp_path, capsys):
    out = fit(
        tmp_path / "monai",
        "--model.loss",
        "monai.losses.DiceLoss",
        "--model.loss.sigmoid",
        "true",
        "--model.net=cracklab.models.UNet",
        "--model.net.widths=[8,16]",
        "--trainer.max_epochs=1",
    )
    assert "monai.losses" in (out / run_folder.CONFIG).read_text()
    said = capsys.readouterr().out
    score = float(next(csv.DictReader((out / run_folder.METRICS).open()))["val/iou"])
    assert f"best val/iou: {score:.4f} in epoch 1 of 1" in said
    assert f"  cracklab test --config {out / run_folder.CONFIG} --ckpt_path {out / run_folder.BEST}" in said
    assert f"  cracklab predict --ckpt_path {out / run_folder.BEST} --images PHOTOS --out MASKS" in said
    assert "FLOPs" not in said


def test_a_monai_net_trains_on_grey_images(tmp_path):
    net = {
        "class_path": "monai.networks.nets.AttentionUnet",
        "init_args": {"spatial_dims": 2, "in_channels": 3, "out_channels": 5, "channels": [8, 16], "strides": [2]},
    }
    config = tmp_path / "net.yaml"
    config.write_text(yaml.safe_dump({"model": {"net": net}, "data": {"channels": 1}}))
    tiny = [argument for argument in TINY if "model.net" not in argument]
    assert (
        main(
            [
                "fit",
                "--config",
                str(QUICKSTART),
                *tiny,
                "--config",
                str(config),
                "--out",
                str(tmp_path / "run"),
                "--trainer.max_epochs=1",
            ]
        )
        == 0
    )
    resolved = yaml.safe_load((tmp_path / "run" / run_folder.CONFIG).read_text())["model"]["net"]["init_args"]
    assert (resolved["in_channels"], resolved["out_channels"]) == (1, 1)


@pytest.mark.parametrize(
    ("call", "right"),
    [
        (["predict", "--imges", "x"], "--images"),
        (["measure", "x.png", "--mm-per-pix", "1"], "--mm_per_px"),
        (["export", "--ckpt-pth=x"], "--ckpt_path"),
        (["losses", "--helth"], "--health"),
        (["models", "--confg", "x"], "--config"),
        (["report", "x", "--metrc", "test/iou"], "--metric"),
    ],
)
def test_a_misspelt_option_of_a_plain_command_names_the_nearest_one(call, right, capsys):
    """Also if a required argument is missing at the same time."""
    with pytest.raises(SystemExit) as end:
        main(call)
    said = capsys.readouterr().err
    assert end.value.code == 2
    assert said.count("\n") == 1
    assert f"did you mean '{right}'" in said
