"""Memory on large photos, in processes of their own, measured by the kernel."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT, fit

from cracklab import run_folder

BENCH = ROOT / "tests" / "benchmarks" / "bench_predict.py"
pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")


@pytest.mark.slow
def test_memory_is_bounded_and_grows_by_little(tmp_path):
    """Less than 1 GiB beyond imports and net at 24 megapixels, of which the net may take 0.3 GB, and at most 14 bytes for a further pixel.

    The probability of noise, 2 bytes a pixel, is encoded in memory, which takes OpenCV three times that: only so is a full disk noticed.
    """
    sys.path.insert(0, str(BENCH.parent))
    from bench_predict import picture

    out = fit(tmp_path / "run", "--model.net=support.TinyNet", "--trainer.max_epochs=1")
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "OMP_NUM_THREADS": "1"}
    peaks = {}
    for megapixels in (24, 48):
        picture(tmp_path / "photo.jpg", megapixels)
        job = {
            "checkpoint": str(out / run_folder.BEST),
            "trust": ["support.TinyNet"],
            "threads": 1,
            "way": "chosen",
            "memory_gb": 0.3,
            "photo": str(tmp_path / "photo.jpg"),
        }
        job |= {"out": str(tmp_path / f"{megapixels}"), "kinds": ["probability", "overlay", "mask"]}
        command = [sys.executable, str(BENCH), "--job", json.dumps(job)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        peaks[megapixels] = json.loads(done.stdout.splitlines()[-1])["peak"] * 1024**2
    print(peaks)
    assert peaks[24] < 1024**3
    assert (peaks[48] - peaks[24]) / 24e6 <= 14
