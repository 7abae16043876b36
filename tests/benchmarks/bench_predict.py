"""Time and memory of `cracklab predict` on large photos, beside MONAI's sliding window on the whole image.

    python tests/benchmarks/bench_predict.py --ckpt_path RUN/checkpoints/best.ckpt [--threads 2]

Every row is a process of its own, from a JPEG to the mask as PNG, photos at their full size (the checkpoint's scale is left
out, so that every net has the same work). `net` is the time in which tiles are scored; `peak` is the largest resident memory
above what imports and net take, from Linux's VmHWM. Photos are drawn, mirrored to size.

1. one photo: MONAI's `sliding_window_inference` over the whole normalised image, cracklab with the same tiles and
   overlap, cracklab with the overlap that it chooses;
2. cracklab's peak from 6 to 48 megapixels, and what a further pixel takes;
3. tiles against one pass, on a photo that fits whole;
4. what makes a large photo fast on a processor: normalisations folded into convolutions, tiles as large as the memory allows, and
   ONNX Runtime (`--bundle`, a folder of `cracklab export`), against PyTorch with tiles of three times the overlap.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

TILE, SHARE = 512, 0.25
"""Side of MONAI's tiles, px, and the share that neighbours have in common, its default."""
KINDS = ["overlay", "mask"]


