"""Several data sets at once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cracklab.data.images import Array
from cracklab.data.layouts.base import Layout, register
from cracklab.data.samples import Problem, Record
from cracklab.errors import ConfigError


@dataclass
class Source:
    """One data set among several.

    Args:
        name: what its images are called by.
        layout: where its images and masks lie.
        root: its folder; below `data.root`, or absolute.
        repeat: how many times each of its images stands in a training epoch.
    """

    name: str
    layout: Layout
    root: str = "."
    repeat: int = 1


@register("sources")
class Sources(Layout):
    """Several data sets, each with its own layout and repeat count; `data.fold_by: source` holds out one after another.

    Args:
        sources: the data sets; all with the same classes.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        names = [source.name for source in sources]
        if not sources or len(set(names)) < len(names):
            raise ConfigError(f"sources are called {', '.join(names) or 'nothing'}: give each a name of its own")
        kinds = {source.layout.num_classes for source in sources}
        if len(kinds) > 1 or any(source.repeat < 1 for source in sources):
            raise ConfigError(f"sources have {kinds} classes and repeats below 1 are no repeats: they have to agree")
        self.sources = {source.name: source for source in sources}
        self.num_classes, self.class_names = sources[0].layout.num_classes, sources[0].layout.class_names
        self.needs_root = any(source.layout.needs_root and not Path(source.root).is_absolute() for source in sources)

    def index(self, root: Path) -> tuple[list[Record], list[Problem]]:
        """The records of all sources, each under the name of its source."""
        records, problems = [], []
        for name, source in self.sources.items():
            found, faults = source.layout.index(root / source.root)
            records += [replace(r, source=name, weight=r.weight * source.repeat) for r in found]
            problems += faults
        return records, problems

    def read(self, record: Record) -> tuple[Array, Array]:
        """As the source's layout has it."""
        return self.sources[record.source].layout.read(record)

    def files(self, record: Record) -> tuple[str, ...]:
        """As the source's layout has it."""
        return self.sources[record.source].layout.files(record)

    def read_image(self, record: Record) -> Array:
        """As the source's layout has it."""
        return self.sources[record.source].layout.read_image(record)

    def read_mask(self, record: Record) -> Array:
        """As the source's layout has it."""
        return self.sources[record.source].layout.read_mask(record)

    def matched(self, image: Array, mask: Array, record: Record) -> tuple[Array, Array]:
        """As the source's layout has it."""
        return self.sources[record.source].layout.matched(image, mask, record)
