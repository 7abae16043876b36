"""Faults of a run in real processes: each ends in one message, and keeps what was whole."""

import os
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch
from support import QUICKSTART, ROOT, TINY, run_process

from cracklab import run_folder
from cracklab.errors import RunError
from cracklab.run_lock import RunLock

pytestmark = pytest.mark.slow  # real trainings in processes of their own

SMALL = [
    "fit",
    f"--config={QUICKSTART}",
    *TINY,
    "--data.layout.train=8",
    "--data.layout.val=2",
    "--data.layout.size=[32,32]",
    "--data.batch_size=4",
    "--model.net=support.TinyNet",
    "--panels.images=0",
]


class Ended:
    """The exit code and the message of a `cracklab fit` that has ended."""

    def __init__(self, out: Path, *more: str) -> None:
        with tempfile.NamedTemporaryFile("r") as output:
            self.code = run_process([*SMALL, *more, "--out", str(out)], output=Path(output.name))
            self.output = output.read()
        lines = [line for line in self.output.splitlines() if line.startswith("error: ")]
        self.message = lines[0] if lines else ""
        assert len(lines) <= 1
        assert "Traceback" not in self.output, self.output


def at(name: str, epoch: int, batch: int, **more: object) -> list[str]:
    """Return arguments for a callback of tests/support.py."""
    values = {"epoch": epoch, "batch": batch, **more}
    return [f"--trainer.callbacks=support.{name}", *(f"--trainer.callbacks.{k}={v}" for k, v in values.items())]


