"""`cracklab kfold` and `cracklab study`: plan, print the plan, perform the unfinished runs, write the tables."""

import argparse
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cracklab import run_folder
from cracklab.command_parser import CommandParser
from cracklab.error_handler import DISK_FULL, INTERRUPTED
from cracklab.errors import ConfigError, RunError
from cracklab.files import output_folder, remove_leftovers
from cracklab.progress import duration
from cracklab.study.aggregate import aggregate
from cracklab.study.execute import execute, median_seconds
from cracklab.study.executors import Executor
from cracklab.study.executors.local import LocalExecutor
from cracklab.study.folder import CONFIGS, PlannedRun, Study, StudyPlan
from cracklab.study.inputs import Inputs, check_pairs, read_inputs, refuse_changes
from cracklab.study.integrity import check_finished, refuse_changed_data, write_data
from cracklab.study.plan import describe
from cracklab.study.wandb_summary import log_summary
from cracklab.study.worker import RunOutcome

if TYPE_CHECKING:  # imports PyTorch and Lightning, which takes seconds
    from cracklab.study.planner import Planner

PLAN_LOCK = "plan"
"""The lock held while the plan or the tables are written."""
EXECUTORS = ("local", "ray", "slurm")
Command = Literal["kfold", "study"]


def parser(command: str) -> CommandParser:
    """Return the parser of the command's own options; all other arguments are passed on to fit."""
    about = {
        "kfold": "Cross-validate: one run per fold, tested on the fold that it never saw; tables over all folds.",
        "study": "Perform a grid of runs over any keys of fit; tables over all runs.",
    }
    arguments = CommandParser(
        command,
        f"{about[command]} All arguments of `cracklab fit` are accepted too. If the command is interrupted, run it again to resume.",
    )
    add = arguments.add_argument
    add("--out", type=output_folder, required=True, help="folder of the study")
    if command == "kfold":
        add(
            "--folds",
            type=_folds,
            default=5,
            help="number of folds, or `sources` to hold out each source once (default 5)",
        )
        add("--repeats", type=_positive, default=1, help="number of repetitions, each with other folds (default 1)")
        add("--pool", action="store_true", help="fold the published test set too")
        add(
            "--keep_probabilities",
            action="store_true",
            help="keep the probabilities of each image by the run that held it out, as 8-bit PNG, for `cracklab audit`",
        )
    add("--redo", action="store_true", help="do finished runs again whose files are damaged")
    add("--dry_run", action="store_true", help="print the plan; write and start nothing")
    add("--executor", choices=EXECUTORS, default="local", help="where runs are performed (default local)")
    add(
        "--jobs",
        type=_positive,
        default=1,
        help="local: number of runs at once; each gets its share of the cores, and one GPU (default 1)",
    )
    add("--shard", type=_shard, metavar="I/N", help="perform only part I of N, 1/N to N/N; for other schedulers")
    add("--address", help="ray: address of a cluster (default: start one on this machine)")
    add("--cpus_per_job", type=float, default=1, help="ray: cores per run (default 1)")
    add("--gpus_per_job", type=float, default=0, help="ray: GPUs per run; with 0.5, two runs share one (default 0)")
    add("--slurm", nargs="+", default=[], metavar="KEY=VALUE", help="slurm: partition=gpu time=120 gpus_per_node=1 ...")
    return arguments


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return int(text)


def _folds(text: str) -> int | str:
    if text != "sources" and not (text.isdecimal() and int(text) >= 2):
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number of at least 2 nor `sources`")
    return text if text == "sources" else int(text)


def _shard(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is not one of 1/N, 2/N, ... N/N")
    return int(found[1]), int(found[2])


def run(command: Command, args: Sequence[str]) -> int:
    """Perform the unfinished runs of a study, and write its tables; return 1 if runs failed."""
    options, rest = parser(command).parse_known_args(args)
    own = {"folds": options.folds, "repeats": options.repeats} if command == "kfold" else {}
    inputs = read_inputs(command, [*rest, *arguments_of_flags(options)], **own)
    study = Study(options.out)
    executor = executor_for(options)
    planner: Planner | None = None
    if study.exists:
        refuse_changes(study, inputs)
        refuse_changed_data(study, update=not options.dry_run)
        plan = study.plan
    else:
        if run_folder.is_used(study.folder):
            raise RunError(f"--out {options.out} holds a run: choose another folder")
        planner = plan_study(command, inputs)
        plan = planner.plan
    runs = select_shard(plan.runs, options.shard)
    if study.exists:
        check_finished(study, runs, redo=options.redo and not options.dry_run)
    print(as_text(study, plan, runs, planner.gigabytes if planner else None, options), flush=True)
    if options.dry_run:
        return 0
    try:
        if planner is not None:
            write_study(study, planner, inputs)
        outcomes = execute(study, runs, executor)
        failed = [outcome for outcome in outcomes if outcome.state != "finished"]
        with study.lock(PLAN_LOCK, wait=True):
            remove_leftovers(study.folder)
            finished = aggregate(study)
            if len(outcomes) > len(failed):
                log_summary(study)
        hint = f"; `cracklab report {options.out}` compares them" if finished else ""
        print(f"{finished} of {len(plan.runs)} runs are finished; tables are in {study.folder}{hint}")
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        failed = [RunOutcome("tables", "failed", lines=[f"{study.folder}: {error.strerror}"], disk_full=True)]
    except KeyboardInterrupt:
        print("\nstopped: run the same command again to resume", file=sys.stderr)
        return INTERRUPTED
    return report(study, failed)


def arguments_of_flags(options: argparse.Namespace) -> list[str]:
    """Return the arguments of fit that flags of kfold stand for."""
    flags = {"pool": "--data.pool=true", "keep_probabilities": "--probabilities.keep=true"}
    return [argument for name, argument in flags.items() if getattr(options, name, False)]


def plan_study(command: Command, inputs: Inputs) -> "Planner":
    """Plan a study, and check everything that fit would refuse; write nothing into its folder.

    Raises:
        CracklabError: for an invalid grid, and for everything that fit would refuse.
    """
    check_pairs(inputs)
    from cracklab.study.planner import Planner

    own_options = [name.removeprefix("--") for name in parser(command).option_names()]
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder) / name for name in inputs.configs}
        for name, text in inputs.configs.items():
            paths[name].write_text(text, encoding="utf-8")
        return Planner(command, inputs, {name: str(path) for name, path in paths.items()}, own_options)


