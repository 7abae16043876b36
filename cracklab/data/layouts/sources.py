"""Several data sets at once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cracklab.bounds import PositiveInt, bounded
from cracklab.data.images import Array
from cracklab.data.layouts.base import Index, Layout, register
from cracklab.data.layouts.pairing import join
from cracklab.data.samples import Record
from cracklab.errors import ConfigError


@bounded
@dataclass
class Source:
    """One of several data sets.

    Args:
        name: of the data set; part of the ids of its images if ids would collide.
        layout: of its images and masks.
        root: its folder; relative to `data.root`, or absolute.
        repeat: number of times that each of its images is seen in a training epoch.
    """

    name: str
    layout: Layout
    root: str = "."
    repeat: PositiveInt = 1


@register("sources")
class Sources(Layout):
    """Several data sets, each with its own layout and repeat count; with `data.fold_by: source`, each fold holds out one.

    Args:
        sources: the data sets, all with the same classes in the same order.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        names = [source.name for source in sources]
        if not sources or len(set(names)) < len(names):
            raise ConfigError(
                f"sources are named {', '.join(names) or 'nothing'}: give at least one, with different names"
            )
        classes = sorted({source.layout.num_classes for source in sources})
        if len(classes) > 1:
            raise ConfigError(
                f"sources have {' and '.join(map(str, classes))} classes: use sources of the same classes"
            )
        names_of_classes = [source.layout.class_names for source in sources]
        if classes[0] > 1 and len(set(names_of_classes)) > 1:  # the index of a class would mean different things
            other = next(i for i, found in enumerate(names_of_classes) if found != names_of_classes[0])
            raise ConfigError(
                f"source {names[0]!r} has the classes {', '.join(names_of_classes[0])} and source {names[other]!r} has "
                f"{', '.join(names_of_classes[other])}: use sources with the same class_names in the same order"
            )
        self.sources = {source.name: source for source in sources}
        self.num_classes, self.class_names = sources[0].layout.num_classes, sources[0].layout.class_names
        self.needs_root = any(source.layout.needs_root and not Path(source.root).is_absolute() for source in sources)

    def index(self, root: Path) -> Index:
        """Return the records of all sources, each with the name of its source."""
        return join(self._index(root, source) for source in self.sources.values())

    @staticmethod
    def _index(root: Path, source: Source) -> Index:
        records, problems = source.layout.index(root / source.root)
        return [replace(r, source=source.name, weight=r.weight * source.repeat) for r in records], problems

    def _layout(self, record: Record) -> Layout:
        return self.sources[record.source].layout

    def read(self, record: Record) -> tuple[Array, Array]:
        """Decode one pair with the layout of its source."""
        return self._layout(record).read(record)

    def redrawn(self, record: Record, epoch: int) -> tuple[Array, Array] | None:
        """Redraw one pair with the layout of its source; the repetitions of an image within an epoch show the same pair."""
        return self._layout(record).redrawn(record, epoch)

    def files(self, record: Record) -> tuple[str, ...]:
        """Return all files that a pair is read from."""
        return self._layout(record).files(record)

    def read_image(self, record: Record) -> Array:
        """Decode one image with the layout of its source."""
        return self._layout(record).read_image(record)

    def read_mask(self, record: Record) -> Array:
        """Decode one mask with the layout of its source."""
        return self._layout(record).read_mask(record)

    def match_sizes(self, image: Array, mask: Array, record: Record) -> tuple[Array, Array]:
        """Return an image and its mask at the same size, by the layout of its source."""
        return self._layout(record).match_sizes(image, mask, record)
