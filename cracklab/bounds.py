"""Types of numbers within bounds, for signatures: the command line and Python refuse other values with the same message."""

import functools
import inspect
import math
import typing
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt

from cracklab.errors import ConfigError

T = TypeVar("T", bound=type)

PositiveInt = Annotated[int, Ge(1)]
NonNegativeInt = Annotated[int, Ge(0)]
SidePx = Annotated[int, Ge(1), Le(32_767)]
"""Height or width of an image, px; OpenCV handles none above."""
Seed = Annotated[int, Ge(0), Le(2**32 - 1)]
"""A seed of NumPy's global generator."""
GreyLevel = Annotated[int, Ge(0), Le(255)]
"""A value of a mask of 8 bits."""
FiniteFloat = Annotated[float, Gt(-math.inf), Lt(math.inf)]
PositiveFloat = Annotated[float, Gt(0), Lt(math.inf)]
NonNegativeFloat = Annotated[float, Ge(0), Lt(math.inf)]
UnitInterval = Annotated[float, Ge(0), Le(1)]
"""A share or a probability, 0 and 1 included."""
OpenUnitInterval = Annotated[float, Gt(0), Lt(1)]
"""A share or a probability, neither 0 nor 1."""
PLAIN: dict[Any, str] = {
    int: "a whole number", float: "a number", bool: "true or false", str: "a text", NoneType: "null"
}  # fmt: skip
WORDS = {Ge: ("of at least", "ge"), Gt: ("above", "gt"), Le: ("at most", "le"), Lt: ("below", "lt")}


def bounded(cls: T) -> T:
    """Check the arguments of a class against the bounds in its signature; a class decorator.

    Raises:
        ConfigError: from the constructor, if an argument is out of its bounds; names it, its value and the bounds.

    Example:
        >>> @bounded
        ... class Crops:
        ...     def __init__(self, side: SidePx, rate: UnitInterval = 0.5) -> None: ...
        >>> Crops(64, rate=3)
        Traceback (most recent call last):
        cracklab.errors.ConfigError: rate is 3: give a number from 0 to 1
    """
    init: Callable[..., None] = cls.__init__  # type: ignore[misc]  # of a class that is not known here
    signature = inspect.signature(init)
    hints: dict[str, Any] = {}

    @functools.wraps(init)
    def checked(self: Any, *args: Any, **kwargs: Any) -> None:
        if not hints:  # on the first call: a class may be named in a hint before it exists
            hints.update(bounded_hints(init))
        try:
            given = signature.bind(self, *args, **kwargs).arguments
        except TypeError:  # raised again, with Python's own message, by the call
            given = {}
        for name, hint in hints.items():
            if name in given:
                check(name, given[name], hint)
        init(self, *args, **kwargs)

    cls.__init__ = checked  # type: ignore[misc]  # mypy refuses to assign a method, which a decorator of classes does
    return cls


def bounded_hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the types of a function's parameters that have bounds, by name."""
    hints = typing.get_type_hints(function, include_extras=True)
    return {name: hint for name, hint in hints.items() if name != "return" and _has_bounds(hint)}


def check(name: str, value: Any, hint: Any) -> None:
    """Check a value against a type with bounds.

    Args:
        name: of the value, for the message.
        value: to check.
        hint: a type of this module, or a union, tuple or list of such types.

    Raises:
        ConfigError: if the value is of another type or out of bounds.

    Example:
        >>> check("resize", (96, 0), SidePx | tuple[SidePx, SidePx] | None)
        Traceback (most recent call last):
        cracklab.errors.ConfigError: resize is (96, 0): give a whole number from 1 to 32767, a list of 2, each a whole number from 1 to 32767, or null
    """
    if not _fits(value, hint):
        raise ConfigError(f"{name} is {value!r}: give {describe(hint)}")


def describe(hint: Any) -> str:
    """Return a type in words.

    Example:
        >>> describe(PositiveInt | None), describe(OpenUnitInterval | Literal["dice", "hd95"])
        ('a whole number of at least 1, or null', "a number above 0 and below 1, 'dice' or 'hd95'")
    """
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return f"{describe(inner[0])} {_bounds_in_words(inner[1:])}".strip()
    if origin in (Union, UnionType):
        return _either(
            [word for part in inner if part.__class__ is not type or part in PLAIN for word in _alternatives(part)]
        )
    if origin is Literal:
        return _either(_alternatives(hint))
    if origin is tuple and Ellipsis not in inner:
        words = list(dict.fromkeys(describe(part) for part in inner))
        return f"a list of {len(inner)}, each {words[0]}" if len(words) == 1 else f"values: {', '.join(words)}"
    if origin is not None and inner and issubclass(origin, Sequence):
        return f"a list of values, each {describe(inner[0])}"
    return PLAIN.get(hint, getattr(hint, "__name__", str(hint)))


def _alternatives(hint: Any) -> list[str]:
    return [repr(value) for value in get_args(hint)] if get_origin(hint) is Literal else [describe(hint)]


def _either(words: Sequence[str]) -> str:
    if len(words) < 2:
        return "".join(words)
    comma = "," if any(" " in word for word in words[-2:]) and words[-1] == "null" else ""
    return f"{', '.join(words[:-1])}{comma} or {words[-1]}"


def _bounds_in_words(bounds: Sequence[Any]) -> str:
    low = next((bound for bound in bounds if isinstance(bound, Ge | Gt)), None)
    high = next((bound for bound in bounds if isinstance(bound, Le | Lt)), None)
    low = None if low == Gt(-math.inf) else low  # a number is finite anyway
    high = None if high == Lt(math.inf) else high
    if isinstance(low, Ge) and isinstance(high, Le):
        return f"from {low.ge} to {high.le}"
    found = [(*WORDS[type(bound)], bound) for bound in (low, high) if bound is not None]
    return " and ".join(f"{words} {getattr(bound, field)}" for words, field, bound in found)


def _has_bounds(hint: Any) -> bool:
    return get_origin(hint) is Annotated or any(_has_bounds(part) for part in get_args(hint))


def _fits(value: Any, hint: Any) -> bool:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _fits(value, inner[0]) and all(_holds(value, bound) for bound in inner[1:])
    if origin in (Union, UnionType):
        return any(_fits(value, part) for part in inner)
    if origin is Literal:
        return value in inner
    if origin is tuple and Ellipsis not in inner:
        sized = isinstance(value, tuple | list) and len(value) == len(inner)
        return sized and all(map(_fits, value, inner))
    if origin is not None and inner and issubclass(origin, Sequence):
        return isinstance(value, tuple | list) and all(_fits(item, inner[0]) for item in value)
    if hint in (int, float):
        kind = Integral if hint is int else Real
        return isinstance(value, kind) and not isinstance(value, bool) and math.isfinite(value)
    return isinstance(value, hint) if isinstance(hint, type) else True


def _holds(value: Any, bound: Any) -> bool:
    if isinstance(bound, Ge):
        return bool(value >= bound.ge)
    if isinstance(bound, Gt):
        return bool(value > bound.gt)
    if isinstance(bound, Le):
        return bool(value <= bound.le)
    return bool(value < bound.lt)
