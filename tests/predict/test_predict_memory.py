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


ONE_TILE = """
import re, sys
from pathlib import Path
import numpy as np
from cracklab.predict.deployed_model import DeployedModel
from cracklab.predict.tiles import largest_tile
from cracklab.weights import checkpoint_file

model = DeployedModel(checkpoint_file("cracklab:cracks"))
side = largest_tile(float(sys.argv[1]), model.bytes_per_px)
tile = np.random.default_rng(0).integers(0, 256, (1, side, side, 3), dtype=np.uint8)
status = Path("/proc/self/status")
model.score(tile[:, :64, :64])
before = int(re.search(r"VmRSS:\\s+(\\d+)", status.read_text())[1])
Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
for _ in range(2):
    model.score(tile)
print(side, (int(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1]) - before) * 1024)
"""


@pytest.mark.parametrize("memory_gb", [0.15, 0.3, 0.6])
def test_a_tile_in_onnx_runtime_takes_the_memory_that_it_may_take(memory_gb):
    """Memory that the kernel gave to the process; counting tensors alone would give tiles that take up to 1.8 times as much."""
    done = subprocess.run([sys.executable, "-c", ONE_TILE, str(memory_gb)], capture_output=True, text=True, check=True)
    side, peak = map(int, done.stdout.split())
    assert side >= 512
    assert 0.5e9 * memory_gb < peak <= 1e9 * memory_gb


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
