"""Names for classes: what is registered is found by its short name on the command line and in configs."""

import difflib
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules
from typing import TypeVar

from cracklab.errors import ConfigError

T = TypeVar("T", bound=type)


def nearest(name: str, known: Iterator[str] | list[str]) -> str:
    """`; did you mean 'dice'?` for a misspelt name, or the known names where nothing is near."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(known)}"


class Registry(Mapping[str, T]):
    """A mapping from short name to class that fills itself on first use.

    The modules of `package` are imported, so that a new file registers what it holds, then the entry points of the
    group of the same name, so that third-party packages add theirs. A class's `__qualname__` becomes its short name
    and its module gets it as an attribute: that is what lets jsonargparse take `--model.loss distance_aware`.

    Raises:
        ConfigError: for a name that is not registered, or registered twice.
    """

    def __init__(self, package: str, kind: str) -> None:
        self.package, self.kind = package, kind
        self._classes: dict[str, T] = {}
        self._filled = False

    def register(self, name: str) -> Callable[[T], T]:
        """Class decorator that registers a class under `name`."""

        def decorate(cls: T) -> T:
            other = self._classes.get(name)
            if other is not None and (other.__module__, other.__name__) != (cls.__module__, cls.__name__):
                raise ConfigError(
                    f"{self.kind} {name!r} is registered twice, by {other.__module__}.{other.__name__} and "
                    f"{cls.__module__}.{cls.__name__}: rename one"
                )
            cls.__qualname__ = name
            setattr(sys.modules[cls.__module__], name, cls)
            self._classes[name] = cls
            return cls

        return decorate

    def fill(self) -> None:
        """Import everything that registers itself; called by every look-up."""
        if self._filled:
            return
        package = import_module(self.package)
        for module in iter_modules(getattr(package, "__path__", []), self.package + "."):
            import_module(module.name)
        for point in entry_points(group=self.package):
            try:
                point.load()
            except (ImportError, AttributeError) as error:
                owner = point.dist.name if point.dist else "a package"
                raise ConfigError(
                    f"{owner} announces the {self.kind} {point.name!r} at {point.value}, which does not load ({error}): "
                    "repair or uninstall it"
                ) from error
        self._filled = True

    def __getitem__(self, name: str) -> T:
        self.fill()
        try:
            return self._classes[name]
        except KeyError:
            raise ConfigError(f"no {self.kind} is called {name!r}{nearest(name, list(self._classes))}") from None

    def __contains__(self, name: object) -> bool:
        self.fill()
        return name in self._classes

    def __iter__(self) -> Iterator[str]:
        self.fill()
        return iter(sorted(self._classes))

    def __len__(self) -> int:
        self.fill()
        return len(self._classes)
