"""The contract of a loss, and the registry that finds it by name."""

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from cracklab.errors import ConfigError
from cracklab.losses.auto import AutoNumber, Statistics
from cracklab.registry import Registry, nearest

LOSSES: Registry[type["Loss"]] = Registry("cracklab.losses", "loss")
register = LOSSES.register


class Loss(nn.Module):
    """A segmentation loss on logits.

    A subclass implements `compute`, names the target maps that it reads in `maps`, and registers itself by name.
    It is computed in float32 outside of autocast (half precision loses what rescaled probabilities need); float64
    stays float64.
    """

    maps: tuple[str, ...] = ()
    """Names of the target maps that `compute` reads; the data module computes these and no others."""

    terms: Mapping[str, Tensor] = {}
    """Named parts of the last value, detached scalars, for the logger; empty for a loss of one part."""

    @property
    def needs_statistics(self) -> bool:
        """Whether a parameter is `auto`, so that `configure` must come before the first step."""
        return any(isinstance(module, AutoNumber) and module.auto for module in self.modules())

    def configure(self, statistics: Statistics) -> dict[str, float]:
        """Take parameters that are `auto` from the training data.

        Returns:
            The numbers chosen, by name, for the record of the run.
        """
        numbers = {name: module for name, module in self.named_modules() if isinstance(module, AutoNumber)}
        return {name: number.configure(statistics) for name, number in numbers.items() if number.auto}

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch begins, counted from 0; called again after a resume, so nothing of it is stored."""

    def compute(self, logits: Tensor, mask: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """The loss of tensors that `forward` has checked, of one floating dtype, and 0 where `valid` is 0."""
        raise NotImplementedError

    def forward(
        self, logits: Tensor, mask: Tensor, maps: Mapping[str, Tensor] | None = None, valid: Tensor | None = None
    ) -> Tensor:
        """The loss of a batch.

        Args:
            logits: (B, C, H, W), any floating dtype.
            mask: (B, C, H, W), 0 / 1.
            maps: at least the maps that `self.maps` names, each (B, C, H, W), px.
            valid: (B, 1, H, W), 0 / 1; pixels with 0 count nowhere. None: every pixel counts.

        Returns:
            A scalar tensor.

        Raises:
            ConfigError: for a missing map, or a tensor of the wrong shape.
        """
        maps = {} if maps is None else maps
        self._check(logits, mask, maps, valid)
        dtype = torch.promote_types(logits.dtype, torch.float32)
        with torch.autocast(logits.device.type, enabled=False):
            logits, mask = logits.to(dtype), mask.to(dtype)
            read = {name: maps[name].to(dtype) for name in self.maps}
            if valid is not None:
                # whatever an ignored pixel holds, not a number included, stops here, and so does its gradient
                outside = valid == 0
                logits, mask = logits.masked_fill(outside, 0), mask.masked_fill(outside, 0)
                read = {name: values.masked_fill(outside, 0) for name, values in read.items()}
                valid = valid.to(dtype)
            return self.compute(logits, mask, read, valid)

    def _check(self, logits: Tensor, mask: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> None:
        if logits.ndim != 4 or not logits.is_floating_point():
            raise ConfigError(f"logits are {_kind(logits)}: expected floating (B, C, H, W)")
        missing = [name for name in self.maps if name not in maps]
        if missing:
            raise ConfigError(
                f"{type(self).__qualname__} reads the target map {missing[0]!r} but got {sorted(maps) or 'none'}: "
                "compute it with cracklab.data.maps.compute_maps"
            )
        for name, tensor in {"mask": mask, **{name: maps[name] for name in self.maps}}.items():
            if tensor.shape != logits.shape:
                raise ConfigError(
                    f"{name} is {tuple(tensor.shape)} but the logits are {tuple(logits.shape)}: "
                    "give both one channel per class and the same size"
                )
        if valid is not None and valid.shape != (logits.shape[0], 1, *logits.shape[2:]):
            raise ConfigError(
                f"valid is {tuple(valid.shape)}: expected (B, 1, H, W) for logits {tuple(logits.shape)}, one per pixel"
            )


def _kind(tensor: Tensor) -> str:
    return f"{tensor.dtype} {tuple(tensor.shape)}"


def parameters_of(cls: type) -> dict[str, inspect.Parameter]:
    """The constructor's parameters by name, its own first, then those that `**kwargs` passes on to its bases."""
    found: dict[str, inspect.Parameter] = {}
    for base in cls.__mro__:
        if "__init__" not in vars(base):
            continue
        own = list(inspect.signature(vars(base)["__init__"]).parameters.values())[1:]
        named = [p for p in own if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        found |= {p.name: p for p in named if p.name not in found}
        if not any(p.kind is p.VAR_KEYWORD for p in own) or base is nn.Module:
            break
    return found


def build_loss(name: str, **parameters: Any) -> Loss:
    """Build a registered loss by its name: `build_loss("distance_aware", beta=2.0)`.

    Raises:
        ConfigError: for an unknown name, parameter or value; it names the nearest right one.
    """
    cls = LOSSES[name]
    known = parameters_of(cls)
    for parameter in parameters:
        if parameter not in known:
            raise ConfigError(f"{name} has no parameter {parameter!r}{nearest(parameter, list(known))}")
    return cls(**parameters)


def require(condition: bool, parameter: str, value: object, expected: str) -> None:
    """Raise ConfigError with parameter, value and expectation unless the condition holds."""
    if not condition:
        raise ConfigError(f"{parameter} is {value!r}: expected {expected}")
