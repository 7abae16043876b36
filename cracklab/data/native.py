"""The files' own size: masks as they are on disk, and probabilities resized to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from cracklab.data.columns import describing_columns
from cracklab.data.images import IGNORE
from cracklab.data.layouts import Layout
from cracklab.data.samples import Record
from cracklab.data.transform import EvalTransform


@dataclass(frozen=True)
class NativeImage:
    """One image at its file's own size, as a batch of one; the evaluator takes the fields as they are."""

    probabilities: Tensor
    """(1, C, h, w) float32."""
    mask: Tensor
    """(1, C, h, w) bool."""
    valid: Tensor | None
    """(1, 1, h, w) bool, False for pixels that the mask file ignores; None if every pixel is valid."""
    columns: dict[str, list[float | str]]
    """The describing columns of the image, and `seen_share`, the share of the file's pixels that the net saw."""


class NativeSize:
    """Resizes the probabilities of prepared images to the size of their files.

    Padding is dropped, and the rest is resized (bilinear), as `cracklab predict` does. With `data.crop`, only the centre of a
    file is compared, since the net saw nothing else of it. An image is a record of the index; with the layout `tiles` it is
    a tile.

    Args:
        records: the index.
        layout: reads the masks.
        transform: prepared the images.

    Example:
        >>> from pathlib import Path
        >>> from cracklab.data.layouts.synthetic import Synthetic
        >>> layout = Synthetic(train=1, val=0, test=1, size=(40, 60))
        >>> native = NativeSize(layout.index(Path())[0], layout, EvalTransform(resize=(20, 30)))
        >>> image = native.restore("test-00000", torch.zeros(1, 32, 32))  # 20 x 30 px, padded to 32 x 32 px
        >>> image.probabilities.shape == image.mask.shape
        True
        >>> image.mask.shape
        torch.Size([1, 1, 40, 60])
    """

    def __init__(self, records: Sequence[Record], layout: Layout, transform: EvalTransform) -> None:
        self._layout, self._transform = layout, transform
        self._records = {record.id: record for record in records}
        self._columns: Mapping[str, Mapping[str, float | str]] = describing_columns(records, keeps_size=True)

    def __contains__(self, name: str) -> bool:
        return name in self._records

    def restore(self, name: str, probabilities: Tensor) -> NativeImage:
        """Return one image at its file's own size; reads its mask.

        Args:
            name: id of the image.
            probabilities: (C, H, W) float32 of the prepared image, padded at the bottom and the right, on any device.

        Raises:
            DataError: if the files cannot be read.
        """
        mask = self._layout.read(self._records[name])[1]
        seen = self._transform.cropped(mask)
        height, width = self._transform.prepared_size(*mask.shape)
        scores = probabilities[:, :height, :width].cpu().numpy()
        if (height, width) != seen.shape:
            size = (seen.shape[1], seen.shape[0])
            scores = np.stack([cv2.resize(one, size, interpolation=cv2.INTER_LINEAR) for one in scores])
        valid, classes = seen != IGNORE, np.arange(self._layout.num_classes)[:, None, None]
        truth = seen == (1 if len(classes) == 1 else classes)
        columns = {**self._columns[name], "seen_share": seen.size / mask.size}
        return NativeImage(
            torch.from_numpy(scores)[None],
            torch.from_numpy(truth).reshape(1, len(classes), *seen.shape),
            None if valid.all() else torch.from_numpy(valid)[None, None],
            {key: [value] for key, value in columns.items()},
        )
