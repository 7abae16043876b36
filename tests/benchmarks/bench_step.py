"""Seconds of one training step by memory format, optimizer and compilation, on this processor.

    python tests/benchmarks/bench_step.py [--encoder resnet18] [--side 96] [--batch 16] [--threads 2] [--steps 12] [--compile]

Every way is a U-Net with the same weights, batch and loss. After two steps each, the ways take a step in turns, so that a machine
whose speed drifts is as fast for all; figures are medians. `--compile` adds `torch.compile`, whose first steps take minutes.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from itertools import pairwise

import segmentation_models_pytorch as smp
import torch

from cracklab.losses import build_loss

PARTS = ("forward", "loss", "backward", "optimizer")


def stepper(options: argparse.Namespace, channels_last: bool, fused: bool, compiled: bool) -> Callable[[], list[float]]:
    """Return a function that takes a step, and returns the seconds of its parts."""
    torch.manual_seed(0)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    net = smp.Unet(options.encoder, encoder_weights=None).to(memory_format=layout).train()
    if compiled:
        net.compile()
    loss, optimizer = build_loss("combo"), torch.optim.AdamW(net.parameters(), lr=1e-3, fused=fused)
    image = torch.randn(options.batch, 3, options.side, options.side)
    mask = (torch.rand(options.batch, 1, options.side, options.side) > 0.95).float()

    def step() -> list[float]:
        times = [time.perf_counter()]
        logits = net(image.contiguous(memory_format=layout))
        times.append(time.perf_counter())
        value = loss(logits, mask)
        times.append(time.perf_counter())
        optimizer.zero_grad()
        value.backward()
        times.append(time.perf_counter())
        optimizer.step()
        times.append(time.perf_counter())
        return [end - start for start, end in pairwise(times)]

    return step


def main(options: argparse.Namespace) -> None:
    """Print the table."""
    torch.set_num_threads(options.threads)
    ways = {
        "contiguous": stepper(options, False, False, False),
        "channels-last": stepper(options, True, False, False),
        "channels-last, fused AdamW": stepper(options, True, True, False),
    }
    if options.compile:
        ways["channels-last, fused AdamW, compiled"] = stepper(options, True, True, True)
    for name, step in ways.items():
        start = time.perf_counter()
        step(), step()
        print(f"{name}: first two steps {time.perf_counter() - start:.1f} s", flush=True)
    found: dict[str, list[list[float]]] = {name: [] for name in ways}
    for _ in range(options.steps):
        for name, step in ways.items():
            found[name].append(step())
    print(f"\n| way | step, s | ratio | {', s | '.join(PARTS)}, s |\n|---|{'--:|' * (2 + len(PARTS))}")
    medians = {name: [statistics.median(part) for part in zip(*rows, strict=True)] for name, rows in found.items()}
    whole = {name: statistics.median(map(sum, rows)) for name, rows in found.items()}
    for name, parts in medians.items():
        ratio = whole[name] / whole["contiguous"]
        print(f"| {name} | {whole[name]:.3f} | {ratio:.2f} | " + " | ".join(f"{part:.3f}" for part in parts) + " |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", default="resnet18")
    parser.add_argument("--side", type=int, default=96)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--compile", action="store_true")
    main(parser.parse_args())
