"""Training, losses and prediction on a GPU, as tables.

    python tests/benchmarks/bench_gpu.py --out TABLES [--small] [--only fit predict losses strategies]

1. fit: `cracklab fit` of a ResNet-34 U-Net at 512 px, with and without workers, beside a bare loop whose batch is on the
   device already: the most that the device can do.
2. predict: a photo of 24 megapixels, from the array to the mask, with the net of 1.
3. losses: forward and backward of every loss, from bench_losses.py.
4. strategies: the first run under DDP and FSDP, on one device.

Every run is a process of its own with a time limit; one that fails or takes longer is a row that says so. Tables are printed,
and written to TABLES/NAME.md as soon as they are complete. `--small` runs everything at a size for a CPU.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parent
BASE = HERE.parents[1] / "configs" / "base.yaml"
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
CORES = min(16, os.cpu_count() or 1)
SMALL, LARGE = ("resnet18", 64, 4, 16), ("resnet34", 512, 16, 320)
"""Encoder, side of the images, px, size of the batches, number of training images."""
HEAD = ["| run | images/s | waiting for data | peak of the GPU, GB |", "|---|--:|--:|--:|"]


def run(arguments: list[str], seconds: float) -> tuple[str, str]:
    """Run a Python process; return its standard output, and why it failed, empty if it did not."""
    path = os.pathsep.join(filter(None, [str(HERE.parents[1]), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "WANDB_MODE": "disabled", "PYTHONPATH": path}
    try:
        done = subprocess.run(
            [sys.executable, *arguments], capture_output=True, text=True, env=environment, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        return "", f"more than {seconds:.0f} s"
    return done.stdout, "" if done.returncode == 0 else done.stderr.strip().splitlines()[-1][:120]


def bare(encoder: str, side: int, batch: int, steps: int) -> dict[str, float]:
    """Steps of a hand-written loop in bf16 on one batch that stays on the device: images per second and peak memory."""
    import segmentation_models_pytorch as smp

    from cracklab.losses import build_loss

    net = smp.Unet(encoder, encoder_weights=None).to(DEVICE, memory_format=torch.channels_last)
    loss, optimizer = build_loss("combo"), torch.optim.AdamW(net.parameters())
    image = torch.randn(batch, 3, side, side, device=DEVICE).contiguous(memory_format=torch.channels_last)
    mask = (torch.rand(batch, 1, side, side, device=DEVICE) < 0.03).float()
    warm = max(1, steps // 4)
    for step in range(warm + steps):
        if step == warm:
            synchronise()
            began = time.perf_counter()
        with torch.autocast(DEVICE, dtype=torch.bfloat16):
            value = loss(net(image), mask)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    synchronise()
    peak = torch.cuda.max_memory_allocated() / 1e9 if DEVICE == "cuda" else float("nan")
    return {"images_per_s": steps * batch / (time.perf_counter() - began), "gpu_peak_gb": peak}


def synchronise() -> None:
    """Wait for the device."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def fit_table(folder: Path, small: bool, seconds: float) -> list[str]:
    """Table 1; the first run stays in the folder, for the prediction."""
    encoder, side, batch, images = SMALL if small else LARGE
    job = {"encoder": encoder, "side": side, "batch": batch, "steps": 4 if small else 60}
    said, failed = run([str(__file__), "--bare", json.dumps(job), "--out", "-"], seconds)
    loop = {"images_per_s": failed, "gpu_peak_gb": ""} if failed else json.loads(said.splitlines()[-1])
    row = f"| bare loop, one batch on the device | {number(loop['images_per_s'], 1)} | 0.0% | {number(loop['gpu_peak_gb'], 2)} |"
    print(row, flush=True)
    heading = f"{encoder} U-Net, {side} px, batches of {batch}, bf16, {images} images in memory; the last of 3 epochs"
    ways = {f"fit, {CORES} workers": [], "fit, no workers": ["--data.num_workers=0"]}
    return [heading, "", *HEAD, row, *(fit_row(name, more, folder, small, seconds) for name, more in ways.items())]


def strategies_table(folder: Path, small: bool, seconds: float) -> list[str]:
    """Table 4."""
    names = ("ddp", "fsdp") if DEVICE == "cuda" else ("ddp",)
    return [*HEAD, *(fit_row(name, [f"--trainer.strategy={name}"], folder, small, seconds) for name in names)]


