"""Overhead of `kfold` and `study` over their runs.

    python tests/benchmarks/bench_study.py overhead [--folds 3] [--KEY VALUE ...]    # compared with the same runs by hand
    python tests/benchmarks/bench_study.py jobs [--KEY VALUE ...]                    # two runs at once compared with one
    python tests/benchmarks/bench_study.py thousand                                  # 1,000 finished runs

By hand means `cracklab fit` and `cracklab test` for each fold, one after another. Runs are quickstart runs; keys of fit make
them longer or shorter. `jobs` gives each run one thread, so that a single run does not use both cores. `thousand` creates
1,000 run folders with the tables of a real test (80 images each), and measures in new processes the time until the plan is
printed, and the time and memory of the whole command, which computes all tables again.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
QUICKSTART = ["--config", str(ROOT / "configs" / "quickstart.yaml"), "--trainer.enable_progress_bar=false"]
QUICKSTART += ["--trainer.enable_model_summary=false"]


def cracklab(*arguments: str, **more: str) -> float:
    """Run a command; return the seconds that it took."""
    environment = os.environ | {"WANDB_MODE": "disabled", "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"} | more
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "cracklab", *arguments], env=environment, check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - started


def overhead(folds: int, keys: list[str]) -> None:
    """Print the time of kfold, and of the same runs by hand."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        by_hand = 0.0
        for fold in range(folds):
            out = folder / "hand" / str(fold)
            fold_of = [f"--data.fold={fold}", f"--data.folds={folds}"]
            by_hand += cracklab("fit", *QUICKSTART, *keys, *fold_of, "--out", str(out))
            by_hand += cracklab("test", f"--config={out}/config.yaml", f"--ckpt_path={out}/checkpoints/best.ckpt")
        kfold = cracklab("kfold", *QUICKSTART, *keys, f"--folds={folds}", f"--out={folder}/kfold")
        runs = sum(json.loads(path.read_text())["seconds"] for path in (folder / "kfold" / "jobs").glob("*.json"))
    print("| | seconds |\n|---|---|")
    print(
        f"| {folds} folds by hand | {by_hand:.1f} |\n| cracklab kfold | {kfold:.1f} |\n| of that, overhead | {kfold - runs:.1f} |"
    )
    print(f"| allowed: 3 % and 5 s more than by hand | {1.03 * by_hand + 5:.1f} |")


def jobs(keys: list[str]) -> None:
    """Print the time of four runs, one at a time and two at once."""
    with tempfile.TemporaryDirectory() as name:
        call = ["kfold", *QUICKSTART, *keys, "--folds=4"]
        times = {n: cracklab(*call, f"--jobs={n}", f"--out={name}/{n}", OMP_NUM_THREADS="1") for n in (1, 2)}
    print("| jobs at once | seconds | throughput |\n|---|---|---|")
    for number, seconds in times.items():
        print(f"| {number} | {seconds:.1f} | {times[1] / seconds:.2f} |")


def thousand() -> None:
    """Print time and memory of a study of 1,000 finished runs."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = folder / "grid.yaml"
        grid = {"model.optimizer.lr": [i * 1e-4 for i in range(1, 41)], "seed_everything": list(range(5))}
        section = {"base": str(QUICKSTART[1]), "grid": grid, "folds": 5}
        content = {
            "study": section,
            "model": {"net": "support.TinyNet"},
            "trainer": {"max_epochs": 1},
            "panels": {"images": 0},
        }
        config.write_text(yaml.safe_dump(content))
        out = folder / "study"
        call = ["study", f"--config={config}", f"--out={out}"]
        cracklab(*call, "--shard=1/1000")
        first = next((out / "runs").iterdir())
        for run in yaml.safe_load((out / "study.yaml").read_text())["runs"]:
            if run["name"] != first.name:
                shutil.copytree(
                    first, out / run["folder"], ignore=shutil.ignore_patterns("panels"), copy_function=os.link
                )
                shutil.copy(out / "jobs" / f"{first.name}.json", out / "jobs" / f"{run['name']}.json")
        plan = cracklab(*call, "--dry-run")
        whole = cracklab(*call)
        print("| 1,000 finished runs | |\n|---|---|")
        print(f"| time until the plan is printed, s | {plan:.2f} |\n| time with all tables, s | {whole:.2f} |")
        peak = _peak(["--config", str(config), "--out", str(out)])
        print(f"| peak memory, MB | {peak:.0f} |")


def _peak(arguments: list[str]) -> float:
    """Return the peak memory of a finished study, 1e6 bytes."""
    program = (
        "import resource, sys; from cracklab.cli import main; main(['study', *sys.argv[1:]]);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program, *arguments], check=True, capture_output=True, text=True)
    return int(done.stderr.splitlines()[-1]) * 1024 / 1e6


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmark", choices=["overhead", "jobs", "thousand"])
    parser.add_argument("--folds", type=int, default=3)
    options, rest = parser.parse_known_args()
    {"overhead": lambda: overhead(options.folds, rest), "jobs": lambda: jobs(rest), "thousand": thousand}[
        options.benchmark
    ]()