def picture(path: Path, megapixels: float) -> None:
    """A JPEG of 3 : 2, from one drawn wall and its mirror images."""
    from cracklab.synthetic.draw import draw

    height = round((megapixels * 1e6 / 1.5) ** 0.5)
    wall = draw(1, (1000, 1000))[0]
    pair = np.concatenate([wall, wall[:, ::-1]], axis=1)
    block = np.concatenate([pair, pair[::-1]])
    times = -(-height // 2000), -(-round(1.5 * height) // 2000)
    photo = np.tile(block, (*times, 1))[:height, : round(1.5 * height)]
    cv2.imwrite(str(path), photo[..., ::-1])


def resident(name: str) -> float:
    """VmRSS or VmHWM of this process, MB."""
    return int(re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024


def child(job: dict) -> dict:
    """One row, in this process."""
    import torch

    from cracklab.data.photos import Photo
    from cracklab.predict.command import predict
    from cracklab.predict.load import load
    from cracklab.predict.tiles import Tiling

    torch.set_num_threads(job["threads"])
    predictor = load(job["checkpoint"], "cpu", trust=job.get("trust", ()), memory_gb=job.get("memory_gb"))
    predictor.scale = 1.0, 1.0
    before = resident("VmRSS")
    if job["way"] in ("MONAI", "same tiles"):
        predictor.tiling = Tiling(TILE, int(TILE * SHARE))
    elif job["way"] == "whole":
        predictor.tiling = Tiling(100_000, 0)
    elif job["way"].startswith("small"):
        overlap = predictor.tiling.overlap
        predictor.tiling = Tiling(-(-3 * overlap // 32) * 32, overlap)
    tiling = predictor.tiling  # chosen here if it was not set
    model = predictor.models[0]
    if job.get("unfolded"):
        model._folded = model.net
    spent: list[float] = []

    def timed(tiles: np.ndarray, score: object = model.score) -> np.ndarray:
        start = time.perf_counter()
        scores = score(tiles)
        spent.append(time.perf_counter() - start)
        return scores

    model.score = timed
    photo = Photo(Path(job["photo"]), "photo")
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts again
    start = time.perf_counter()
    if job["way"] == "MONAI":
        monai_whole(predictor, photo.path, Path(job["out"]))
    else:
        assert not predict([photo], predictor, Path(job["out"]), job.get("kinds", KINDS))
    return {
        "seconds": time.perf_counter() - start,
        "net": sum(spent),
        "tiles": len(spent),
        "peak": resident("VmHWM") - before,
        "tile": tiling.tile,
        "overlap": tiling.overlap,
        "threshold": predictor.threshold,
    }


def monai_whole(predictor: object, photo: Path, out: Path) -> None:
    """What one writes at first: the whole photo as a normalised tensor, MONAI's inferer, a mask and an overlay."""
    import torch
    from monai.inferers import sliding_window_inference

    from cracklab import pictures
    from cracklab.data.images import read_image

    image = read_image(str(photo))
    with torch.inference_mode():
        whole = predictor.transform.normalise(torch.from_numpy(predictor.transform.planes(image))[None])
        found = sliding_window_inference(
            whole, (TILE, TILE), 1, predictor.models[0].probabilities, overlap=SHARE, mode="gaussian"
        )
    mask = (found[0, 0] > predictor.threshold).numpy()
    cv2.imwrite(str(out / "photo.png"), mask.astype(np.uint8) * 255)
    cv2.imwrite(str(out / "photo_overlay.jpg"), pictures.overlay(image, mask)[..., ::-1])


def row(folder: Path, checkpoint: str, threads: int, way: str, megapixels: float, **more: object) -> dict:
    """One row, from a process of its own."""
    photo = folder / f"{megapixels}.jpg"
    if not photo.exists():
        picture(photo, megapixels)
    out = folder / f"{way} {megapixels}"
    out.mkdir(exist_ok=True)
    job = {"checkpoint": checkpoint, "threads": threads, "way": way, "photo": str(photo), "out": str(out), **more}
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, __file__, "--job", json.dumps(job)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return {"way": way, "out": out, **json.loads(done.stdout.splitlines()[-1])}


def beside_monai(folder: Path, checkpoint: str, threads: int, megapixels: float = 6) -> None:
    """Table 1."""
    print(f"| {megapixels:g} megapixels | tile, overlap, px | tiles | time, s | net, s | time over net | peak, MB |")
    print("|---|---|---|---|---|---|---|")
    names = {
        "MONAI": "MONAI, whole image",
        "same tiles": "cracklab, the same tiles",
        "chosen": "cracklab, overlap chosen",
    }
    for way, name in names.items():
        found = row(folder, checkpoint, threads, way, megapixels)
        ratio = found["seconds"] / found["net"]
        print(
            f"| {name} | {found['tile']}, {found['overlap']} | {found['tiles']} | {found['seconds']:.1f} | {found['net']:.1f} | {ratio:.2f} "
            f"| {found['peak']:.0f} |",
            flush=True,
        )


def growth(folder: Path, checkpoint: str, threads: int) -> None:
    """Table 2."""
    print(
        "\n| megapixels | tiles | time, s | time over net | peak, MB | more bytes a further pixel |\n|---|---|---|---|---|---|"
    )
    last: tuple[float, float] | None = None
    for megapixels in (6, 12, 24, 48):
        found = row(folder, checkpoint, threads, "chosen", megapixels)
        more = "" if last is None else f"{(found['peak'] - last[1]) * 1024**2 / ((megapixels - last[0]) * 1e6):.1f}"
        last = megapixels, found["peak"]
        ratio = found["seconds"] / found["net"]
        print(
            f"| {megapixels} | {found['tiles']} | {found['seconds']:.1f} | {ratio:.2f} | {found['peak']:.0f} | {more} |",
            flush=True,
        )


def ways(folder: Path, checkpoint: str, bundle: str, threads: int, megapixels: float = 24) -> None:
    """Table 4."""
    graph = f"{bundle}/model.onnx"
    rows = {
        "PyTorch, tiles of 3 overlaps": (checkpoint, "small", True),
        "the same, folded": (checkpoint, "small folded", False),
        "PyTorch, larger tiles": (checkpoint, "chosen", True),
        "the same, folded: `predict`": (checkpoint, "chosen folded", False),
        "ONNX Runtime, tiles of 3 overlaps": (graph, "small bundle", False),
        "ONNX Runtime, larger tiles: `predict` of a bundle": (graph, "chosen bundle", False),
    }
    print(f"\n| {megapixels:g} megapixels | tile, px | tiles | time, s | of the first row | peak, MB | masks agree |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    first: tuple[float, np.ndarray] | None = None
    for name, (model, way, unfolded) in rows.items():
        found = row(folder, model, threads, way, megapixels, unfolded=unfolded)
        mask = cv2.imread(str(found["out"] / "photo.png"), cv2.IMREAD_GRAYSCALE)
        first = first or (found["seconds"], mask)
        print(
            f"| {name} | {found['tile']} | {found['tiles']} | {found['seconds']:.1f} | {found['seconds'] / first[0]:.2f} "
            f"| {found['peak']:.0f} | {(mask == first[1]).mean():.4%} |",
            flush=True,
        )


def exactness(folder: Path, checkpoint: str, threads: int) -> None:
    """Table 3."""
    found = {}
    for way in ("whole", "same tiles", "chosen"):
        one = row(folder, checkpoint, threads, way, 2.5, kinds=["probability", "mask"])
        probability = cv2.imread(str(one["out"] / "photo_probability.png"), cv2.IMREAD_UNCHANGED) / 65535
        found[way] = probability, probability > one["threshold"], one
    print(
        "\n| tile, overlap, px | largest difference in probability | pixels above 0.02 | masks agree |\n|---|---|---|---|"
    )
    whole, mask, _ = found.pop("whole")
    for probability, other, one in found.values():
        difference = np.abs(probability - whole)
        print(
            f"| {one['tile']}, {one['overlap']} | {difference.max():.4f} | {(difference > 0.02).sum()} "
            f"| {(mask == other).mean():.5%} |"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ckpt_path")
    parser.add_argument("--bundle", help="of the same checkpoint, for the table of ways")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--megapixels", type=float, default=6, help="of the photo of the first table")
    parser.add_argument("--only", choices=["monai", "growth", "exactness", "ways"], help="one table alone")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        print(json.dumps(child(json.loads(options.job))))
    else:
        with tempfile.TemporaryDirectory() as name:
            place = Path(name), options.ckpt_path, options.threads
            if options.only in (None, "monai"):
                beside_monai(*place, options.megapixels)
            if options.only in (None, "growth"):
                growth(*place)
            if options.only in (None, "exactness"):
                exactness(*place)
            if options.only in (None, "ways") and options.bundle:
                ways(place[0], options.ckpt_path, options.bundle, options.threads)
