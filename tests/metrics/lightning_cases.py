"""A LightningModule that uses the torchmetrics classes and nothing else of cracklab."""

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.strategies import DDPStrategy
from metric_cases import case
from torchmetrics import MetricCollection

from cracklab.metrics.torchmetrics import BoundaryIoU, ClDice, HausdorffDistance95, IoU, Recall

IMAGES = 5


class Images(torch.utils.data.Dataset):
    def __init__(self):
        self.ids, self.probabilities, self.masks = case(np.random.default_rng(3), IMAGES)

    def __len__(self):
        return len(self.ids)

    def __getitem__(self, i):
        return {"id": self.ids[i], "probability": self.probabilities[i], "mask": self.masks[i]}


def collection(prefix=None):
    metrics = [HausdorffDistance95(), BoundaryIoU(width_px=2), ClDice(), IoU(), Recall(per_image=True)]
    return MetricCollection(metrics, prefix=prefix)


class PlainModule(pl.LightningModule):
    """Validates on images whose probabilities are known.

    `ids/...` and `no_ids/...` are of the images that the sampler hands out. `uneven/...` is of every image once, in shares of
    different size; `one/...` of the first image alone, so that all processes but one have none. `spread/...` is the
    difference between the values of the processes.
    """

    def __init__(self):
        super().__init__()
        self.with_ids, self.without_ids = collection("ids/"), collection("no_ids/")
        self.uneven, self.one = collection("uneven/"), collection("one/")

    def on_validation_start(self):
        data = Images()
        for metrics, images in ((self.uneven, IMAGES), (self.one, 1)):
            for i in range(self.global_rank, images, self.trainer.world_size):
                metrics.update(data.probabilities[i : i + 1], data.masks[i : i + 1])

    def validation_step(self, batch, batch_idx):
        self.with_ids.update(batch["probability"], batch["mask"], ids=batch["id"])
        self.without_ids.update(batch["probability"], batch["mask"])
        self.log_dict(self.with_ids)
        self.log_dict(self.without_ids)

    def on_validation_epoch_end(self):
        values = self.uneven.compute() | self.one.compute() | self.with_ids.compute()
        self.log_dict(values)
        spread = {name: self.all_gather(value) for name, value in values.items()}
        self.log_dict({f"spread/{name}": value.max() - value.min() for name, value in spread.items()})


def validate(devices):
    """Return the logged values of a validation on CPUs, with the sampler of Lightning, which pads."""
    trainer = pl.Trainer(
        accelerator="cpu", devices=devices, strategy="auto" if devices == 1 else DDPStrategy(start_method="forkserver"),
        logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    return trainer.validate(PlainModule(), torch.utils.data.DataLoader(Images(), batch_size=2), verbose=False)[0]
