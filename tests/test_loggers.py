"""W&B: offline by itself, never a hang, one run id across resumes; what it holds is read back from the offline run."""

import json
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import QUICKSTART, ROOT, TINY, fit

from cracklab import loggers, run


@pytest.fixture
def free(monkeypatch, tmp_path):
    """As on a machine where nobody chose a mode or logged in."""
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


def test_offline_without_a_key(free):
    assert loggers.choose_mode() == "offline"


def test_online_with_a_key_and_a_server(free, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        assert loggers.choose_mode() == "online"


def test_offline_with_a_key_but_no_server(free, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    assert loggers.choose_mode() == "offline"


def test_a_key_in_netrc_counts(free, tmp_path):
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password " + "x" * 40)
    assert loggers.has_key()


def test_disabled_means_no_logger(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert loggers.wandb_logger(loggers.WandbSettings(), tmp_path, "run") is False


def test_one_id_a_folder(tmp_path):
    first = loggers.run_id(tmp_path / "a")
    assert loggers.run_id(tmp_path / "a") == first != loggers.run_id(tmp_path / "b")


def records(file: Path) -> Iterator[bytes]:
    """The records of a .wandb file: LevelDB's log format, blocks of 32 KiB behind a header of 7 bytes."""
    data, block, at, parts = file.read_bytes(), 32768, 7, b""
    while at + 7 <= len(data):
        left = block - at % block
        if left < 7:
            at += left
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        parts += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield parts
            parts = b""


def history(folder: Path) -> tuple[list[dict], list[str]]:
    """Rows and run ids of all offline runs below a run folder."""
    from wandb.proto.wandb_internal_pb2 import Record

    rows, ids = [], []
    for file in sorted(folder.glob("wandb/offline-run-*/*.wandb")):
        for data in records(file):
            record = Record.FromString(data)
            if record.WhichOneof("record_type") == "history":
                items = record.history.item
                rows.append({item.key or item.nested_key[0]: json.loads(item.value_json) for item in items})
            elif record.WhichOneof("record_type") == "run":
                ids.append(record.run.run_id)
    return rows, ids


def test_an_offline_run_holds_curves_and_panels_and_keeps_its_id(free, tmp_path):
    more = [
        "--model.net=support.TinyNet",
        "--model.schedule=Constant",
        "--panels.every_n_epochs=1",
        "--trainer.log_every_n_steps=1",
    ]
    out = fit(tmp_path / "run", *more)
    again = [*TINY, *more, "--ckpt_path", str(out / run.LAST), "--trainer.max_epochs=3", "--out", str(out)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    environment["PYTHONPATH"] = f"{ROOT}{os.pathsep}{ROOT / 'tests'}"
    # another process, as in life: within one, W&B gives every offline run of an id the same folder
    subprocess.run(
        [sys.executable, "-m", "cracklab", "fit", "--config", str(QUICKSTART), *again], env=environment, check=True
    )
    rows, ids = history(out)
    keys = {key for row in rows for key in row}
    assert {"train/loss", "val/loss", "val/iou", "val/panels", "epoch"} <= keys
    assert any(key.startswith("lr-") for key in keys)
    assert set(ids) == {loggers.run_id(out)}
    assert [row["val/iou"] for row in rows if "val/iou" in row], "no curve"
    assert len([row for row in rows if "val/iou" in row]) == 3
