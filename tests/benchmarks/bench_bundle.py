"""Time of PyTorch, of `cracklab predict` and of the bundle of one checkpoint, on a small photo and on a large one.

    python tests/benchmarks/bench_bundle.py [--ckpt_path cracklab:cracks] [--megapixels 12] [--rounds 2]

`cracklab predict` runs a model that ships by ONNX Runtime, and any other checkpoint by PyTorch. Every row is a process of its own
that is bound to one or two cores; `run.py` takes all cores, so the small photo has two. The ways take turns, so that other work on
the machine meets all; processor seconds depend on it less. The small photo is timed from the start of the process to its end; the
large one from its JPEG to the mask, with imports, model and tiling ready. `differ` counts pixels of the large photo's masks.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import cv2
from bench_predict import picture

SMALL = (384, 544)
"""Height and width of the small photo, px: those of DeepCrack."""
WAYS = ("PyTorch", "predict", "bundle")
BY_PYTORCH = """
import sys
from cracklab.predict.predictor import Predictor
from cracklab.predict.trained_model import restore
Predictor([restore(sys.argv[1])], "cpu").predict(sys.argv[2]).save(sys.argv[4])
"""


def child(way: str, model: str, photo: str, out: str, cores: int) -> dict[str, float]:
    """Return the time of one large photo in this process, s, and its peak memory, MB."""
    if way == "bundle":
        sys.path.insert(0, model)
        import run

        bundle = run.Model(Path(model) / "model.onnx")
        threads = run.onnxruntime.SessionOptions()
        threads.intra_op_num_threads = cores  # onnxruntime binds its threads to all cores of the machine otherwise
        bundle.session = run.onnxruntime.InferenceSession(str(Path(model) / "model.onnx"), threads)
        start = time.perf_counter(), time.process_time()
        mask = bundle.mask(cv2.imread(photo, cv2.IMREAD_COLOR)[..., ::-1].copy())
    else:
        from cracklab.predict.load import load
        from cracklab.predict.predictor import Predictor

        if way == "PyTorch":
            from cracklab.predict.trained_model import restore

            predictor = Predictor([restore(model)], "cpu")
        else:
            predictor = load(model, "cpu")
        _ = predictor.tiling  # measured here
        start = time.perf_counter(), time.process_time()
        mask = predictor.predict(photo, keep_probability=None).mask
    cv2.imwrite(out, mask)
    wall, work = time.perf_counter() - start[0], time.process_time() - start[1]
    return {"wall": wall, "work": work, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def bound(command: list[str], cores: int) -> tuple[float, float, str]:
    """Run a command on some cores; return its wall time and its processor time, s, and what it printed."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    bind = partial(os.sched_setaffinity, 0, set(range(cores)))
    environment = {**os.environ, "OMP_NUM_THREADS": str(cores)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, preexec_fn=bind)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def small(folder: Path, models: dict[str, str], cores: int) -> dict[str, tuple[float, float]]:
    """Return the wall and processor time of each way for the small photo, from the start of the process."""
    photo, found = folder / "small.jpg", {}
    for way in WAYS:
        begin = {
            "PyTorch": [sys.executable, "-c", BY_PYTORCH, models[way]],
            "predict": [sys.executable, "-m", "cracklab", "predict", "--ckpt_path", models[way], "--images"],
            "bundle": [sys.executable, f"{models[way]}/run.py"],
        }[way]
        out = folder / f"{way}-{cores}-{time.time_ns()}"
        found[way] = bound([*begin, str(photo), "--out", str(out)], cores)[:2]
    return found


def large(folder: Path, models: dict[str, str], cores: int) -> dict[str, tuple[float, float]]:
    """Return the wall and processor time of each way for the large photo, in a process that is ready."""
    found = {}
    for way in WAYS:
        job = [way, models[way], str(folder / "large.jpg"), str(folder / f"{way}.png"), cores]
        one = json.loads(bound([sys.executable, __file__, "--job", json.dumps(job)], cores)[2].splitlines()[-1])
        found[way] = one["wall"], one["work"]
        print(f"peak memory, {way}, {cores} cores: {one['peak']:.0f} MB", file=sys.stderr)
    return found


def main(checkpoint: str, megapixels: float, rounds: int) -> None:
    """Export, draw the photos, and print the table."""
    from cracklab.cli import main as cracklab
    from cracklab.synthetic.draw import draw

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        assert cracklab(["export", "--ckpt_path", checkpoint, "--out", str(folder / "BUNDLE")]) == 0
        models = {"PyTorch": checkpoint, "predict": checkpoint, "bundle": str(folder / "BUNDLE")}
        cv2.imwrite(str(folder / "small.jpg"), draw(0, SMALL)[0][..., ::-1])
        picture(folder / "large.jpg", megapixels)
        print(f"| photo | cores | round | {', s | '.join(WAYS)}, s | {', processor s | '.join(WAYS)}, processor s |")
        print("|---|--:|--:|" + "--:|" * 2 * len(WAYS))
        for what, measure in (("small, from the start", small), (f"{megapixels:g} megapixels", large)):
            for cores in range(2 if measure is small else 1, 3):
                for i in range(rounds):
                    found = measure(folder, models, cores).values()
                    cells = " | ".join(f"{value:.1f}" for column in zip(*found, strict=True) for value in column)
                    print(f"| {what} | {cores} | {i + 1} | {cells} |", flush=True)
        masks = [cv2.imread(str(folder / f"{way}.png"), cv2.IMREAD_GRAYSCALE) for way in WAYS]
        for way, mask in zip(WAYS[1:], masks[1:], strict=True):
            print(f"\n{way} and PyTorch differ at {(mask != masks[0]).sum()} of {mask.size} pixels")
        print(
            f"crack: {(masks[0] > 0).sum()} pixels; model.onnx: {(folder / 'BUNDLE/model.onnx').stat().st_size / 1e6:.1f} MB"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ckpt_path", default="cracklab:cracks")
    parser.add_argument("--megapixels", type=float, default=12)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--job", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        print(json.dumps(child(*json.loads(options.job))))
    else:
        main(options.ckpt_path, options.megapixels, options.rounds)
