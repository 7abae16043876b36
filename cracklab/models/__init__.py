"""Nets that segmentation-models-pytorch and MONAI do not have; README.md lists all nets with a configuration."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cracklab.registry import nearest

if TYPE_CHECKING:
    from cracklab.models.crack_seg import CrackSeg
    from cracklab.models.pipe_unet import PipeUNet
    from cracklab.models.trans_unet import TransUNet
    from cracklab.models.unet import UNet

__all__ = ["CrackSeg", "PipeUNet", "TransUNet", "UNet"]

MODULES = {"CrackSeg": "crack_seg", "PipeUNet": "pipe_unet", "TransUNet": "trans_unet", "UNet": "unet"}


def __getattr__(name: str) -> Any:
    """Import a net on first use: the libraries behind them take seconds, which `--help` need not wait for."""
    if name not in MODULES:
        hint = "" if name.startswith("_") else nearest(name, MODULES)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{hint}", name=name)
    return getattr(import_module(f"{__name__}.{MODULES[name]}"), name)


def __dir__() -> list[str]:
    """Return the names that can be imported from here."""
    return sorted({*globals(), *MODULES})
