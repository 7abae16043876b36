"""`cracklab study` from the command line: failing runs, shards, locks."""

import csv
import threading
import time
from pathlib import Path

import pytest
import yaml
from support import ROOT

from cracklab.cli import main
from cracklab.study import execute as execution
from cracklab.study import worker
from cracklab.study.execute import execute
from cracklab.study.executors.local import job_environments
from cracklab.study.folder import PlannedRun, RunStatus, Study, StudyPlan
from cracklab.study.inputs import read_inputs
from cracklab.study.plan import axes_of, runs_of
from cracklab.study.worker import RunOutcome, arguments_of, clean_up, perform

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


def test_a_dry_run_prints_each_plan_once_with_the_first_cell_that_has_it(config, tmp_path, capsys):
    content = yaml.safe_load(config.read_text())
    content["study"]["grid"] = {
        "lr": {"low": {"model.optimizer.lr": 0.1}, "high": {"model.optimizer.lr": 1}},
        "batch": {"small": {"data.batch_size": 2}, "large": {"data.batch_size": 5}},
    }
    config.write_text(yaml.safe_dump(content, sort_keys=False))
    main(["study", "--config", str(config), "--out", str(tmp_path / "study"), "--dry_run"])
    shown = capsys.readouterr().out.splitlines()
    assert [line for line in shown if line.startswith("plan")] == [
        "plan of lr=low, batch=small: 10 training images of 32 x 32 px, batches of 2",
        "plan of lr=low, batch=large: 10 training images of 32 x 32 px, batches of 5",
    ]


def test_a_failed_run_is_reported_with_its_last_lines(config, tmp_path, capsys):
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


@pytest.mark.parametrize("grid", ["", "  grid: {}\n"])
def test_a_study_without_grid_and_folds_is_refused_before_anything_is_written(tmp_path, capsys, grid):
    config = tmp_path / "empty.yaml"
    config.write_text(f"study:\n  base: {ROOT / 'configs' / 'quickstart.yaml'}\n{grid}")
    with pytest.raises(SystemExit) as end:
        main(["study", "--config", str(config), "--out", str(tmp_path / "study"), "--dry-run"])
    assert end.value.code == 2
    shown = capsys.readouterr()
    assert shown.err == "error: study.grid is empty: give keys with values, or study.folds\n"
    assert not shown.out
    assert not (tmp_path / "study").exists()


def test_a_missing_checkpoint_in_any_cell_is_refused_before_anything_is_written(config, tmp_path, capsys):
    content = yaml.safe_load(config.read_text())
    missing = str(tmp_path / "missing.ckpt")
    content["study"]["grid"] = {"weights": {"random": {"model.weights": None}, "missing": {"model.weights": missing}}}
    config.write_text(yaml.safe_dump(content, sort_keys=False))
    with pytest.raises(SystemExit) as end:
        main(["study", "--config", str(config), "--out", str(tmp_path / "study")])
    assert end.value.code == 2
    shown = capsys.readouterr()
    assert shown.err.count("error: ") == 1
    assert missing in shown.err
    assert not (tmp_path / "study").exists()


@pytest.mark.slow
def test_a_failed_run_does_not_stop_the_other_and_is_retried_by_the_next_start(config, tmp_path, capsys):
    """Two at once; the tables hold the finished one."""
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
    """Two new runs."""
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


def test_a_run_gets_the_requested_arguments_then_its_overrides(study):
    run = study.plan.runs[0]
    arguments = arguments_of(study, run)
    assert arguments[:6] == [
        "--wandb.group=study",
        "--wandb.name=study bce",
        f"--config={study.folder}/configs/0_x.yaml",
        "--data.root",
        "/d",
        "--model.loss=bce",
    ]
    assert arguments[-2:] == ["--out", str(study.folder / "runs/bce")]
    (study.path(run) / "checkpoints").mkdir(parents=True)
    (study.path(run) / "checkpoints/last.ckpt").touch()
    assert arguments_of(study, run)[-2:] == ["--ckpt_path", str(study.folder / "runs/bce/checkpoints/last.ckpt")]


