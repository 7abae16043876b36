"""Rebuilding a net from the text of a checkpoint, which is untrusted: known nets with plain arguments, nothing else."""

import inspect
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_parameter_registration_hook,
)

from cracklab.errors import RunError
from cracklab.models.pretrained import NO_DOWNLOADS

PACKAGES = (
    "cracklab.models",
    "segmentation_models_pytorch",
    "monai.networks.nets",
    "torchvision.models.segmentation",
    "timm",
)
"""Packages whose nets a checkpoint may name."""
SWITCHED_OFF: Mapping[str, Any] = {**NO_DOWNLOADS, "weights": None, "weights_backbone": None}
"""Arguments that would download weights or read them from a file -> values for which they do not."""
FILE_WORDS = frozenset({"path", "file", "filename", "url", "dir", "folder", "cache", "checkpoint", "pretrained", "hub"})
"""Words in the name of an argument whose text would be a file or an address."""
UNSAFE_TEXT = re.compile(r"[/\\:\x00-\x1f]|^[.~]")
MAX_NUMBER, MAX_ITEMS, MAX_LEVELS, MAX_TEXT = 100_000, 1000, 6, 200
"""Bounds of a number, of the items of one list, of lists in lists, and of the length of a text, in arguments."""
MORE_VALUES = 50_000_000
"""Number of values that a net may have beyond the bytes of its checkpoint: parts that it builds and then discards."""


def rebuild(net: Any, values: int, trust: Collection[str] = ()) -> nn.Module:
    """Build the net that a checkpoint describes, without anything that downloads weights or reads files.

    A class path is only looked up in the packages of `PACKAGES`; nothing else is imported, and nothing but a net of those
    packages is called.

    Args:
        net: the description: a class path, or a mapping of `class_path`, `init_args` and `dict_kwargs`.
        values: number of values that its parameters and buffers may have; building stops when it exceeds that.
        trust: class paths that are imported and called wherever they are.

    Raises:
        RunError: if the description names anything else, has arguments that are not plain values, cannot be called, or
            describes a larger net.

    Example:
        >>> type(rebuild({"class_path": "cracklab.models.UNet", "init_args": {"widths": [4, 8]}}, values=10_000)).__name__
        'UNet'
        >>> rebuild({"class_path": "os.system", "init_args": {"command": "ls"}}, values=0)
        Traceback (most recent call last):
        cracklab.errors.RunError: the class os.system is not one of the nets that a checkpoint may name ...
    """
    path, given = _described(net)
    arguments = {name: value for name, value in given.items() if name not in SWITCHED_OFF}
    _check_plain(arguments, f"an argument of {_short(path)[1:-1]}")
    trusted = path in ([trust] if isinstance(trust, str) else trust)
    make = _import(path) if trusted else _known_net(path, arguments)
    try:
        with _bounded(values), _offline(not trusted):
            built = make(**_fitted(make, arguments))
    except RunError:
        raise
    except Exception as error:  # nets of any library raise any type
        said = " ".join(str(error).split())[:300]
        raise RunError(f"the net {path} cannot be built here ({type(error).__name__}: {said})") from error
    if not isinstance(built, nn.Module):
        raise RunError(f"{path} makes a {type(built).__name__}, not a net")
    return built


def is_known(path: str) -> bool:
    """Return whether a checkpoint may name this class.

    Example:
        >>> is_known("cracklab.models.UNet"), is_known("my_nets.Net")
        (True, False)
    """
    try:
        _known_net(path, {})
    except RunError:
        return False
    return True


def _described(net: Any) -> tuple[str, dict[str, Any]]:
    """Return the class path and the arguments of a description."""
    if isinstance(net, str):
        net = {"class_path": net}
    parts = ("init_args", "dict_kwargs")
    if not isinstance(net, Mapping) or not isinstance(net.get("class_path"), str) or {*net} - {"class_path", *parts}:
        raise RunError(f"model.net is {_short(net)}, not a class path with arguments")
    given = {name: net.get(name) or {} for name in parts}
    for name, values in given.items():
        if not isinstance(values, Mapping):
            raise RunError(f"model.net.{name} is {_short(values)}, not names and values")
    return net["class_path"], {**given["init_args"], **given["dict_kwargs"]}


def _check_plain(value: Any, what: str, level: int = 0) -> None:
    """Refuse anything but None, booleans, text, moderate numbers, and lists and mappings of these.

    Raises:
        RunError: names the value.
    """
    if isinstance(value, Mapping):
        for name, item in value.items():
            if not isinstance(name, str) or not name.isidentifier() or name == "class_path":
                raise RunError(f"{what} is {_short(value)}, and a checkpoint may hold plain values only")
            if isinstance(item, str) and item and FILE_WORDS & set(name.lower().split("_")):
                raise RunError(f"{what}, {name}, is {_short(item)}, and a checkpoint may name no file and no address")
    elif isinstance(value, str):
        if len(value) > MAX_TEXT or UNSAFE_TEXT.search(value):
            raise RunError(f"{what} is {_short(value)}, and a checkpoint may name no file and no address")
    elif isinstance(value, int | float) and not abs(value) <= MAX_NUMBER:
        raise RunError(f"{what} is {_short(value)}, and at most {MAX_NUMBER} is accepted in a checkpoint")
    elif not isinstance(value, list | int | float | None):
        raise RunError(f"{what} is {_short(value)}, and a checkpoint may hold plain values only")
    if isinstance(value, Mapping | list):
        if len(value) > MAX_ITEMS or level > MAX_LEVELS:
            raise RunError(f"{what} has more than {MAX_ITEMS} items or {MAX_LEVELS} levels, too many for a net")
        for item in value.values() if isinstance(value, Mapping) else value:
            _check_plain(item, what, level + 1)


