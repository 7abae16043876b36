"""The grammar of metric names: `[stage/]name[_image][_wBAND][@threshold][/class]`."""

import re
from dataclasses import dataclass, replace

PATTERN = re.compile(
    r"(?P<name>[^@/]*?)(?P<image>_image)?(_(?P<band>w\d+(_\d+)?))?(@(?P<threshold>[^/]*))?(/(?P<label>.*))?", re.DOTALL
)


@dataclass(frozen=True)
class MetricKey:
    """The parts of the name of a metric, of `test_metrics.json`, or of a column, of `per_image.csv`.

    `str(MetricKey.parse(text)) == text` holds for every text.

    Example:
        >>> MetricKey.parse("test/iou_image@0.5", staged=True)
        MetricKey(name='iou', image=True, band=None, threshold='0.5', label=None, stage='test')
        >>> str(MetricKey("recall", band="w1_2", stage="val"))
        'val/recall_w1_2'
    """

    name: str
    """The quantity, with its unit: `iou`, `hd95_px`."""
    image: bool = False
    """Whether it is the mean over images of a quantity whose plain name is the pooled value."""
    band: str | None = None
    """The band of crack widths, a name in `cracklab.metrics.bands.BANDS`: `w1_2`."""
    threshold: str | None = None
    """The probability threshold as it is written: `0.5`. None: the checkpoint's."""
    label: str | None = None
    """The class, or another part of the data; None: all."""
    stage: str | None = None
    """`test`, `val`, or the name of a protocol; columns have none."""

    @classmethod
    def parse(cls, text: str, *, staged: bool = False) -> "MetricKey":
        """Return the parts of a name.

        Args:
            text: any text.
            staged: whether all before the first `/` is the stage; else the part behind it is the class.

        Example:
            >>> MetricKey.parse("hd95_px/joint").label
            'joint'
        """
        stage, rest = text.split("/", 1) if staged and "/" in text else (None, text)
        match = PATTERN.fullmatch(rest)
        assert match is not None  # the pattern matches every text
        return cls(
            match["name"],
            match["image"] is not None,
            match["band"],
            match["threshold"],
            match["label"],
            stage,
        )

    def __str__(self) -> str:
        stage = "" if self.stage is None else f"{self.stage}/"
        threshold = "" if self.threshold is None else f"@{self.threshold}"
        label = "" if self.label is None else f"/{self.label}"
        return f"{stage}{self.variant}{threshold}{label}"

    @property
    def variant(self) -> str:
        """The name with `_image` and the band: `iou_image`, `recall_w1_2`.

        Example:
            >>> MetricKey.parse("iou_image@0.5").variant
            'iou_image'
        """
        return f"{self.name}{'_image' if self.image else ''}{'' if self.band is None else f'_{self.band}'}"

    def named(self, name: str) -> "MetricKey":
        """Return the key of another quantity, equal in all other parts.

        Example:
            >>> str(MetricKey.parse("tp@0.5").named("iou"))
            'iou@0.5'
        """
        return replace(self, name=name)