def test_kfolds_of_one_configuration_have_groups_of_their_own_in_wandb(tmp_path, monkeypatch):
    """Also if only the folders above differ; a variable of the user replaces all of them."""
    run = PlannedRun("fold_0", "fold_0", {"fold": 0}, {"data.fold": 0})
    folders = [tmp_path / "walls" / "kfold", tmp_path / "pipes" / "kfold", tmp_path / "pipes" / "again"]

    def first_arguments() -> list[str]:
        found = []
        for folder in folders:
            study = Study(folder)
            study.write_plan(StudyPlan("kfold", {"arguments": ["--name=facade"]}, {"fold": [0]}, [run]), {})
            found.append(arguments_of(study, run)[0])
        return found

    monkeypatch.delenv("WANDB_RUN_GROUP", raising=False)
    assert first_arguments() == [f"--wandb.group={name}" for name in ("walls/kfold", "pipes/kfold", "pipes/again")]
    monkeypatch.setenv("WANDB_RUN_GROUP", "mine")
    assert first_arguments() == ["--name=facade"] * 3


@pytest.mark.parametrize("command", ["kfold", "study"])
def test_long_names_of_folders_are_cut_to_what_wandb_takes(tmp_path, monkeypatch, command):
    """It takes groups of 64 characters and names of 128, whose ends tell runs apart."""
    for variable in ("WANDB_RUN_GROUP", "WANDB_NAME"):
        monkeypatch.delenv(variable, raising=False)
    run = PlannedRun("fold_0", "fold_0", {"loss": "dice", "fold": 0}, {"data.fold": 0})
    study = Study(tmp_path / ("walls-" * 30))
    study.write_plan(StudyPlan(command, {"arguments": []}, {"loss": ["dice"], "fold": [0]}, [run]), {})
    given = dict(argument.split("=", 1) for argument in arguments_of(study, run) if argument.startswith("--wandb."))
    assert given["--wandb.group"] == ("walls-" * 30)[-64:]
    if command == "study":
        assert len(given["--wandb.name"]) == 128
        assert given["--wandb.name"].endswith("walls- dice fold 0/1")


def test_a_run_that_another_process_has_locked_is_skipped(study):
    with study.lock("bce") as first:
        assert first is not None
        with study.lock("bce") as second:
            assert second is None
        assert perform(str(study.folder), "bce", {}) == RunOutcome("bce", "locked")
    with study.lock("bce") as third:
        assert third is not None


def test_two_processes_perform_each_run_once(study, monkeypatch, capsys):
    """The second one waits for the run that the first has locked."""
    monkeypatch.setattr(execution, "POLL_S", 0.01)
    done: list[tuple[str, str]] = []
    started = threading.Event()

    def executor(who: str):
        def go(study: Study, runs):
            for run in runs:
                with study.lock(run.name) as lock:
                    if lock is None:
                        yield RunOutcome(run.name, "locked")
                        continue
                    if study.status(run).state == "new":
                        started.set()
                        done.append((who, run.name))
                        time.sleep(0.3)
                        finish(study, run)
                yield RunOutcome(run.name, "finished")

        return go

    first = threading.Thread(target=execute, args=(study, study.plan.runs, executor("first")))
    first.start()
    assert started.wait(60)
    outcomes = execute(Study(study.folder), study.plan.runs, executor("second"))
    first.join()
    assert sorted(name for _, name in done) == ["bce", "dice"]
    assert {outcome.state for outcome in outcomes} == {"finished"}