def weights(path: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(path, weights_only=True)["state_dict"]
    assert all(torch.isfinite(tensor).all() for tensor in state.values())
    return state


def test_a_diverging_run_stops_at_the_first_step_without_a_finite_loss(tmp_path):
    """The first step is finite and makes the weights absurd; the message tells step, loss and learning rate."""
    out = tmp_path / "run"
    sgd = ["--model.optimizer=torch.optim.SGD", "--model.optimizer.lr=1e30", "--model.schedule=Constant"]
    ended = Ended(out, *sgd, "--trainer.gradient_clip_val=null")
    assert ended.code == 1
    assert "the loss (entropy nan, region " in ended.message
    assert " is nan at step 2 in epoch 1" in ended.message
    assert "learning rate 1e+30" in ended.message
    assert "no checkpoint was written before" in ended.message
    assert not list(out.rglob("*.ckpt"))


def test_weights_of_nan_become_neither_the_best_nor_the_last_checkpoint(tmp_path):
    """Poisoned in the last step of the second epoch, so that no later loss shows it."""
    out = tmp_path / "run"
    ended = Ended(out, *at("PoisonAt", 1, 1), "--checkpoint.monitor=val/loss", "--checkpoint.mode=min")
    assert ended.code == 1
    assert "weights are not finite (net." in ended.message
    assert torch.load(out / run_folder.LAST, weights_only=True)["epoch"] == 0
    weights(out / run_folder.LAST)
    weights(out / run_folder.BEST)
    ended = Ended(tmp_path / "bce", *at("PoisonAt", 1, 0), "--model.loss=bce")
    assert ended.code == 1
    assert "the loss is nan at step 4 in epoch 2" in ended.message
    assert f"{tmp_path / 'bce' / run_folder.LAST} is the last good checkpoint" in ended.message


def test_a_run_that_another_process_trains_in_is_refused_and_untouched(tmp_path):
    out = tmp_path / "run"
    lock = RunLock(out)
    ended = Ended(out)
    assert ended.code == 2
    assert "another process is training in" in ended.message
    assert os.listdir(out) == [run_folder.LOCK]
    lock.release()
    assert Ended(out).code == 0
    lock = RunLock(out)
    ended = Ended(out, f"--ckpt_path={out / run_folder.LAST}")
    assert ended.code == 2
    assert "another process is training in" in ended.message
    lock.release()


def test_the_lock_ends_with_its_process_even_if_its_children_live_on(tmp_path):
    program = f"""
import os, sys, time
from pathlib import Path
from cracklab.run_lock import RunLock
lock = RunLock(Path({str(tmp_path)!r}))
if os.fork() == 0:
    print(os.getpid(), flush=True)
    os.close(1)
    time.sleep(60)
else:
    os.wait()
"""
    holder = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    child = int(holder.stdout.readline())
    with pytest.raises(RunError, match="another process is training"):
        RunLock(tmp_path)
    holder.kill()
    holder.wait()
    RunLock(tmp_path).release()
    os.kill(child, signal.SIGKILL)


def test_a_run_killed_before_its_first_checkpoint_starts_over_and_removes_half_written_files(tmp_path):
    """Its marker lets the same command go on when it is repeated."""
    out = tmp_path / "run"
    kill = at("KillAt", 0, 1, marker=tmp_path / "killed")
    assert Ended(out, *kill).code == -signal.SIGKILL
    assert (out / run_folder.CONFIG).is_file()
    dead = subprocess.Popen(["true"])
    dead.wait()
    left = [out / f"checkpoints/.last.{dead.pid}.ckpt", out / f"checkpoints/.best.ckpt.{dead.pid}"]
    left += [out / f".metrics.{dead.pid}.csv", out / f"panels/examples/.a.{dead.pid}.png"]
    of_a_running_process = out / f".per_image.{os.getpid()}.csv"
    for path in [*left, of_a_running_process]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    ended = Ended(out, *kill, "--model.loss=dice")
    assert ended.code == 2
    assert "another configuration" in ended.message
    assert all(path.exists() for path in left)
    ended = Ended(out, *kill)
    assert ended.code == 0, ended.output
    assert (out / run_folder.BEST).is_file()
    assert [path for path in out.rglob(".*")] == [of_a_running_process]


def test_a_finished_run_without_checkpoints_is_not_overwritten(tmp_path):
    out = tmp_path / "run"
    assert Ended(out, "--trainer.enable_checkpointing=false").code == 0
    before = (out / run_folder.METRICS).read_bytes()
    assert Ended(out, "--trainer.enable_checkpointing=false").code == 2
    assert (out / run_folder.METRICS).read_bytes() == before


@pytest.mark.parametrize(("epoch", "batch"), [(0, 1), (1, 0), (1, 1)])
def test_a_run_whose_folder_is_removed_fails(tmp_path, epoch, batch):
    out = tmp_path / "run"
    ended = Ended(out, *at("RemoveRunFolderAt", epoch, batch))
    assert ended.code == 1
    assert f"the run folder {out} was removed" in ended.message
    assert not out.exists()


@pytest.fixture
def immutable(tmp_path):
    """A folder in which nothing can be made, not even by root."""
    place = tmp_path / "immutable"
    place.mkdir()
    if subprocess.run(["chattr", "+i", str(place)], check=False, capture_output=True).returncode:
        pytest.skip("chattr needs root and a file system with attributes")
    yield place
    subprocess.run(["chattr", "-i", str(place)], check=True)


def test_a_folder_that_cannot_be_written_is_one_message(tmp_path):
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "run"):
        ended = Ended(out)
        assert ended.code == 2
        assert f"--out {out} cannot be a folder" in ended.message


def test_a_read_only_folder_is_one_message(immutable):
    ended = Ended(immutable / "run")
    assert ended.code == 2
    assert "protected" in ended.message


@pytest.mark.parametrize("command", ["fit", "kfold"])
def test_a_file_that_cannot_grow_is_one_message_and_what_was_whole_stays(tmp_path, command):
    """A limit of the size of files acts like a full disk: checkpoints do not fit, tables do."""
    out = tmp_path / "run"
    call = [command, *SMALL[1:], *(["--folds=2"] if command == "kfold" else []), "--model.net.width=100"]
    program = [sys.executable, "-m", "cracklab", *call, "--out", str(out)]

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))

    folders = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    environment = os.environ | {"PYTHONPATH": folders}
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False, preexec_fn=limit)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr, done.stderr
    assert "File too large" in done.stderr
    assert not list(out.rglob("*.ckpt"))
    assert not [path for path in out.rglob(".*")]
