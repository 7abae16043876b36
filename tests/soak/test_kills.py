"""Commands that are killed at random moments and started again leave the same files as undisturbed ones.

SOAK_KILLS: number of kills, divided among the commands; SOAK_MINUTES: time after which a command is not killed again;
SOAK_SEED: seed of the moments. The first kill of each command is at one of its writes, then writes and times alternate.
"""

import csv
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch
import yaml
from support import ROOT, SMALLEST, run_process

from cracklab import run_folder
from cracklab.cli import main
from cracklab.synthetic.draw import draw

KILLS = int(os.environ.get("SOAK_KILLS", "10"))
MINUTES = float(os.environ.get("SOAK_MINUTES", "5"))
SEED = int(os.environ.get("SOAK_SEED", str(random.randrange(2**32))))
SHARES = {"fit": 0.4, "predict": 0.2, "export": 0.2, "kfold": 0.1, "study": 0.1}
TINY = [
    *SMALLEST,
    "--data.num_workers=0",
    "--trainer.logger=false",
    "--trainer.callbacks=kill_hook.KillHook",
    "--panels.images=1",
]
TRUST = "--trust=support.TinyNet"
DIFFER = (run_folder.ENVIRONMENT, run_folder.RESOURCES, run_folder.LOCK, "data.json")
"""Names of files with times or resources."""


@dataclass(frozen=True)
class Command:
    """A command to kill, as a function of its output folder."""

    start: Callable[[Path], list[str]]
    resume: Callable[[Path], list[str]]


def fit(*more: str) -> Command:
    """Return a fit, which resumes with --ckpt_path if there is a checkpoint."""

    def start(out: Path) -> list[str]:
        return ["fit", *TINY, *more, "--out", str(out)]

    def resume(out: Path) -> list[str]:
        last = out / run_folder.LAST
        return [*start(out), *(["--ckpt_path", str(last)] if last.is_file() else [])]

    return Command(start, resume)


def same(*arguments: str) -> Command:
    """Return a command that resumes by itself."""
    return Command(*[lambda out: [*arguments, "--out", str(out)]] * 2)


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Command]:
    """The commands, by name."""
    folder = tmp_path_factory.mktemp("soak")
    assert main(["fit", *TINY, "--out", str(folder / "run")]) == 0
    checkpoint = str(folder / "run" / run_folder.BEST)
    for seed in range(3):
        (folder / "photos").mkdir(exist_ok=True)
        cv2.imwrite(str(folder / "photos" / f"wall_{seed}.png"), draw(seed, (70, 90))[0][..., ::-1])
    grid = folder / "grid.yaml"
    grid.write_text(yaml.safe_dump({"study": {"grid": {"model.loss": ["bce", "dice"]}}}))
    photos = ["--images", str(folder / "photos"), "--probability", "--centre_lines", "--device=cpu"]
    return {
        "fit": fit("--checkpoint.every_n_steps=null"),
        "fit in epochs": fit("--checkpoint.every_n_steps=1"),
        "predict": same("predict", "--ckpt_path", checkpoint, *photos, TRUST),
        "export": same("export", "--ckpt_path", checkpoint, TRUST),
        "kfold": same("kfold", *TINY, "--folds=2"),
        "study": same("study", *TINY, "--config", str(grid)),
    }


def run(arguments: list[str], root: Path, **hook: float) -> int:
    """Run a command in a process that kill_hook.py watches; return its exit code."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SOAK_")}
    environment |= {f"SOAK_{name.upper()}": str(value) for name, value in hook.items()}
    environment |= {"SOAK_ROOT": str(root), "SOAK_COUNTS": str(root / "counts.txt")}
    environment["PYTHONPATH"] = f"{ROOT}{os.pathsep}{ROOT / 'tests'}"
    return run_process(arguments, environment, root / "output.txt")


def content(path: Path, out: Path, in_epochs: bool) -> Any:
    """Return what two runs must agree on in a file: numbers of checkpoints, rows without times, else all bytes.

    Args:
        path: the file.
        out: the output folder, whose own path counts as the same in both.
        in_epochs: whether the run resumed within an epoch, whose mean losses then lack the earlier batches.
    """
    if path.suffix == ".ckpt":
        stored = torch.load(path, weights_only=True)
        moments = stored["optimizer_states"][0]["state"]
        tensors = {**stored["state_dict"], **{f"{i} {k}": v for i, one in moments.items() for k, v in one.items()}}
        return stored["epoch"], stored["global_step"], {k: (v.dtype, v.tolist()) for k, v in tensors.items()}
    if path.name == run_folder.METRICS:
        rows = list(csv.DictReader(path.open(encoding="utf-8")))
        return [{k: v for k, v in row.items() if k != "seconds" and not (in_epochs and "train/" in k)} for row in rows]
    return path.read_bytes().replace(str(out).encode(), b"OUT")


def files(out: Path, in_epochs: bool) -> dict[str, Any]:
    """Return name -> content of the files that two runs must agree on; reports of a study's jobs hold times."""
    found = [path for path in out.rglob("*") if path.is_file() and path.name not in DIFFER]
    named = {path.relative_to(out).as_posix(): path for path in found}
    named = {name: path for name, path in named.items() if not name.startswith("jobs/") and "wandb/" not in name}
    if in_epochs:  # these draw the mean losses
        named = {name: path for name, path in named.items() if not name.startswith("panels/curves")}
    return {name: content(path, out, in_epochs) for name, path in named.items()}


def differences(expected: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Return the names of files that are missing, unexpected or different."""
    return sorted(name for name in {*expected, *found} if expected.get(name) != found.get(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", SHARES)
def test_a_killed_command_started_again_leaves_the_files_of_an_undisturbed_one(name, commands, tmp_path):
    chance = random.Random(f"{SEED} {name}")
    wanted = max(1, round(KILLS * SHARES[name]))
    until = time.monotonic() + 60 * MINUTES * SHARES[name]
    variants = [name, "fit in epochs"] if name == "fit" else [name]
    expected, writes, seconds = {}, {}, {}
    for variant in variants:
        root = tmp_path / variant.replace(" ", "_")
        root.mkdir()
        begin = time.monotonic()
        assert run(commands[variant].start(root / "out"), root) == 0, (root / "output.txt").read_text()[-2000:]
        seconds[variant] = time.monotonic() - begin
        writes[variant] = max(map(int, (root / "counts.txt").read_text().split()))
        expected[variant] = files(root / "out", variant == "fit in epochs")
    kills = at_writes = attempt = 0
    while kills < wanted and (not kills or time.monotonic() < until):
        variant = chance.choice(variants)
        moment = (
            {"write": chance.randint(1, writes[variant])}
            if attempt % 2 == 0
            else {"seconds": chance.uniform(0.01, seconds[variant])}
        )
        root = tmp_path / f"attempt_{attempt}"
        case = f"{variant}, {moment}, seed {SEED}, attempt {attempt}"
        attempt += 1
        root.mkdir()
        code = run(commands[variant].start(root / "out"), root, **moment)
        assert code in (0, -signal.SIGKILL), case
        if code:
            kills, at_writes = kills + 1, at_writes + ("write" in moment)
            again = run(commands[variant].resume(root / "out"), root)
            assert again == 0, f"{case}: {(root / 'output.txt').read_text()[-2000:]}"
        assert not differences(expected[variant], files(root / "out", variant == "fit in epochs")), case
        assert not [path for path in root.rglob(".*.*") if "wandb" not in path.parts], case
        shutil.rmtree(root)
    print(f"\n{name}: {kills} kills, {at_writes} of them at one of {writes} writes, seed {SEED}")
    assert at_writes
