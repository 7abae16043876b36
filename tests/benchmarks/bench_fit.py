"""One epoch of `cracklab fit` against the same training as a bare loop, epoch by epoch in turn, in one process.

    python tests/benchmarks/bench_fit.py --data DEEPCRACK [--epochs 10] [--workers 0] [--KEY VALUE ...]

The bare loop is what a person writes by hand: images decoded, cropped and reduced once and kept in memory, the same
flips and colour noise, the same net, loss, optimizer, schedule and batches, loss and IoU over the validation images
after every epoch, and the same checkpoint after every epoch. `cracklab fit` does beside that: seeds for every step,
rows for every image, tables, progress, whole files. Before each epoch of fit, one of the bare loop runs, so that a
machine whose speed drifts is as fast for both. Figures are seconds an epoch, validation and files included; the first
epoch and the last (which alone draws pictures and measures distances) are left out.
"""

import argparse
import contextlib
import io
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

os.environ["WANDB_MODE"] = "disabled"

import lightning.pytorch as pl
import numpy as np
import segmentation_models_pytorch as smp
import torch
from torch.utils.data import DataLoader, Dataset

from cracklab.cli import main
from cracklab.data.augment import POLICIES, Flips
from cracklab.data.datamodule import CrackDataModule
from cracklab.data.layouts import LAYOUTS
from cracklab.losses import build_loss

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
MEAN, STD = np.float32([0.485, 0.456, 0.406]) * 255, np.float32([0.229, 0.224, 0.225]) * 255


class InMemory(Dataset):
    """Prepared images and masks in two arrays."""

    def __init__(self, images: list[np.ndarray], masks: list[np.ndarray], augment: bool) -> None:
        self.images, self.masks = images, masks
        self.policy = Flips() if augment else None
        self.rng = np.random.default_rng(0)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        image, mask = self.images[index], self.masks[index]
        if self.policy:
            image, mask = self.policy(image, mask, self.rng)
        image = ((image - MEAN) / STD).transpose(2, 0, 1)
        return torch.from_numpy(np.ascontiguousarray(image)), torch.from_numpy(np.ascontiguousarray(mask[None])).float()


def prepared(data: Path) -> dict[str, tuple[list[np.ndarray], list[np.ndarray]]]:
    """The same images as the run below sees, in memory."""
    module = CrackDataModule(
        LAYOUTS["deepcrack"](), str(data), crop=384, resize=96, known_overlap="report", augment=POLICIES["none"]()
    )
    module.setup("fit")
    arrays: dict[str, tuple[list[np.ndarray], list[np.ndarray]]] = {}
    for split, loader in {"train": module.train_dataloader(), "val": module.val_dataloader()}.items():
        samples = [loader.dataset[i] for i in range(len(loader.dataset))]
        arrays[split] = (
            [s["image"].numpy().transpose(1, 2, 0) for s in samples],
            [s["mask"].numpy()[0] for s in samples],
        )
    return arrays


def bare(arrays: dict, epochs: int, workers: int, folder: Path) -> Iterator[float]:
    """A hand-written loop; yields the seconds of each epoch."""
    torch.manual_seed(42)
    net = smp.Unet("resnet18", encoder_weights=None)
    loss = build_loss("combo")
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    keep = {"num_workers": workers, "persistent_workers": workers > 0}
    train = DataLoader(InMemory(*arrays["train"], augment=True), 16, shuffle=True, drop_last=True, **keep)
    val = DataLoader(InMemory(*arrays["val"], augment=False), 16, **keep)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=epochs * len(train))
    best = -1.0
    for _ in range(epochs):
        began = time.perf_counter()
        net.train()
        for image, mask in train:
            value = loss(net(image), mask)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            schedule.step()
        net.eval()
        counts = torch.zeros(2)
        total = 0.0
        with torch.no_grad():
            for image, mask in val:
                logits = net(image)
                total += float(loss(logits, mask)) * len(image)
                hit = (logits > 0) & (mask > 0)
                counts += torch.stack([hit.sum(), ((logits > 0) | (mask > 0)).sum()])
        best = max(best, float(counts[0] / counts[1]))
        state = {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "schedule": schedule.state_dict()}
        torch.save(state, folder / "last.ckpt")
        yield time.perf_counter() - began


class InTurn(pl.Callback):
    """Runs an epoch of the bare loop before each epoch of fit, and takes the time of both."""

    loop: Iterator[float]
    bare: ClassVar[list[float]] = []
    fit: ClassVar[list[float]] = []
    began = 0.0

    def on_train_epoch_start(self, *_: object) -> None:
        """The files of the last epoch are written: its time ends here."""
        self.stop()
        InTurn.bare.append(next(InTurn.loop))
        self.began = time.perf_counter()

    def on_train_end(self, *_: object) -> None:
        """The last epoch's files are written."""
        self.stop()

    def stop(self) -> None:
        """Take the time of an epoch of fit."""
        if self.began:
            InTurn.fit.append(time.perf_counter() - self.began)


def compare(data: Path, epochs: int, workers: int, more: list[str]) -> None:
    """Print the table."""
    arguments = ["fit", "--config", str(CONFIGS / "base.yaml"), "--config", str(CONFIGS / "data" / "deepcrack.yaml")]
    arguments += ["--data.root", str(data), "--trainer.max_epochs", str(epochs), "--data.num_workers", str(workers)]
    with tempfile.TemporaryDirectory() as folder:
        InTurn.loop = bare(prepared(data), epochs, workers, Path(folder))
        with contextlib.redirect_stdout(io.StringIO()):
            main([*arguments, "--out", f"{folder}/run", "--trainer.callbacks", f"{__name__}.InTurn", *more])
    hand, ours = InTurn.bare[1:-1], InTurn.fit[1:-1]
    ratios = [fit / loop for loop, fit in zip(hand, ours, strict=True)]
    print("| epoch | bare loop, s | cracklab fit, s | ratio |\n|---|---|---|---|")
    for i, row in enumerate(zip(hand, ours, ratios, strict=True)):
        print("| {} | {:.2f} | {:.2f} | {:.3f} |".format(i + 2, *row))
    print("| median | {:.2f} | {:.2f} | {:.3f} |".format(*map(statistics.median, (hand, ours, ratios))))
    print(f"| sum | {sum(hand):.2f} | {sum(ours):.2f} | {sum(ours) / sum(hand):.3f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--workers", type=int, default=0)
    options, rest = parser.parse_known_args()
    compare(options.data, options.epochs, options.workers, rest)
