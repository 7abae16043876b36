"""The contract of a loss, and the registry of losses by name."""

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

    A subclass implements `compute`, lists in `maps` the target maps that it reads, and registers a name. Losses are
    computed in float32 outside of autocast, because half precision loses small probabilities; float64 stays float64.

    Example:
        >>> class Brier(Loss):
        ...     '''Mean of (p - y)^2.'''
        ...     def compute(self, logits, mask, maps, valid):
        ...         error = (logits.sigmoid() - mask).square()
        ...         return error.mean() if valid is None else (error * valid).sum() / valid.sum()
        >>> Brier()(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2))  # (0.5 - 1)^2
        tensor(0.2500)
    """

    maps: tuple[str, ...] = ()
    """Names of the target maps that `compute` reads; the data module computes these and no others."""

    terms: Mapping[str, Tensor] = {}
    """Named parts of the last value for the logger, detached scalars; empty for a loss of one part."""

    @property
    def needs_statistics(self) -> bool:
        """Whether a parameter is `auto`, so that `configure` must be called before the first step."""
        return any(isinstance(module, AutoNumber) and module.auto for module in self.modules())

    @property
    def learns_from_statistics(self) -> bool:
        """Whether `configure` does anything: a parameter is `auto`, or the class of a loss has a method of its own."""
        losses = (module for module in self.modules() if isinstance(module, Loss))
        return self.needs_statistics or any(type(loss).configure is not Loss.configure for loss in losses)

    def configure(self, statistics: Statistics) -> dict[str, float]:
        """Derive the parameters that are `auto` from statistics of the training data, and configure the losses inside.

        A subclass with a method of its own calls this one for them.

        Returns:
            The derived numbers by parameter name, such as `losses.cl_dice.iterations`, for the record of the run.
        """
        inside = self._losses_inside()
        elsewhere = {module for loss in inside.values() for module in loss.modules()}
        numbers = {
            name: module.configure(statistics)
            for name, module in self.named_modules()
            if isinstance(module, AutoNumber) and module.auto and module not in elsewhere
        }
        for place, loss in inside.items():
            numbers |= {f"{place}.{name}": number for name, number in loss.configure(statistics).items()}
        return numbers

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch that begins, counted from 0, for the losses inside as well.

        A resumed run sets it again, so a loss need not store it. A subclass with a method of its own calls this one for the
        losses inside.
        """
        for loss in self._losses_inside().values():
            loss.set_epoch(epoch)

    def _losses_inside(self) -> dict[str, "Loss"]:
        """Return the losses that this one is made of by their place, without those that these are made of themselves."""
        found: dict[str, Loss] = {}
        deeper: set[nn.Module] = {self}
        for place, module in self.named_modules():
            if isinstance(module, Loss) and module not in deeper:
                found[place] = module
                deeper.update(module.modules())
        return found

    def compute(self, logits: Tensor, mask: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """Return the loss of tensors that `forward` has checked: one floating dtype, and 0 where `valid` is 0."""
        raise NotImplementedError

    def forward(
        self, logits: Tensor, mask: Tensor, maps: Mapping[str, Tensor] | None = None, valid: Tensor | None = None
    ) -> Tensor:
        """Return the loss of a batch.

        Args:
            logits: (B, C, H, W), any floating dtype.
            mask: (B, C, H, W), 0 / 1.
            maps: target maps by name, at least those in `self.maps`; each (B, C, H, W), distances in px.
            valid: (B, 1, H, W), 0 / 1; pixels with 0 are ignored. None: every pixel counts.

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
                # an ignored pixel may hold any value, NaN included: neither the value nor its gradient may pass
                ignored = valid == 0
                logits, mask = logits.masked_fill(ignored, 0), mask.masked_fill(ignored, 0)
                read = {name: values.masked_fill(ignored, 0) for name, values in read.items()}
                valid = valid.to(dtype)
            return self.compute(logits, mask, read, valid)

    def of_each(
        self, logits: Tensor, mask: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None = None
    ) -> list[float]:
        """Return the loss of each image of a batch, so that its mean depends neither on batches nor on processes.

        The arguments are those of `forward`. An image without a valid pixel has NaN.

        Example:
            >>> from cracklab.losses import build_loss
            >>> build_loss("bce").of_each(torch.zeros(2, 1, 2, 2), torch.ones(2, 1, 2, 2), {})  # ln 2, twice
            [0.6931471824645996, 0.6931471824645996]
        """
        values = [
            self(
                logits[i : i + 1],
                mask[i : i + 1],
                {name: map[i : i + 1] for name, map in maps.items()},
                None if valid is None else valid[i : i + 1],
            )
            for i in range(len(logits))
        ]
        losses = torch.stack(values)
        return (losses if valid is None else losses.where(valid.flatten(1).any(1), torch.nan)).tolist()

    def _check(self, logits: Tensor, mask: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> None:
        shape = tuple(logits.shape)
        if logits.ndim != 4 or not logits.is_floating_point():
            raise ConfigError(f"logits are {logits.dtype} {shape}: expected floating-point (B, C, H, W)")
        missing = [name for name in self.maps if name not in maps]
        if missing:
            raise ConfigError(
                f"{type(self).__qualname__} reads the target map {missing[0]!r} but got {sorted(maps) or 'none'}: "
                "compute it with cracklab.data.maps.compute_maps"
            )
        for name, tensor in {"mask": mask, **{name: maps[name] for name in self.maps}}.items():
            if tensor.shape != logits.shape:
                raise ConfigError(
                    f"{name} is {tuple(tensor.shape)} but the logits are {shape}: "
                    "give both the same size and one channel per class"
                )
        if valid is not None and valid.shape != (shape[0], 1, *shape[2:]):
            raise ConfigError(
                f"valid is {tuple(valid.shape)} but the logits are {shape}: expected (B, 1, H, W), one value per pixel"
            )


def parameters_of(cls: type) -> dict[str, inspect.Parameter]:
    """Return the constructor's parameters by name: its own first, then those that `**kwargs` passes to base classes.

    Example:
        >>> from cracklab.losses import Tversky
        >>> list(parameters_of(Tversky))
        ['delta', 'eps', 'per_image', 'classes', 'pool_classes']
    """
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


def required_parameters(cls: type) -> list[str]:
    """Return the names of the constructor's parameters that have no default.

    Example:
        >>> from cracklab.losses import Dice, WeightedSum
        >>> required_parameters(Dice), required_parameters(WeightedSum)
        ([], ['losses'])
    """
    return [p.name for p in parameters_of(cls).values() if p.default is p.empty]


def build_loss(name: str, **parameters: Any) -> Loss:
    """Build a registered loss by name.

    Raises:
        ConfigError: for an unknown name or parameter, with the nearest known one; for a missing parameter or a value
            that the loss rejects.

    Example:
        >>> build_loss("distance_aware", beta=2.0).maps
        ('distance',)
        >>> build_loss("distance_aware", betta=2.0)
        Traceback (most recent call last):
        cracklab.errors.ConfigError: distance_aware has no parameter 'betta'; did you mean 'beta'?
    """
    cls = LOSSES[name]
    known = parameters_of(cls)
    for parameter in parameters:
        if parameter not in known:
            raise ConfigError(f"{name} has no parameter {parameter!r}{nearest(parameter, known)}")
    for parameter in required_parameters(cls):
        if parameter not in parameters:
            raise ConfigError(f"{name} has no default for {parameter!r}: give it")
    return cls(**parameters)


def require(condition: bool, parameter: str, value: object, expected: str) -> None:
    """Raise an error that names parameter, value and expectation unless the condition holds.

    Raises:
        ConfigError: if the condition does not hold.

    Example:
        >>> require(0.5 <= 1, "delta", 0.5, "a number from 0 to 1")
        >>> require(1.5 <= 1, "delta", 1.5, "a number from 0 to 1")
        Traceback (most recent call last):
        cracklab.errors.ConfigError: delta is 1.5: expected a number from 0 to 1
    """
    if not condition:
        raise ConfigError(f"{parameter} is {value!r}: expected {expected}")
