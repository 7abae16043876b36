"""`cracklab kfold` and `cracklab study`: plan, print the plan, do what is missing, sum up."""

import argparse
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from cracklab import run_folder
from cracklab.command_parser import CommandParser, with_underscores
from cracklab.errors import ConfigError, RunError
from cracklab.progress import duration
from cracklab.study.aggregate import aggregate
from cracklab.study.folder import PlannedRun, Study, StudyPlan
from cracklab.study.inputs import Inputs, read_inputs, refuse_changes
from cracklab.study.local import Local
from cracklab.study.plan import describe
from cracklab.study.wandb_summary import mirror
from cracklab.study.work import Executor, typical_seconds, work
from cracklab.study.worker import FULL, Outcome

PLANNING = "plan"
"""The claim under which a study is planned and summed up."""
EXECUTORS = ("local", "ray", "slurm")


def parser(command: str) -> CommandParser:
    """The arguments beside those of fit."""
    about = {
        "kfold": "One run for each fold, tested on the fold that it never saw; tables over all folds.",
        "study": "A grid of runs over any keys of fit; tables over all of them.",
    }
    arguments = CommandParser(
        command,
        f"{about[command]} Takes every argument of `cracklab fit` too. The same command goes on after a stop.",
    )
    add = arguments.add_argument
    add("--out", type=Path, required=True, help="folder of the study")
    if command == "kfold":
        add(
            "--folds",
            type=_folds,
            default=5,
            help="number of folds, or `sources`: each source held out once (default 5)",
        )
        add("--repeats", type=_positive, default=1, help="do it so many times, each with folds of its own (default 1)")
        add("--pool", action="store_true", help="fold the published test side too")
    add("--dry_run", action="store_true", help="print the plan, and write and start nothing")
    add("--executor", choices=EXECUTORS, default="local", help="where runs are done (default local)")
    add(
        "--jobs",
        type=_positive,
        default=1,
        help="local: runs at once; each gets its share of cores, and a GPU (default 1)",
    )
    add("--shard", type=_shard, metavar="I/N", help="do only part I of N, 1/N to N/N, for any other scheduler")
    add("--address", help="ray: of a cluster (default: one on this machine)")
    add("--cpus_per_job", type=float, default=1, help="ray: cores a run (default 1)")
    add("--gpus_per_job", type=float, default=0, help="ray: GPUs a run, 0.5 for two runs on one (default 0)")
    add("--slurm", nargs="+", default=[], metavar="KEY=VALUE", help="slurm: partition=gpu time=120 gpus_per_node=1 ...")
    return arguments


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1")
    return int(text)


def _folds(text: str) -> int | str:
    if text != "sources" and not (text.isdecimal() and int(text) >= 2):
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number from 2 nor `sources`")
    return text if text == "sources" else int(text)


def _shard(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is none of 1/N, 2/N, ... N/N")
    return int(found[1]), int(found[2])


def run(command: str, args: Sequence[str]) -> int:
    """Do what is missing of a study; returns 1 if runs failed."""
    options, rest = parser(command).parse_known_args(with_underscores(args))
    more = {"folds": options.folds, "repeats": options.repeats, "pool": options.pool} if command == "kfold" else {}
    inputs = read_inputs(command, rest, **more)
    study = Study(options.out)
    executor = executor_for(options)
    gigabytes = None
    planner: Any = None
    if study.exists:
        refuse_changes(study, inputs)
    else:
        if run_folder.is_used(study.folder):
            raise RunError(f"--out {options.out} holds a run: choose another folder")
        planner = rehearse("kfold" if command == "kfold" else "study", inputs)
        gigabytes = planner.gigabytes
    plan: StudyPlan = study.plan if planner is None else planner.plan
    runs = part(plan.runs, options.shard)
    print(as_text(study, plan, runs, gigabytes, options), flush=True)
    if options.dry_run:
        return 0
    try:
        if planner is not None:
            begin(study, planner, inputs)
        ended = work(study, runs, executor)
        failed = [outcome for outcome in ended if outcome.state != "finished"]
        with study.claim(PLANNING, wait=True):
            finished = aggregate(study)
            if len(ended) > len(failed):
                mirror(study)
        hint = f"; `cracklab report {options.out}` compares them" if finished else ""
        print(f"{finished} of {len(plan.runs)} runs are finished; tables are in {study.folder}{hint}")
    except OSError as error:
        if error.errno not in FULL:
            raise
        failed = [Outcome("tables", "failed", lines=[f"{study.folder}: {error.strerror}"], full=True)]
    except KeyboardInterrupt:
        print("\nstopped: the same command goes on", file=sys.stderr)
        return 1
    return report(study, failed)


def rehearse(command: Literal["kfold", "study"], inputs: Inputs) -> Any:
    """Plan a study, having tried what its runs would be refused for; nothing is written into its folder."""
    from cracklab.study.planner import Planner  # imports PyTorch and Lightning, which takes seconds

    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder) / name for name in inputs.configs}
        for name, text in inputs.configs.items():
            paths[name].write_text(text, encoding="utf-8")
        return Planner(command, inputs, {name: str(path) for name, path in paths.items()})


