"""W&B: offline by itself, one run id across resumes; the contents of offline runs are read back from their files."""

import csv
import json
import os
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer

import pytest
import torch
import yaml
from offline_runs import Offline
from support import QUICKSTART, ROOT, SMALLEST, TINY, fit, run_process

from cracklab import run_folder
from cracklab.cli import main
from cracklab.loggers import wandb as loggers
from cracklab.loggers.identity import Identity
from cracklab.losses import LOSSES

pytestmark = pytest.mark.slow  # real runs, read back from the files of W&B


@pytest.fixture
def free(monkeypatch, tmp_path):
    """An environment without a W&B mode or a login."""
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


def test_wandb_is_offline_without_a_key(free):
    assert loggers.choose_mode() == "offline"


def test_wandb_is_online_with_a_key_and_a_server_whatever_it_answers(free, monkeypatch):
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:  # answers 501 to everything
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.server_port}")
        assert loggers.choose_mode() == "online"
        server.shutdown()


@pytest.fixture
def silent():
    """The address of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_server_that_accepts_and_never_answers_is_not_reachable(silent):
    assert loggers.unreachable(silent, 0.2) == "127.0.0.1 does not answer within 0.2 s"


@pytest.fixture
def hanging():
    """The address of a server that answers the probe, and then no request."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            time.sleep(120)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.block_on_close = False
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "mode"), [("silent", "auto"), ("silent", "online"), ("hanging", "auto")])
def test_a_run_with_a_silent_server_is_offline_within_15_seconds(free, request, tmp_path, kind, mode):
    """Whether the probe finds it silent, or the start of the run."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    environment |= {
        "WANDB_API_KEY": "x" * 40,
        "WANDB_BASE_URL": request.getfixturevalue(kind),
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}",
    }
    call = ["fit", "--config", str(QUICKSTART), *TINY, "--model.net=support.TinyNet", "--data.layout.train=8"]
    seconds = {}
    for name in ("disabled", mode):
        began = time.monotonic()
        output = tmp_path / f"{name}.txt"
        assert run_process([*call, f"--wandb.mode={name}", "--out", str(tmp_path / name)], environment, output) == 0
        seconds[name] = time.monotonic() - began
    warnings = [line for line in output.read_text().splitlines() if "W&B" in line]
    assert len(warnings) == 1
    assert warnings[0].startswith("warning: W&B is offline")
    assert list(tmp_path.glob(f"{mode}/wandb/offline-run-*"))
    assert seconds[mode] < seconds["disabled"] + 15


def test_wandb_is_offline_if_the_server_does_not_answer(free, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    assert loggers.choose_mode() == "offline"


def test_a_key_in_netrc_is_found(free, tmp_path):
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password " + "x" * 40)
    assert loggers.has_key()


def test_a_netrc_that_cannot_be_read_is_no_key(monkeypatch):
    """Of another user, or of one without a home."""
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", "~no_such_user/netrc")
    assert not loggers.has_key()
    monkeypatch.setenv("NETRC", "/" + "x" * 300)  # an error of the system, also for an administrator
    assert not loggers.has_key()


def test_disabled_wandb_is_no_logger(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert loggers.wandb_logger(loggers.WandbSettings(), tmp_path, "run") is False


def test_every_run_folder_has_its_own_wandb_id_from_the_opening_of_its_run_on(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.delenv("WANDB_RUN_ID", raising=False)
    with loggers.wandb_session():
        for name in "ab":
            logger = loggers.wandb_logger(
                loggers.WandbSettings(), tmp_path / name, Identity("name", "group", "train", ())
            )
            assert not (tmp_path / name).exists()
            loggers.open_run(logger)
            assert loggers.run_id(tmp_path / name) == logger._id
    assert loggers.run_id(tmp_path / "a") != loggers.run_id(tmp_path / "b")


def test_a_trainer_that_cannot_be_built_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WANDB_MODE", "offline")
    (tmp_path / "empty").mkdir()
    for name in ("empty", "new"):
        with pytest.raises(SystemExit):
            main(["fit", *SMALLEST, "--trainer.strategy=no_such_strategy", "--out", str(tmp_path / name)])
        assert "no_such_strategy" in capsys.readouterr().err
    assert list(tmp_path.rglob("*")) == [tmp_path / "empty"]


@pytest.fixture(scope="module")
def offline(tmp_path_factory):
    """The offline W&B run of a fit of two epochs, its resume in a second process and its test in a third."""
    out = tmp_path_factory.mktemp("runs") / "wandb"
    free = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    free |= {"NETRC": str(out.parent / "netrc"), "WANDB_TAGS": "mine,paper"}
    more = [
        "--data.fold=1",
        "--data.folds=2",
        "--model.net=support.TinyNet",
        "--model.schedule=Constant",
        "--model.loss=distance_aware",
        "--model.loss.learnable=true",
        "--trainer.log_every_n_steps=1",
    ]
    start = ["fit", "--config", str(QUICKSTART), *TINY, *more, "--out", str(out)]
    resumed = [*start, "--ckpt_path", str(out / run_folder.LAST), "--trainer.max_epochs=3"]
    # of another name and seed: it continues the W&B run of the fit as that is named
    test = ["test", "--config", str(out / run_folder.CONFIG), "--ckpt_path", str(out / run_folder.BEST)]
    test += ["--name=other", "--seed_everything=7"]
    # processes of their own, as in life: within one, W&B gives every offline run of an id the same folder
    for call in (start, resumed, test):
        assert run_process(call, free) == 0
    return out, Offline(out)


def test_a_resumed_run_continues_its_wandb_run(offline):
    out, found = offline
    assert found.ids == {loggers.run_id(out)}
    name = "quickstart distance_aware seed 42 fold 1/2"
    assert found.identities == {(name, "quickstart", "fold", ("mine", "paper"))}  # the tags of the user
    assert len(found.curve("val/iou")) == len(found.curve("train/loss")) == 3
    assert len(found.curve("train/loss/beta")) == 3
    assert all(value > 0 for value in found.curve("resources/images_per_s"))
    assert any(key.startswith("lr-") for row in found.rows for key in row)
    rows = list(csv.DictReader((out / run_folder.METRICS).open()))
    assert found.curve("val/iou") == pytest.approx([float(row["val/iou"]) for row in rows])


def test_metrics_have_the_epoch_as_axis_and_the_best_value_as_summary(offline):
    _, found = offline
    assert {found.axes[name].step_metric for name in ("val/iou", "val/hd95_px", "train/loss")} == {"epoch"}
    assert found.axes["val/iou"].summary.max
    assert found.axes["val/iou@0.5"].summary.max
    assert found.axes["val/hd95_px"].summary.min
    assert found.axes["val/loss"].summary.min
    assert found.summary["best/val/iou"] == max(found.curve("val/iou"))
    assert "protocols/chen2023/f1" in found.summary


def test_the_table_of_runs_has_short_keys_beside_the_configuration(offline):
    _, found = offline
    short = {"loss": "distance_aware", "net": "TinyNet", "data": "synthetic", "seed": 42, "fold": 1, "folds": 2}
    assert {key: found.config[key] for key in short} == short
    assert found.config["config"]["model"]["loss"]["class_path"].endswith("distance_aware")
    assert found.config["config"]["data"]["batch_size"] == 8
    assert {"memory_percent", "proc.memory.rssMB"} <= found.system


def test_images_are_logged_as_a_table_with_masks_maps_and_scores(offline):
    _, found = offline
    columns, rows, shown = found.table("val/images")
    assert columns[:5] == ["id", "image", "probability", "distance", "weight"]
    assert {"iou", "hd95_px", "boundary_iou", "loss"} <= set(columns)
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    masks = rows[0][1]["masks"]
    assert set(masks) == {"truth", "prediction"}
    assert len([path for path in shown if path.endswith(".png")]) >= 6 * 3
    assert all(isinstance(row[columns.index("iou")], float) for row in rows)


def test_threshold_curves_and_pictures_are_logged(offline):
    out, found = offline
    columns, rows, _ = found.table("val/threshold_chart_table")
    assert len(rows) == 4 * 101
    assert {"lineKey", "lineVal"} <= set(columns)
    keys = {key for row in found.rows for key in row}
    for stage in ("val", "test"):
        for name in ("threshold_curve", "precision_recall", "distance_errors"):
            assert any(key.startswith(f"{stage}/{name}") for key in keys)
            assert (out / run_folder.PANELS / f"{stage}_{name}.png").is_file()
    assert any(key.startswith("val/panels") for key in keys)


def test_the_best_checkpoint_is_an_artifact_with_its_metrics(offline):
    out, found = offline
    artifact = found.artifacts[f"checkpoint-{loggers.run_id(out)}"]
    assert [entry.path for entry in artifact.manifest.contents] == ["best.ckpt"]
    facts = json.loads(artifact.metadata)
    content = torch.load(out / run_folder.BEST, weights_only=True)
    assert facts["threshold"] == content["cracklab"]["threshold"]
    assert facts["best/val/iou"] == max(found.curve("val/iou"))
    assert facts["epoch"] == content["epoch"]


def test_without_a_logger_every_file_is_in_the_run_folder(tiny_run):
    assert not (tiny_run / "wandb").exists()
    rows = list(csv.DictReader((tiny_run / run_folder.RESOURCES).open()))
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert all(float(row["images_per_s"]) > 0 and 0 < float(row["validation_share"]) < 1 for row in rows)
    panels = {path.name for path in (tiny_run / run_folder.PANELS).iterdir()}
    kinds = {f"test_{kind}_iou.png" for kind in ("worst", "median", "best")}
    curves = {f"{stage}_{name}.png" for stage in ("val", "test") for name in ("threshold_curve", "precision_recall")}
    assert {"epoch_0002.png", *kinds, *curves} <= panels


def test_the_agent_of_a_sweep_sets_the_id(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_RUN_ID", "of-the-agent")
    assert loggers.run_id(tmp_path) == "of-the-agent"


def test_the_keys_of_the_sweep_exist(tmp_path):
    """Run the agent's command with the first value of every parameter; the metric of the sweep must be logged."""
    path = ROOT / "configs" / "studies" / "sweep_wandb.yaml"
    sweep = yaml.safe_load(path.read_text())
    chosen = {
        name: choice["values"][0] if "values" in choice else choice["min"]
        for name, choice in sweep["parameters"].items()
    }
    program, *call = [part for part in sweep["command"] if not part.startswith("${")]
    assert program == "cracklab"
    call += [f"--{name}={value}" for name, value in chosen.items()] + TINY + ["--model.net=support.TinyNet"]
    assert main([*call, "--trainer.max_epochs=1", "--out", str(tmp_path / "run")]) == 0
    assert sweep["metric"] == {"name": "best/val/iou", "goal": "maximize"}
    resolved = yaml.safe_load((tmp_path / "run" / run_folder.CONFIG).read_text())["model"]
    assert resolved["optimizer"]["init_args"]["lr"] == sweep["parameters"]["model.optimizer.lr"]["min"]
    assert all(name in LOSSES for name in sweep["parameters"]["model.loss"]["values"])


def test_tensorboard_writes_into_the_run_folder(tmp_path):
    pytest.importorskip("tensorboard")
    out = fit(tmp_path / "run", "--model.net=support.TinyNet", "--trainer.logger=TensorBoard", "--trainer.max_epochs=1")
    assert list((out / "tensorboard").glob("events.out.tfevents.*"))