def _known_net(path: str, arguments: Mapping[str, Any]) -> Callable[..., Any]:
    """Return the class of a known net, or the function of torchvision or timm that makes it.

    Raises:
        RunError: for any other path; names it and the option that trusts it.
    """
    package = next((name for name in PACKAGES if path.startswith(f"{name}.")), None)
    found: Any = None if package is None else _look_up(package, path.removeprefix(f"{package}.").split("."))
    is_net = isinstance(found, type) and issubclass(found, nn.Module)
    if is_net and f"{found.__module__}.".startswith(f"{package}."):
        return found  # type: ignore[no-any-return]  # a class, which can be called
    builders = _builders(package, arguments)
    if found in builders:
        return builders[builders.index(found)]
    raise RunError(
        f"the class {_short(path)[1:-1]} is not one of the nets that a checkpoint may name (those of {', '.join(PACKAGES)}): if "
        "it is yours, give --import with the file that defines it; if it is of an installed package that you trust, give "
        "--trust with its path; in Python, trust=[...]"
    )


def _builders(package: str | None, arguments: Mapping[str, Any]) -> list[Callable[..., Any]]:
    """Return the functions of a package that make nets; timm's for its own architectures alone, not for those of a hub."""
    if package == "torchvision.models.segmentation":
        from torchvision.models import get_model_builder, list_models

        return [get_model_builder(name) for name in list_models(import_module(package))]
    if package == "timm":
        import timm

        name = str(arguments.get("model_name")).partition(".")[0]
        return [timm.create_model] if name in timm.list_models() else []
    return []


def _look_up(package: str, names: list[str]) -> Any:
    """Return an attribute of a package, or of its modules; None if there is none."""
    if not all(name.isidentifier() and not name.startswith("_") for name in names):
        return None
    found: Any = import_module(package)
    for name in names:
        if isinstance(found, ModuleType) and not f"{found.__name__}.".startswith(f"{package}."):
            return None  # a module that the package only imports
        inner = f"{getattr(found, '__name__', '')}.{name}"
        try:
            found = getattr(found, name, None) or (import_module(inner) if isinstance(found, ModuleType) else None)
        except Exception:  # a module that cannot be imported here
            return None
    return found


def _import(path: str) -> Callable[..., Any]:
    """Import a class that the user trusts."""
    module, _, name = path.rpartition(".")
    try:
        return getattr(import_module(module), name)  # type: ignore[no-any-return]  # a module's attribute may be anything
    except (ImportError, AttributeError, ValueError) as error:
        raise RunError(
            f"the trusted class {path} cannot be imported ({error}): install its package here, or give the file that defines it with --import"
        ) from error


def _fitted(make: Callable[..., Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments with downloads switched off, also where they are the default.

    jsonargparse writes a default that is a member of an enumeration, or a class, by its name; it becomes that object again.
    """
    parameters = inspect.signature(make).parameters
    fitted = {**arguments, **{name: off for name, off in SWITCHED_OFF.items() if name in parameters}}
    for name, parameter in parameters.items():
        default, given = parameter.default, fitted.get(name)
        if isinstance(default, Enum) and given in type(default).__members__:
            fitted[name] = type(default)[str(given)]
        elif isinstance(default, type) and isinstance(given, str) and given.rpartition(".")[2] == default.__name__:
            fitted[name] = default
    return fitted


@contextmanager
def _bounded(values: int) -> Iterator[None]:
    """Stop when more parameters and buffers are registered; a module registers them before it fills them."""
    left = values

    def count(module: nn.Module, name: str, tensor: Tensor | None) -> None:
        nonlocal left
        left -= 0 if tensor is None else max(1, tensor.numel())
        if left < 0:
            raise RunError(f"the net that the checkpoint describes has more than {values} values, the checkpoint fewer")

    hooks: list[Any] = [register_module_parameter_registration_hook(count)]
    hooks.append(register_module_buffer_registration_hook(count))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


_refusing: ContextVar[bool] = ContextVar("refusing", default=False)


@contextmanager
def _offline(refuse: bool) -> Iterator[None]:
    """Refuse connections and processes while a net of a library is built, in case one starts them by itself."""
    _install_guard()
    token = _refusing.set(refuse)
    try:
        yield
    finally:
        _refusing.reset(token)


@cache
def _install_guard() -> None:
    """Install the hook of `_offline`, once: Python cannot remove one."""
    connections = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "urllib.Request"}
    forbidden = connections | {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork"}

    def guard(event: str, details: tuple[Any, ...]) -> None:
        if event in forbidden and _refusing.get():
            raise RunError(f"building the net of the checkpoint would need {event}, which no known net may use")

    sys.addaudithook(guard)


def _short(value: Any) -> str:
    """Return a value for a message, on one line and shortened."""
    text = repr(value)
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}..."