def test_a_run_that_another_process_finishes_counts_at_once(study, capsys):
    def executor(study: Study, runs):
        finish(study, runs[1])  # another process does
        yield RunOutcome(runs[0].name, "finished")
        assert "2 of 2 runs: dice finished" in capsys.readouterr().out
        yield RunOutcome(runs[1].name, "finished")  # as perform answers for a run that is finished

    outcomes = execute(study, study.plan.runs, executor)
    assert [(outcome.name, outcome.state) for outcome in outcomes] == [("bce", "finished"), ("dice", "finished")]


def test_a_failed_run_does_not_stop_the_others(study):
    def executor(study: Study, runs):
        yield RunOutcome("bce", "failed", lines=["out of memory"])
        finish(study, runs[1])
        yield RunOutcome("dice", "finished")

    assert [outcome.state for outcome in execute(study, study.plan.runs, executor)] == ["failed", "finished"]


def test_a_full_disk_stops_the_study(study):
    def executor(study: Study, runs):
        yield RunOutcome("bce", "failed", lines=["No space left on device"], disk_full=True)
        pytest.fail("another run was started")

    assert [outcome.name for outcome in execute(study, study.plan.runs, executor)] == ["bce"]


def test_a_run_whose_test_outputs_are_gone_is_not_finished(study):
    first, second = study.plan.runs
    finish(study, first)
    finish(study, second)
    assert study.finished() == [first, second]
    (study.path(first) / "per_image.csv").unlink()
    assert study.status(first).state == "new"
    assert study.finished() == [second]


def test_half_written_files_of_a_killed_run_are_removed(study):
    run = study.plan.runs[0]
    leftovers = [study.path(run) / "checkpoints" / ".last.123.ckpt", study.path(run) / ".metrics.9.csv"]
    for path in leftovers:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (study.path(run) / "checkpoints/last.ckpt").touch()
    clean_up(study, run)
    assert not [path for path in leftovers if path.exists()]
    assert (study.path(run) / "checkpoints/last.ckpt").exists()


def test_a_run_without_a_checkpoint_starts_again_with_its_wandb_id(study):
    folder = study.path(study.plan.runs[0])
    for name in ("config.yaml", "panels/a.png", "wandb/run_id"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    clean_up(study, study.plan.runs[0])
    assert [path.relative_to(folder).as_posix() for path in folder.rglob("*")] == ["wandb", "wandb/run_id"]


def test_a_run_does_not_inherit_the_seed_of_its_study_or_the_tasks_of_slurm(study, monkeypatch):
    for name in ("PL_GLOBAL_SEED", "PL_SEED_WORKERS", "SLURM_NTASKS"):
        monkeypatch.setenv(name, "7")
    monkeypatch.setenv("WANDB_MODE", "disabled")
    seen = {}
    monkeypatch.setattr(worker.subprocess, "Popen", lambda command, env, **more: seen.update(env) or Ended())
    assert perform(str(study.folder), "bce", {"OMP_NUM_THREADS": "3"}).state == "finished"
    assert not seen.keys() & {"PL_GLOBAL_SEED", "PL_SEED_WORKERS", "SLURM_NTASKS"}
    assert (seen["WANDB_MODE"], seen["OMP_NUM_THREADS"]) == ("disabled", "3")


class Ended:
    """A process that has ended well."""

    def wait(self, timeout=None):
        return 0

    def poll(self):
        return 0


def test_jobs_at_once_share_cores_and_gpus(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, 5")
    assert job_environments(1) == [{}]
    assert [one["CUDA_VISIBLE_DEVICES"] for one in job_environments(3)] == ["2", "5", "2"]
    assert all(int(one["OMP_NUM_THREADS"]) >= 1 for one in job_environments(3))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert job_environments(2) == [{}, {}]


@pytest.mark.parametrize("path", sorted((ROOT / "configs" / "studies").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_study_can_be_planned(path: Path):
    if "study" not in yaml.safe_load(path.read_text()):
        pytest.skip("a sweep of W&B")
    inputs = read_inputs("study", ["--config", str(path)])
    assert len(runs_of("study", axes_of(inputs.grid))) > 1
