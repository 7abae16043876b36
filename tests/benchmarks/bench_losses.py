"""Forward + backward time and peak memory of every loss, as a ratio to `bce`.

    python tests/benchmarks/bench_losses.py [--size 512] [--batch 8] [--classes 1] [--device cpu] [NAMES...]

Time: the best of several steps, each loss and gradient from ready logits, mask and maps, in turn with steps of `bce`.
Memory: the most bytes of tensors alive at once beyond the inputs, from PyTorch's profiler on a CPU and from its
allocator on a GPU.
"""

import argparse
import os
import time
from typing import Any

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler is talkative

import numpy as np
import torch
from torch import Tensor

from cracklab.data.maps import compute_maps
from cracklab.losses import LOSSES, Loss, build_loss


def cracks(batch: int, classes: int, size: int) -> np.ndarray:
    """(B, C, H, W) masks with some thick lines, about 3 % of the pixels."""
    rng = np.random.default_rng(0)
    index = np.zeros((batch, size, size), int)
    for image in index:
        for _ in range(3):
            row, column = rng.integers(size // 8, size * 7 // 8, 2)
            image[row : row + 3, size // 8 : -size // 8] = rng.integers(1, max(classes, 2))
            image[size // 8 : -size // 8, column : column + 3] = rng.integers(1, max(classes, 2))
    return np.stack([index == c for c in range(classes)], 1) if classes > 1 else index[:, None] > 0


def step(loss: Loss, logits: Tensor, mask: Tensor, maps: dict[str, Tensor]) -> None:
    """Loss and gradient."""
    logits.grad = None
    loss(logits, mask, maps).backward()


def seconds(loss: Loss, *inputs: Any) -> float:
    """Time of a step."""
    start = time.perf_counter()
    step(loss, *inputs)
    if inputs[0].is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - start


def peak_bytes(loss: Loss, *inputs: Any) -> int:
    """Most bytes that were live at once during a step, beyond what was before."""
    inputs[0].grad = None
    if inputs[0].is_cuda:
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        step(loss, *inputs)
        return torch.cuda.max_memory_allocated() - before
    with torch.profiler.profile(profile_memory=True) as profile:
        step(loss, *inputs)
    live = peak = 0
    for event in profile.profiler.kineto_results.events():
        if event.name() == "[memory]":
            live += event.nbytes()
            peak = max(peak, live)
    return peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--classes", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    mask = cracks(options.batch, options.classes, options.size)
    torch.manual_seed(0)
    logits = torch.randn(mask.shape, device=options.device) + torch.from_numpy(mask).to(options.device) * 2 - 1
    logits.requires_grad_()
    truth = torch.from_numpy(mask).float().to(options.device)
    bce = build_loss("bce")
    bytes_of_bce = peak_bytes(bce, logits, truth, {})
    print(f"{options.device}, {options.threads} threads, {tuple(mask.shape)}, torch {torch.__version__}")
    print(f"{'loss':24}{'ms':>8}{'time / bce':>12}{'MiB':>8}{'memory / bce':>14}")
    for name in options.names or [name for name in LOSSES if name != "weighted_sum"]:
        loss = build_loss(name)
        maps = [compute_maps(image, loss.maps) for image in mask]
        tensors = {key: torch.from_numpy(np.stack([m[key] for m in maps])).to(options.device) for key in loss.maps}
        times = [
            (seconds(loss, logits, truth, tensors), seconds(bce, logits, truth, {})) for _ in range(options.repeats)
        ]
        best, best_of_bce = (min(column) for column in zip(*times, strict=True))
        size = peak_bytes(loss, logits, truth, tensors)
        print(
            f"{name:24}{best * 1e3:8.1f}{best / best_of_bce:12.2f}{size / 2**20:8.0f}{size / bytes_of_bce:14.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
