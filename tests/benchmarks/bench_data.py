"""Speed of the data path: `OMP_NUM_THREADS=1 python tests/benchmarks/bench_data.py [DeepCrack]`.

1. samples per second and core at 512 x 512, by augmentation, with and without target maps;
2. target maps against SciPy's transform, image by image;
3. the whole path against the same written as a plain Dataset with SciPy's maps;
4. the share of a training step that waits for data.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from scipy import ndimage
from torch import nn
from torch.utils.data import DataLoader, Dataset

from cracklab.data.augment import POLICIES, Policy
from cracklab.data.datamodule import CrackDataModule
from cracklab.data.images import read_mask
from cracklab.data.layouts import LAYOUTS
from cracklab.data.maps import compute_maps

FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data/DeepCrack")


def seconds(work: Callable[[], object], repeats: int, clock: Callable[[], float] = time.process_time) -> float:
    """The shortest of some runs, in seconds of one core, so that whoever shares the machine does not count."""
    work()
    times = []
    for _ in range(repeats):
        start = clock()
        work()
        times.append(clock() - start)
    return min(times)


def deepcrack(policy: str = "flips", **options: object) -> CrackDataModule:
    """DeepCrack, ready to be iterated over."""
    layout = LAYOUTS["deepcrack"]()
    data = CrackDataModule(layout, str(FOLDER), known_overlap="report", augment=POLICIES[policy](), **options)
    data.setup("fit")
    return data


def samples() -> None:
    """Table 1."""
    print(
        "\nsamples per second and core, 512 x 512, batches of 16\npolicy        no maps  distance  signed_distance  all seven"
    )
    from cracklab.data.maps import MAPS

    for policy in ("none", "flips", "chen2023", "strong"):
        row = []
        for maps in ((), ("distance",), ("signed_distance",), tuple(MAPS)):
            data = deepcrack(policy, resize=(512, 512), maps=maps)
            positions = data.splits.train[:48]
            loader = DataLoader(data.dataset(positions, data.augment), 16, collate_fn=list)
            row.append(48 / seconds(lambda loader=loader: [None for _ in loader], 3))
        print(f"{policy:12}" + "".join(f"{rate:10.0f}" for rate in row))


def big_mask(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """The cracks of a small mask in a large photo, about as wide as before."""
    large = cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST)
    return cv2.erode(large, np.ones((max(1, height // 200), max(1, width // 200)), np.uint8))


def distance(mask: np.ndarray) -> np.ndarray:
    """SciPy's `distance`."""
    return ndimage.distance_transform_edt(~mask)


def signed(mask: np.ndarray) -> np.ndarray:
    """SciPy's `signed_distance`."""
    return ndimage.distance_transform_edt(~mask) - ndimage.distance_transform_edt(mask)


def compared(name: str, oracle: Callable[[np.ndarray], np.ndarray], shape: tuple[int, int], threads: int) -> None:
    """Print one row of table 2; of several threads the time that passes counts."""
    cv2.setNumThreads(threads)
    clock = time.process_time if threads == 1 else time.perf_counter
    large, files = shape[0] > 1000, sorted(FOLDER.glob("*_lab/*.png"))[::90]
    masks = [big_mask(read_mask(str(path)), *shape) > 0 for path in files[: 2 if large else None]]
    repeats = 2 if large else 10
    ours = np.mean([seconds(lambda m=mask: compute_maps(m, [name]), repeats, clock) for mask in masks])
    theirs = np.mean([seconds(lambda m=mask: oracle(m), min(repeats, 5), clock) for mask in masks])
    difference = max(np.abs(compute_maps(mask, [name])[name][0] - oracle(mask)).max() for mask in masks)
    size = f"{shape[0]} x {shape[1]}"
    print(f"{name:17}{size:12}{threads:7}{1e3 * ours:10.2f}{1e3 * theirs:9.2f}{theirs / ours:7.1f}  {difference:.0e}")


def maps() -> None:
    """Table 2."""
    print(
        "\ntarget maps against SciPy, ms an image\nmap              size        threads      ours    SciPy  ratio  difference, px"
    )
    for name, oracle in (("distance", distance), ("signed_distance", signed)):
        for shape in ((96, 96), (512, 512), (4000, 6000)):
            compared(name, oracle, shape, 1)
        compared(name, oracle, (4000, 6000), os.cpu_count() or 1)


class Plain(Dataset):
    """What one writes at first: files read in every epoch, maps from SciPy."""

    def __init__(self, data: CrackDataModule, policy: Policy) -> None:
        self.records = [data.records[i] for i in data.splits.train[:48]]
        self.policy = policy

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        record = self.records[index]
        image = cv2.cvtColor(cv2.imread(record.image), cv2.COLOR_BGR2RGB)
        mask = (cv2.imread(record.mask, cv2.IMREAD_GRAYSCALE) > 127).astype(np.uint8)
        image = cv2.resize(image, (512, 512), interpolation=cv2.INTER_AREA)
        mask = cv2.resize(mask, (512, 512), interpolation=cv2.INTER_NEAREST)
        image, mask = self.policy(image, mask, np.random.default_rng(index))
        signed = ndimage.distance_transform_edt(mask == 0) - ndimage.distance_transform_edt(mask)
        image = (image / 255 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
        return {
            "image": torch.from_numpy(image.transpose(2, 0, 1)).float(),
            "mask": torch.from_numpy(mask)[None].float(),
            "signed_distance": torch.from_numpy(signed)[None].float(),
        }


def whole() -> None:
    """Table 3."""
    print(
        "\nthe whole path at 512 x 512 with the signed distance, 48 samples, normalised batches of 16\npolicy     ours, s  plain, s   ratio"
    )
    for policy in ("flips", "deopujari2025"):
        data = deepcrack(policy, resize=(512, 512), maps=["signed_distance"])
        ours = data.train_dataloader()
        ours = DataLoader(data.dataset(data.splits.train[:48], data.augment), 16, collate_fn=ours.collate_fn)
        plain = DataLoader(Plain(data, data.augment), 16)
        here = seconds(lambda loader=ours, d=data: [d.on_after_batch_transfer(batch, 0) for batch in loader], 3)
        there = seconds(lambda loader=plain: [None for _ in loader], 3)
        print(f"{policy:14}{here:5.2f}{there:10.2f}{there / here:8.1f}")


def waiting() -> None:
    """Table 4."""
    import segmentation_models_pytorch as smp

    print(
        "\nshare of a training step that waits for data, ResNet-18 U-Net on the CPU, batches of 16, flips, distance maps\nsize  workers  ms a step  waiting"
    )
    for size, workers in ((96, 0), (96, 1), (192, 0), (192, 1)):
        data = deepcrack(crop=384, resize=size, maps=["distance"], num_workers=workers)
        net = smp.Unet("resnet18", encoder_weights=None)
        optimizer = torch.optim.AdamW(net.parameters())
        total = waited = 0.0
        for epoch in range(2):
            loader = data.train_dataloader()
            loader.sampler.set_epoch(epoch)
            batches = iter(loader)
            for step in range(5):
                start = time.perf_counter()
                batch = data.on_after_batch_transfer(next(batches), 0)
                ready = time.perf_counter()
                loss = nn.functional.binary_cross_entropy_with_logits(net(batch["image"]), batch["mask"])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                if step:  # workers start at the first
                    waited += ready - start
                    total += time.perf_counter() - start
        print(f"{size:4}{workers:9}{1e3 * total / 8:11.1f}{waited / total:9.1%}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    maps()
    cv2.setNumThreads(0)
    samples()
    whole()
    waiting()