def fit_row(name: str, more: list[str], folder: Path, small: bool, seconds: float) -> str:
    """A row of `cracklab fit`."""
    encoder, side, batch, images = SMALL if small else LARGE
    out = folder / f"run{len(list(folder.iterdir()))}"
    arguments = ["fit", "--config", str(BASE), "--data.layout=synthetic", f"--data.layout.train={images}"]
    arguments += [f"--data.layout.size=[{side},{side}]", "--data.layout.val=8", "--data.layout.test=8"]
    arguments += [f"--data.batch_size={batch}", f"--model.net.encoder_name={encoder}", "--model.channels_last=true"]
    arguments += ["--trainer.precision=bf16-mixed", "--trainer.max_epochs=3", "--trainer.devices=1"]
    arguments += ["--trainer.enable_progress_bar=false", "--trainer.logger=false", "--panels.images=0"]
    _, failed = run(["-m", "cracklab", *arguments, f"--data.num_workers={CORES}", *more, f"--out={out}"], seconds)
    if failed:
        row = f"| {name} | {failed} | | |"
    else:
        last = list(csv.DictReader((out / "resources.csv").open()))[-1]
        peak = number(last.get("gpu_peak_gb", ""), 2)
        row = f"| {name} | {float(last['images_per_s']):.1f} | {float(last['waiting_share']):.1%} | {peak} |"
    print(row, flush=True)
    return row


def number(value: str | float, digits: int) -> str:
    """A number with some digits; anything else unchanged."""
    try:
        return f"{float(value):.{digits}f}"
    except ValueError:
        return str(value)


def losses_table(folder: Path, small: bool, seconds: float) -> list[str]:
    """Table 3."""
    size = ["--size", "64", "--batch", "2", "--repeats", "2"] if small else ["--size", "512", "--batch", "16"]
    said, failed = run([str(HERE / "bench_losses.py"), "--device", DEVICE, *size], seconds)
    return ["```", *said.splitlines(), failed, "```"]


def predict(checkpoint: str, megapixels: float) -> list[str]:
    """Table 2, in this process: the second prediction of a photo, so that kernels are chosen already."""
    import cv2
    from bench_predict import picture

    from cracklab.predict.load import load

    with tempfile.TemporaryDirectory() as folder:
        picture(Path(folder) / "photo.jpg", megapixels)
        photo = cv2.imread(f"{folder}/photo.jpg")[..., ::-1].copy()
    lines = ["| device | tile, overlap, px | tiles at a time | s | peak of the GPU, GB |", "|---|---|--:|--:|--:|"]
    for batch in (8, 32) if DEVICE == "cuda" else (1,):
        predictor = load(checkpoint, DEVICE, batch_size=batch)
        predictor.predict(photo)
        if DEVICE == "cuda":
            torch.cuda.reset_peak_memory_stats()
        began = time.perf_counter()
        predictor.predict(photo)
        took = time.perf_counter() - began
        peak = f"{torch.cuda.max_memory_allocated() / 1e9:.2f}" if DEVICE == "cuda" else ""
        tiling = predictor.tiling
        lines.append(f"| {DEVICE} | {tiling.tile}, {tiling.overlap} | {batch} | {took:.2f} | {peak} |")
    return [f"A photo of {megapixels:g} megapixels, in float32", "", *lines]


def predict_table(folder: Path, small: bool, seconds: float) -> list[str]:
    """Table 2."""
    checkpoints = sorted(folder.glob("run*/checkpoints/last.ckpt"))
    if not checkpoints:
        return ["no run of fit has a checkpoint"]
    job = {"checkpoint": str(checkpoints[0]), "megapixels": 0.5 if small else 24}
    said, failed = run([str(__file__), "--predict", json.dumps(job), "--out", "-"], seconds)
    return [*said.splitlines(), failed]


TABLES = {"fit": fit_table, "predict": predict_table, "losses": losses_table, "strategies": strategies_table}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="folder of the tables")
    parser.add_argument("--small", action="store_true", help="a size for a CPU")
    parser.add_argument("--only", nargs="+", choices=list(TABLES), default=list(TABLES))
    parser.add_argument("--seconds", type=float, default=120, help="time limit of every process (default: 120)")
    parser.add_argument("--bare", help=argparse.SUPPRESS)
    parser.add_argument("--predict", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.bare:
        print(json.dumps(bare(**json.loads(options.bare))))
        return
    if options.predict:
        print("\n".join(predict(**json.loads(options.predict))))
        return
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    name = torch.cuda.get_device_name() if DEVICE == "cuda" else "CPU"
    with tempfile.TemporaryDirectory() as folder:
        for table in options.only:
            lines = [
                f"{name}, torch {torch.__version__}",
                "",
                *TABLES[table](Path(folder), options.small, options.seconds),
            ]
            (out / f"gpu_{table}.md").write_text("\n".join(lines) + "\n")
            print("\n".join(lines), flush=True)


if __name__ == "__main__":
    main()
