"""Short names for classes, as they are typed in configurations and on the command line."""

import difflib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules
from typing import TypeVar

from cracklab.errors import ConfigError

T = TypeVar("T", bound=type)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: the nearest known name, or all of them if none is near.

    Example:
        >>> nearest("dicee", ["bce", "dice"])
        "; did you mean 'dice'?"
        >>> nearest("zebra", ["bce", "dice"])
        '; known are bce, dice'
    """
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(known)}"


class Registry(Mapping[str, T]):
    """A mapping from short name to class that fills itself on first use.

    It imports every module of `package`, so that a new file registers its classes, and then loads the entry points of
    the group with the package's name, so that other packages can add theirs.

    Args:
        package: the package whose modules register classes.
        kind: the word for one of its classes in messages.

    Raises:
        ConfigError: for a name that is not registered, or is registered twice.
    """

    def __init__(self, package: str, kind: str) -> None:
        self.package, self.kind = package, kind
        self._classes: dict[str, T] = {}
        self._filled = False

    def register(self, name: str) -> Callable[[T], T]:
        """Return a class decorator that registers a class as `name`.

        The name becomes the `__qualname__` of the class and an attribute of its module, so that jsonargparse accepts
        `--model.loss distance_aware` for `cracklab.losses.distance.DistanceAware`.

        Raises:
            ConfigError: if the name belongs to another class.
        """

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
        """Import every module and entry point that registers a class; each look-up calls this.

        Raises:
            ConfigError: if an entry point cannot be imported.
        """
        if self._filled:
            return
        self._import_package()
        for point in entry_points(group=self.package):
            try:
                point.load()
            except (ImportError, AttributeError) as error:
                owner = point.dist.name if point.dist else "a package"
                raise ConfigError(
                    f"{owner} declares the {self.kind} {point.name!r} at {point.value}, which cannot be imported "
                    f"({error}): repair or uninstall it"
                ) from error
        self._filled = True

    def own_classes(self) -> dict[str, T]:
        """Return the package's own classes by class name; those of other packages are imported from there."""
        self._import_package()
        prefix = f"{self.package}."
        return {cls.__name__: cls for cls in self._classes.values() if cls.__module__.startswith(prefix)}

    def _import_package(self) -> None:
        package = import_module(self.package)
        for module in iter_modules(getattr(package, "__path__", []), f"{self.package}."):
            import_module(module.name)

    def __getitem__(self, name: str) -> T:
        self.fill()
        try:
            return self._classes[name]
        except KeyError:
            raise ConfigError(f"no {self.kind} is called {name!r}{nearest(name, self._classes)}") from None

    def __contains__(self, name: object) -> bool:
        self.fill()
        return name in self._classes

    def __iter__(self) -> Iterator[str]:
        self.fill()
        return iter(sorted(self._classes))

    def __len__(self) -> int:
        self.fill()
        return len(self._classes)
