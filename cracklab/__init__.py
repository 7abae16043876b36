"""Segmentation of thin cracks on PyTorch Lightning: losses, distance maps, leak-free folds and reliable metrics.

    import cracklab

    model = cracklab.load("RUN/checkpoints/best.ckpt")
    result = model.predict("wall.jpg")
    result.mask, result.probability, result.overlay(), result.cracks, result.save("masks")

`import cracklab` imports nothing else: names are imported on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from cracklab.version import __version__

if TYPE_CHECKING:
    from cracklab.data.datamodule import CrackDataModule
    from cracklab.module import CrackModule
    from cracklab.predict.load import load
    from cracklab.predict.predictor import Predictor

__all__ = ["CrackDataModule", "CrackModule", "Predictor", "__version__", "load"]

_MODULES = {
    "CrackDataModule": "cracklab.data.datamodule",
    "CrackModule": "cracklab.module",
    "Predictor": "cracklab.predict.predictor",
    "load": "cracklab.predict.load",
}

if not TYPE_CHECKING:  # a type checker reports unknown names itself

    def __getattr__(name: str) -> object:
        """Return a public name, importing its module.

        Raises:
            AttributeError: for any other name.
        """
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    """Return the names of the package, public ones that are not imported yet included."""
    return sorted({*globals(), *__all__})
