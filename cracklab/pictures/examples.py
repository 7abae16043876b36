"""Single images with what a net made of them, for pictures and tables."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from cracklab import pictures
from cracklab.batch import Batch
from cracklab.data.dataset import Collate
from cracklab.logits import probabilities
from cracklab.losses.distance import WeightedLoss


@dataclass(frozen=True)
class Example:
    """One image; of several classes, the first that is not background."""

    id: str
    photo: pictures.Image
    """(H, W, 3)."""
    truth: pictures.Mask
    """(H, W)."""
    probability: NDArray[np.float32]
    """(H, W)."""
    most_probable: pictures.Mask | None
    """(H, W), where the class is the most probable of several; None for one class, which has a threshold."""
    maps: dict[str, NDArray[np.float32]]
    """Target maps of the loss, and its `weight` where it has one, each (H, W)."""

    def prediction(self, threshold: float) -> pictures.Mask:
        """(H, W): what is predicted to be crack."""
        return self.probability > threshold if self.most_probable is None else self.most_probable

    def tiles(self, threshold: float, tolerance_px: float) -> tuple[pictures.Image, ...]:
        """Photo, truth, probability and errors, each (H, W, 3)."""
        return (
            self.photo,
            pictures.as_picture(self.truth),
            pictures.as_rgb((self.probability * 255).round().astype(np.uint8)),
            pictures.errors(self.photo, self.truth, self.prediction(threshold), tolerance_px),
        )

    def row(self, threshold: float, tolerance_px: float, title: str = "") -> pictures.Image:
        """Photo, truth, probability, errors and maps in a row."""
        maps = [pictures.as_map(values) for values in self.maps.values()]
        titles = [title or self.id, "truth", "probability", "errors", *self.maps]
        return pictures.side_by_side([*self.tiles(threshold, tolerance_px), *maps], titles)


def example(loss: nn.Module | None, data: Any, batch: Batch, probabilities: Tensor, index: int) -> Example:
    """One image of a batch."""
    height, width = batch["size"][index].tolist()
    channel = 0 if probabilities.shape[1] == 1 else 1

    def shown(tensor: Tensor) -> NDArray[Any]:
        return np.asarray(tensor[index, channel, :height, :width].float().cpu().numpy())

    best = None if channel == 0 else (probabilities[index, :, :height, :width].argmax(0) == channel).cpu().numpy()
    maps = {name: shown(values) for name, values in batch["maps"].items()}
    weighted = next((part for part in loss.modules() if isinstance(part, WeightedLoss)), None) if loss else None
    if weighted is not None:
        one = {name: values[index : index + 1].float() for name, values in batch["maps"].items()}
        maps["weight"] = weighted.weigh(one)[0, channel, :height, :width].detach().float().cpu().numpy()
    return Example(
        id=batch["id"][index],
        photo=data.as_photo(batch["image"][index])[:height, :width],
        truth=shown(batch["mask"]) > 0,
        probability=shown(probabilities),
        most_probable=best,
        maps=maps,
    )


def evaluated(trainer: Any, pl_module: Any, ids: Iterable[str]) -> list[Example]:
    """Images by name, predicted once more, one at a time."""
    data = trainer.datamodule
    place = {record.id: i for i, record in enumerate(data.records)}
    found = []
    for name in ids:
        batch = Collate()(list(data.dataset([place[name]])))
        batch = trainer.strategy.batch_to_device(batch, dataloader_idx=0)
        with trainer.precision_plugin.forward_context():
            scores = probabilities(pl_module(batch["image"]).float())
        found.append(example(pl_module.loss, data, batch, scores, 0))
    return found
