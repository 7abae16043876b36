"""`cracklab.load`: a predictor from files of checkpoints and bundles."""

from collections.abc import Collection, Sequence
from pathlib import Path

from cracklab.errors import ConfigError
from cracklab.predict.deployed_model import DeployedModel, gpu_may_be_there
from cracklab.predict.model import Model
from cracklab.predict.predictor import Predictor
from cracklab.weights import checkpoint_file, ships


def load(
    model: str | Path | Sequence[str | Path],
    device: str | None = None,
    *,
    flips: bool = False,
    tile: int | None = None,
    overlap: int | None = None,
    batch_size: int | None = None,
    memory_gb: float | None = None,
    mm_per_px: float | None = None,
    scales: Sequence[float] | None = None,
    high_threshold: float | None = None,
    trust: Collection[str] = (),
) -> Predictor:
    """Load a predictor from checkpoints alone; neither the run folder nor its data is needed.

    Args:
        model: path of a checkpoint, for instance RUN/checkpoints/best.ckpt, or `cracks` for the model that ships, or BUNDLE/model.onnx of
            `cracklab export`, or several of them, whose probabilities are averaged.
        device: see `Predictor`, as are all further arguments.
        flips: score mirrored forms too.
        tile: side of the tiles, px.
        overlap: of neighbouring tiles, px.
        batch_size: number of tiles at a time.
        memory_gb: memory for the tiles.
        mm_per_px: scale of the photos.
        scales: sizes of the photo whose probabilities are fused.
        high_threshold: probability that a piece of crack has to reach somewhere.
        trust: class paths of nets of your own that a checkpoint may name; those of known libraries need none.

    Raises:
        ConfigError: for an option that cannot work.
        RunError: for a checkpoint that cannot be restored, or several that cannot be averaged.

    Example:
        >>> load("missing.ckpt")
        Traceback (most recent call last):
        cracklab.errors.RunError: checkpoint missing.ckpt does not exist: give the path of a file, for instance RUN/checkpoints/best.ckpt
    """
    paths = [model] if isinstance(model, str | Path) else list(model)
    if not paths:
        raise ConfigError("no checkpoint is given: give at least one, for instance RUN/checkpoints/best.ckpt")
    return Predictor(
        _models(paths, device, trust),
        device,
        flips=flips,
        tile=tile,
        overlap=overlap,
        batch_size=batch_size,
        memory_gb=memory_gb,
        mm_per_px=mm_per_px,
        scales=scales,
        high_threshold=high_threshold,
    )


def _models(paths: Sequence[str | Path], device: str | None, trust: Collection[str]) -> list[Model]:
    """Return the models of checkpoints and bundles; on a processor, a model that ships is run by ONNX Runtime too."""
    on_cpu = device == "cpu" or (device is None and not gpu_may_be_there())
    files = [checkpoint_file(path) for path in paths]
    if on_cpu and len(files) == 1 and ships(files[0]):
        return [DeployedModel(files[0])]
    models = list[Model]()
    for file in files:
        if file.suffix == ".onnx":
            models.append(DeployedModel(file))
        else:
            from cracklab.predict.trained_model import restore  # imports PyTorch

            models.append(restore(file, trust))
    return models
