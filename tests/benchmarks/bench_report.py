"""Time and memory of `cracklab report` on a study of 1,000 finished runs: `python tests/benchmarks/bench_report.py [RUNS]`.

Writes random run folders (40 losses x 5 seeds x 5 folds; 60 epochs and 60 test images each, as many columns as a real
run), runs the command in a separate process, and prints its time and peak memory.
"""

import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "report"))

from report_cases import write_study  # noqa: E402 - needs the path above


def widen(folder: Path) -> None:
    """Add columns to the tables of a run, as many as a real run has: 120 by image, 80 by epoch."""
    for name, columns in (("per_image.csv", 120), ("metrics.csv", 80)):
        table = pd.read_csv(folder / name)
        more = np.random.default_rng(0).random((len(table), columns - table.shape[1]))
        pd.concat([table, pd.DataFrame(more).add_prefix("other/")], axis=1).to_csv(folder / name, index=False)


def main() -> None:
    """Write the runs, report on them, print the costs."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    folder = Path(tempfile.mkdtemp()) / "study"
    began = time.monotonic()
    losses = {f"loss_{i:02d}": 0.6 + 0.002 * i for i in range(count // 25)}
    write_study(folder, losses, seeds=range(1, 6), images=300, epochs=60)
    for run in (folder / "runs").iterdir():
        widen(run)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{count} runs drawn in {time.monotonic() - began:.0f} s, {size / 1e6:.0f} MB")
    began = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "cracklab", "report", str(folder)], check=True, cwd=ROOT, stdout=subprocess.DEVNULL
    )
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print("| runs | wall, s | processor, s | peak memory, MiB | page, MB |\n|---|---|---|---|---|")
    page = (folder / "report" / "report.html").stat().st_size / 1e6
    wall = time.monotonic() - began
    print(f"| {count} | {wall:.1f} | {used.ru_utime + used.ru_stime:.1f} | {used.ru_maxrss / 1024:.0f} | {page:.1f} |")
    shutil.rmtree(folder.parent)


if __name__ == "__main__":
    main()