def write_study(study: Study, planner: "Planner", inputs: Inputs) -> None:
    """Write the folds and the plan, unless another process has just written the same plan."""
    with study.lock(PLAN_LOCK, wait=True):
        if study.exists:
            refuse_changes(study, inputs)
            return
        for place in (study.folder, study.folder / CONFIGS):
            remove_leftovers(place)
        for name, write in planner.fold_writers.items():
            write(study.folder / name)
        write_data(study, planner.data_files)
        study.write_plan(planner.plan, inputs.configs)


def select_shard(runs: Sequence[PlannedRun], shard: tuple[int, int] | None) -> Sequence[PlannedRun]:
    """Return the runs of shard (I, N), every Nth from the Ith; all runs if it is None."""
    return runs if shard is None else runs[shard[0] - 1 :: shard[1]]


def as_text(
    study: Study, plan: StudyPlan, runs: Sequence[PlannedRun], gigabytes: float | None, options: argparse.Namespace
) -> str:
    """Return the plan as text, with estimates of time and disk space.

    Args:
        study: the study's folder, which need not exist.
        plan: its plan.
        runs: the runs of this process.
        gigabytes: estimated disk space of a run; None measures a finished one.
        options: the command's own options.
    """
    states = {run.name: study.status(run).state if study.exists else "new" for run in runs}
    done = sum(state == "finished" for state in states.values())
    left = len(runs) - done
    shard = f", part {options.shard[0]} of {options.shard[1]}: {len(runs)}" if options.shard else ""
    lines = [f"{plan.command}: {describe(plan.axes, len(plan.runs))}{shard}; {done} finished, {left} to do"]
    seconds = median_seconds(study) if study.exists else None
    at_once = options.jobs if options.executor == "local" else 1
    if seconds is not None and left:
        total = duration(seconds * left / min(at_once, left))
        lines.append(f"  time: about {total} ({duration(seconds)} per run, the median so far; {at_once} at once)")
    elif left:
        lines.append("  time: unknown until the first run is finished")
    gigabytes = _measured_gigabytes(study, runs) if gigabytes is None else gigabytes
    if gigabytes is not None and left:
        place = next(folder for folder in (study.folder, *study.folder.parents) if folder.is_dir())
        free = shutil.disk_usage(place).free / 1e9
        warning = "; WARNING: not enough" if gigabytes * left > free else ""
        lines.append(f"  disk: about {gigabytes * left:.1f} GB, {free:.1f} GB are free{warning}")
    if options.dry_run:
        lines += [f"  {name} {state}" for name, state in states.items()]
    else:
        lines.append(f"  output of each run: {study.folder}/jobs/NAME.log")
    return "\n".join(lines)


def _measured_gigabytes(study: Study, runs: Sequence[PlannedRun]) -> float | None:
    """Return the size of the first finished run, 1e9 bytes; None if there is none."""
    first = next((run for run in runs if study.status(run).state == "finished"), None)
    if first is None:
        return None
    return sum(path.stat().st_size for path in study.path(first).rglob("*") if path.is_file()) / 1e9


def executor_for(options: argparse.Namespace) -> Executor:
    """Return the executor that the options choose.

    Raises:
        ConfigError: if its package is missing, or an option is invalid.
    """
    if options.executor == "ray":
        from cracklab.study.executors.ray import RayExecutor

        return RayExecutor(options.address, options.cpus_per_job, options.gpus_per_job)
    if options.executor == "slurm":
        from cracklab.study.executors.slurm import SlurmExecutor

        return SlurmExecutor(_pairs(options.slurm))
    return LocalExecutor(options.jobs)


def _pairs(texts: Sequence[str]) -> Mapping[str, str]:
    wrong = [text for text in texts if not re.fullmatch(r"\w+=.+", text)]
    if wrong:
        raise ConfigError(f"--slurm {wrong[0]}: give KEY=VALUE, for instance partition=gpu")
    return dict(text.split("=", 1) for text in texts)


def report(study: Study, failed: Sequence[RunOutcome]) -> int:
    """Print the failed runs with their last lines of output; return the exit code."""
    for outcome in failed:
        heading = f"{outcome.name} failed; last lines of its output (all of it is in jobs/{outcome.name}.log):"
        print("\n    ".join([heading, *outcome.lines]), file=sys.stderr)
    if any(outcome.disk_full for outcome in failed):
        print(
            f"error: the disk of {study.folder} is full: free some space, and run the same command again",
            file=sys.stderr,
        )
    elif failed:
        runs, them = ("1 run", "it") if len(failed) == 1 else (f"{len(failed)} runs", "them")
        print(f"error: {runs} failed: run the same command again to retry {them}", file=sys.stderr)
    return int(bool(failed))
