"""Examples: single images with their truth and a net's prediction, for pictures and tables."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from cracklab.batch import Batch
from cracklab.data.loader import collate
from cracklab.geometry.masks import Mask
from cracklab.losses.distance import WeightedLoss
from cracklab.pictures.compose import Image, as_rgb, error_overlay, heatmap, mask_image, side_by_side


@dataclass(frozen=True)
class Example:
    """One image with its truth and the probabilities of one class; with several classes, the first after the background.

    Example:
        >>> photo, truth = np.zeros((2, 2, 3), np.uint8), np.array([[True, False], [False, False]])
        >>> one = Example("wall", photo, truth, np.float32([[0.9, 0.6], [0.2, 0.1]]), None, {})
        >>> one.prediction(threshold=0.5).tolist()
        [[True, True], [False, False]]
    """

    id: str
    photo: Image
    """(H, W, 3)."""
    truth: Mask
    """(H, W)."""
    probability: NDArray[np.float32]
    """(H, W)."""
    most_probable: Mask | None
    """(H, W), whether the class is the most probable of several; None for a single class, which has a threshold."""
    maps: dict[str, NDArray[np.float32]]
    """Target maps of the loss, and the `weight` of each pixel in a weighted loss, each (H, W)."""

    def prediction(self, threshold: float) -> Mask:
        """Return the predicted mask (H, W)."""
        return self.probability > threshold if self.most_probable is None else self.most_probable

    def tiles(self, threshold: float, tolerance_px: float) -> tuple[Image, ...]:
        """Return photo, truth, probability and errors, each (H, W, 3)."""
        return (
            self.photo,
            mask_image(self.truth),
            as_rgb((self.probability * 255).round().astype(np.uint8)),
            error_overlay(self.photo, self.truth, self.prediction(threshold), tolerance_px),
        )

    def row(self, threshold: float, tolerance_px: float, title: str = "") -> Image:
        """Return photo, truth, probability, errors and maps in a row; the photo's title is the id by default."""
        maps = [heatmap(values) for values in self.maps.values()]
        titles = [title or self.id, "truth", "probability", "errors", *self.maps]
        return side_by_side([*self.tiles(threshold, tolerance_px), *maps], titles)


def example_from_batch(loss: nn.Module | None, data: Any, batch: Batch, probabilities: Tensor, index: int) -> Example:
    """Return one image of a batch as an example.

    Args:
        loss: of the run; a `WeightedLoss` in it adds its weights to the maps.
        data: the run's data module, which turns a normalised image back into a photo.
        batch: the batch.
        probabilities: (B, C, H, W), of the batch.
        index: of the image in the batch.

    Example:
        >>> import torch
        >>> from types import SimpleNamespace
        >>> data = SimpleNamespace(as_photo=lambda image: np.zeros((4, 4, 3), np.uint8))
        >>> image, mask, size = torch.zeros(1, 3, 4, 4), torch.ones(1, 1, 4, 4), torch.tensor([[3, 4]])
        >>> batch: Batch = {"id": ["wall"], "image": image, "mask": mask, "valid": None, "maps": {}, "size": size}
        >>> one = example_from_batch(None, data, batch, 0.25 * mask, 0)
        >>> one.id, one.truth.shape, float(one.probability.max())  # without the batch's padding
        ('wall', (3, 4), 0.25)
    """
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


def predict_examples(trainer: Any, pl_module: Any, ids: Iterable[str]) -> list[Example]:
    """Return images of the trainer's data by id, predicted one at a time."""
    data = trainer.datamodule
    place = {record.id: i for i, record in enumerate(data.records)}
    found = []
    for name in ids:
        batch = collate(list(data.dataset([place[name]])))
        batch = trainer.strategy.batch_to_device(batch, dataloader_idx=0)
        with trainer.precision_plugin.forward_context():
            _, predicted = pl_module.score(batch)
        found.append(example_from_batch(pl_module.loss, data, batch, predicted, 0))
    return found


def evenly_spaced(ids: Sequence[str], count: int) -> list[str]:
    """Return at most `count` ids, evenly spaced from the first to the last.

    Example:
        >>> evenly_spaced(["a", "b", "c", "d", "e"], 3)
        ['a', 'c', 'e']
    """
    return [ids[i] for i in np.linspace(0, len(ids) - 1, min(count, len(ids))).round().astype(int)]
