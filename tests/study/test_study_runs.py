"""`cracklab study` from the outside: a run that fails, shards, claims."""

import csv
import threading
import time
from pathlib import Path

import pytest
import yaml
from support import ROOT

from cracklab.cli import main
from cracklab.study import work as works
from cracklab.study.folder import PlannedRun, RunStatus, Study, StudyPlan
from cracklab.study.local import environments
from cracklab.study.work import work
from cracklab.study.worker import Outcome, arguments_of, perform

BASE = """
study:
  base: {quickstart}
  grid:
    strategy:
      none: {{trainer.strategy: no_such_strategy}}
      one: {{trainer.strategy: auto}}
data:
  layout: {{class_path: synthetic, init_args: {{train: 10, val: 4, test: 4, size: [32, 32]}}}}
  batch_size: 4
model:
  net: support.TinyNet
trainer: {{max_epochs: 1, enable_progress_bar: false, enable_model_summary: false, accelerator: cpu}}
panels: {{images: 0}}
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{ROOT / 'tests'}")
    path = tmp_path / "grid.yaml"
    path.write_text(BASE.format(quickstart=ROOT / "configs" / "quickstart.yaml"))
    return path


def test_a_run_that_fails_is_reported_with_its_last_lines(config, tmp_path, capsys):
    out = tmp_path / "study"
    with pytest.raises(SystemExit) as end:
        main(["study", "--config", str(config), "--out", str(out), "--shard", "1/2"])
    assert end.value.code == 1
    shown = capsys.readouterr()
    assert "part 1 of 2: 1; 0 finished, 1 to do" in shown.out
    assert "strategy=none failed" in shown.err
    assert "no_such_strategy" in shown.err
    assert "(ended with exit code 2)" in shown.err
    assert not (out / "summary.md").exists()
    assert not (out / "runs" / "strategy=one").exists()
    assert [Study(out).status(run).state for run in Study(out).plan.runs] == ["failed", "new"]


@pytest.mark.slow
def test_two_at_once_of_which_one_fails(config, tmp_path, capsys):
    """The other goes on; it is in the tables, and the failed one is tried again by the next start."""
    out = tmp_path / "study"
    for finished in (0, 1):
        with pytest.raises(SystemExit) as end:
            main(["study", "--config", str(config), "--out", str(out), "--jobs", "2"])
        assert end.value.code == 1
        shown = capsys.readouterr()
        assert f"{finished} finished, {2 - finished} to do" in shown.out
        assert "1 of 2 runs are finished" in shown.out
        assert shown.err.count("strategy=none failed") == 1
    assert [row["run"] for row in csv.DictReader((out / "runs.csv").open())] == ["strategy=one"]
    run = out / "runs" / "strategy=one"
    assert yaml.safe_load((run / "config.yaml").read_text())["trainer"]["strategy"] == "auto"
    assert (run / "per_image.csv").is_file()


# -- without training -----------------------------------------------------------------------------------------------


@pytest.fixture
def study(tmp_path):
    """Two runs, of which nothing is done."""
    found = Study(tmp_path / "study")
    runs = [PlannedRun(name, f"runs/{name}", {"a": name}, {"model.loss": name}) for name in ("bce", "dice")]
    found.write_plan(
        StudyPlan("study", {"arguments": ["--config=0_x.yaml", "--data.root", "/d"]}, {"a": ["bce", "dice"]}, runs), {}
    )
    return found


def finish(study: Study, run: PlannedRun) -> None:
    folder = study.path(run)
    (folder / "checkpoints").mkdir(parents=True)
    for name in ("checkpoints/best.ckpt", "test_metrics.json", "per_image.csv", "protocols.json"):
        (folder / name).touch()
    study.write_status(run, RunStatus("finished", 5.0))


def test_a_run_is_called_with_what_was_asked_and_its_overlay_last(study):
    run = study.plan.runs[0]
    arguments = arguments_of(study, run)
    assert arguments[:6] == [
        "--wandb.group=study",
        "--wandb.job_type=bce",
        f"--config={study.folder}/configs/0_x.yaml",
        "--data.root",
        "/d",
        "--model.loss=bce",
    ]
    assert arguments[-2:] == ["--out", str(study.folder / "runs/bce")]
    (study.path(run) / "checkpoints").mkdir(parents=True)
    (study.path(run) / "checkpoints/last.ckpt").touch()
    assert arguments_of(study, run)[-2:] == ["--ckpt_path", str(study.folder / "runs/bce/checkpoints/last.ckpt")]


def test_a_claimed_run_is_left_to_its_owner(study):
    with study.claim("bce") as claim:
        assert claim is not None
        with study.claim("bce") as second:
            assert second is None
        assert perform(str(study.folder), "bce", {}) == Outcome("bce", "claimed")
    with study.claim("bce") as third:
        assert third is not None


def test_two_workers_share_a_study(study, monkeypatch, capsys):
    """Each run is done once; who comes second waits for what the other has claimed."""
    monkeypatch.setattr(works, "POLL_S", 0.01)
    done: list[tuple[str, str]] = []
    both_began = threading.Barrier(2)

    def executor(who: str):
        def go(study: Study, runs):
            for run in runs:
                with study.claim(run.name) as claim:
                    if claim is None:
                        yield Outcome(run.name, "claimed")
                        continue
                    if study.status(run).state == "new":
                        if not done:
                            both_began.wait(10)
                        done.append((who, run.name))
                        time.sleep(0.3)
                        finish(study, run)
                yield Outcome(run.name, "finished")

        return go

    first = threading.Thread(target=work, args=(study, study.plan.runs, executor("first")))
    first.start()
    both_began.wait(10)
    outcomes = work(Study(study.folder), study.plan.runs, executor("second"))
    first.join()
    assert sorted(name for _, name in done) == ["bce", "dice"]
    assert {outcome.state for outcome in outcomes} == {"finished"}


def test_others_go_on_when_a_run_fails(study):
    def executor(study: Study, runs):
        yield Outcome("bce", "failed", lines=["out of memory"])
        finish(study, runs[1])
        yield Outcome("dice", "finished")

    assert [outcome.state for outcome in work(study, study.plan.runs, executor)] == ["failed", "finished"]


def test_a_full_disk_ends_the_work(study):
    def executor(study: Study, runs):
        yield Outcome("bce", "failed", lines=["No space left on device"], full=True)
        pytest.fail("another run was started")

    assert [outcome.name for outcome in work(study, study.plan.runs, executor)] == ["bce"]


def test_what_is_finished_has_its_files(study):
    first, second = study.plan.runs
    finish(study, first)
    finish(study, second)
    assert study.finished() == [first, second]
    (study.path(first) / "per_image.csv").unlink()
    assert study.status(first).state == "new"
    assert study.finished() == [second]


def test_half_written_files_of_a_killed_run_are_removed(study):
    from cracklab.study.worker import clear

    run = study.plan.runs[0]
    left = [study.path(run) / "checkpoints" / ".last.123.ckpt", study.path(run) / ".metrics.9.csv"]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (study.path(run) / "checkpoints/last.ckpt").touch()
    clear(study, run)
    assert not [path for path in left if path.exists()]
    assert (study.path(run) / "checkpoints/last.ckpt").exists()


def test_a_run_without_a_checkpoint_starts_again_under_its_wandb_id(study):
    from cracklab.study.worker import clear

    folder = study.path(study.plan.runs[0])
    for name in ("config.yaml", "panels/a.png", "wandb/run_id"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    clear(study, study.plan.runs[0])
    assert [path.relative_to(folder).as_posix() for path in folder.rglob("*")] == ["wandb", "wandb/run_id"]


def test_jobs_at_once_share_cores_and_gpus(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, 5")
    assert environments(1) == [{}]
    assert [one["CUDA_VISIBLE_DEVICES"] for one in environments(3)] == ["2", "5", "2"]
    assert all(int(one["OMP_NUM_THREADS"]) >= 1 for one in environments(3))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert environments(2) == [{}, {}]


@pytest.mark.parametrize("path", sorted((ROOT / "configs" / "studies").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_study_that_is_shipped_can_be_planned(path: Path):
    from cracklab.study.inputs import read_inputs
    from cracklab.study.plan import axes_of, runs_of

    if "study" not in yaml.safe_load(path.read_text()):
        pytest.skip("a sweep of W&B")
    inputs = read_inputs("study", ["--config", str(path)])
    assert len(runs_of("study", axes_of(inputs.grid))) > 1