def begin(study: Study, planner: Any, inputs: Inputs) -> None:
    """Write the folds and the plan, unless another start was faster."""
    with study.claim(PLANNING, wait=True):
        if study.exists:
            refuse_changes(study, inputs)
            return
        for name, write in planner.folds.items():
            write(study.folder / name)
        study.write_plan(planner.plan, inputs.configs)


def part(runs: Sequence[PlannedRun], shard: tuple[int, int] | None) -> Sequence[PlannedRun]:
    """The runs of one of several shards, all where there are none."""
    return runs if shard is None else runs[shard[0] - 1 :: shard[1]]


def as_text(
    study: Study, plan: StudyPlan, runs: Sequence[PlannedRun], gigabytes: float | None, options: argparse.Namespace
) -> str:
    """The plan for people."""
    states = (
        {run.name: study.status(run).state for run in runs}
        if study.exists
        else dict.fromkeys((r.name for r in runs), "new")
    )
    done = sum(state == "finished" for state in states.values())
    left = len(runs) - done
    shard = f", part {options.shard[0]} of {options.shard[1]}: {len(runs)}" if options.shard else ""
    lines = [f"{plan.command}: {describe(plan.axes, len(plan.runs))}{shard}; {done} finished, {left} to do"]
    seconds = typical_seconds(study) if study.exists else None
    at_once = options.jobs if options.executor == "local" else 1
    if seconds is not None and left:
        total = duration(seconds * left / min(at_once, left))
        lines.append(
            f"  time: about {total} ({duration(seconds)} a run, the median of those finished; {at_once} at once)"
        )
    elif left:
        lines.append("  time: known when the first run is done")
    gigabytes = _largest(study, runs) if gigabytes is None else gigabytes
    if gigabytes is not None and left:
        place = next(folder for folder in (study.folder, *study.folder.parents) if folder.is_dir())
        free = shutil.disk_usage(place).free / 1e9
        warning = "; WARNING: that is not enough" if gigabytes * left > free else ""
        lines.append(f"  disk: about {gigabytes * left:.1f} GB, {free:.1f} GB are free{warning}")
    if options.dry_run:
        lines += [f"  {name} {state}" for name, state in states.items()]
    else:
        lines.append(f"  what each run prints: {study.folder}/jobs/NAME.log")
    return "\n".join(lines)


def _largest(study: Study, runs: Sequence[PlannedRun]) -> float | None:
    """What the first finished run takes, 1e9 bytes; None where there is none."""
    first = next((run for run in runs if study.status(run).state == "finished"), None)
    if first is None:
        return None
    return sum(path.stat().st_size for path in study.path(first).rglob("*") if path.is_file()) / 1e9


def executor_for(options: argparse.Namespace) -> Executor:
    """Where the runs are done.

    Raises:
        ConfigError: where its package is missing, or an option is not its own.
    """
    if options.executor == "ray":
        from cracklab.study.on_ray import OnRay

        return OnRay(options.address, options.cpus_per_job, options.gpus_per_job)
    if options.executor == "slurm":
        from cracklab.study.on_slurm import OnSlurm

        return OnSlurm(_pairs(options.slurm))
    return Local(options.jobs)


def _pairs(texts: Sequence[str]) -> Mapping[str, str]:
    wrong = [text for text in texts if not re.fullmatch(r"\w+=.+", text)]
    if wrong:
        raise ConfigError(f"--slurm {wrong[0]}: KEY=VALUE is needed, for instance partition=gpu")
    return dict(text.split("=", 1) for text in texts)


def report(study: Study, failed: Sequence[Outcome]) -> int:
    """Print what failed, with its last lines; returns the exit code."""
    for outcome in failed:
        heading = f"{outcome.name} failed; jobs/{outcome.name}.log has all that it printed, the last lines are:"
        print("\n    ".join([heading, *outcome.lines]), file=sys.stderr)
    if any(outcome.full for outcome in failed):
        print(
            f"error: the disk of {study.folder} is full: make room, and start the same command again", file=sys.stderr
        )
    elif failed:
        print(f"error: {len(failed)} runs failed; the same command tries them again", file=sys.stderr)
    return int(bool(failed))
