"""Checks of an untrusted checkpoint before any of it is used."""

import math
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cracklab.bounds import check, describe
from cracklab.errors import ConfigError, RunError

NET = "net."
"""Prefix of the net's tensors in `state_dict`; a loss may have tensors of its own."""
VERSION = re.compile(r"\d{1,6}\.\d{1,6}(\.[\w.+-]{1,40})?")
LIGHTNING: dict[str, type] = {
    "pytorch-lightning_version": str, "epoch": int, "global_step": int, "state_dict": dict, "loops": dict
}  # fmt: skip
"""Lightning's entries that every command reads -> their types."""
RESUMED: dict[str, type] = {"callbacks": dict, "optimizer_states": list, "lr_schedulers": list}
"""Lightning's entries that a resumed run reads too."""


def check_resumable(content: Mapping[str, Any], path: str | Path, command: str) -> None:
    """Check that a checkpoint has what Lightning reads in a command.

    Args:
        content: the checkpoint.
        path: its file, for error messages.
        command: `fit`, `validate` or `test`.

    Raises:
        RunError: names the entry that is missing or of another type.
    """
    for name, kind in (LIGHTNING | RESUMED if command == "fit" else LIGHTNING).items():
        value: Any = content.get(name)
        negative = isinstance(value, int) and value < 0
        if not isinstance(value, kind) or isinstance(value, bool) or negative:
            raise damaged(path, f"the entry {name!r}", value, f"a {kind.__name__}, as Lightning writes")
    version = content["pytorch-lightning_version"]
    if not VERSION.fullmatch(version) or release(version) < (2, 0):
        raise damaged(path, "the version of Lightning", version, "2.0 or newer")
    for name, state in content.get("callbacks", {}).items() if command == "fit" else ():
        if not isinstance(name, str) or not isinstance(state, Mapping):
            raise damaged(path, "the state of a callback", state, "names and values")
    for name in ("optimizer_states", "lr_schedulers") if command == "fit" else ():
        if not all(isinstance(state, Mapping) for state in content[name]):
            raise damaged(path, f"a state in {name!r}", content[name], "names and values")


def check_value(value: Any, hint: Any, path: str | Path, name: str) -> None:
    """Check a value of the configuration in a checkpoint against a type with bounds.

    Raises:
        RunError: if the value is of another type or out of bounds.

    Example:
        >>> check_value(-4, bool | int, "last.ckpt", "seed_everything")
        >>> check_value([1], bool | int, "last.ckpt", "seed_everything")
        Traceback (most recent call last):
        cracklab.errors.RunError: checkpoint last.ckpt is damaged: seed_everything is a list, expected true or false or a whole number: give one that `cracklab fit` wrote
    """
    try:
        check(name, value, hint)
    except ConfigError:
        raise damaged(path, name, value, describe(hint)) from None


def check_form(given: Any, expected: Any, path: str | Path, name: str = "loops") -> None:
    """Check that a tree of counters has the names and types of another one.

    Raises:
        RunError: names the first difference.

    Example:
        >>> check_form({"ready": "x"}, {"ready": 0}, "last.ckpt")
        Traceback (most recent call last):
        cracklab.errors.RunError: checkpoint last.ckpt is damaged: loops.ready is 'x', expected an int: give one that `cracklab fit` wrote
    """
    if isinstance(expected, Mapping):
        if not isinstance(given, Mapping):
            raise damaged(path, name, given, "names and values")
        for key, value in expected.items():
            check_form(given.get(key), value, path, f"{name}.{key}")
    elif type(given) is not type(expected):
        raise damaged(path, name, given, f"an {type(expected).__name__}")


def check_schedule(given: Any, expected: Any, path: str | Path, name: str) -> None:
    """Check the state of a learning-rate schedule, which PyTorch restores without checking names and types.

    Args:
        given: the state in the checkpoint, or a value in it; it may lack names that newer versions of PyTorch have.
        expected: that of a new schedule.
        path: the checkpoint, for error messages.
        name: of the state or value.

    Raises:
        RunError: names the first value of another form.

    Example:
        >>> check_schedule({"last_epoch": 3}, {"last_epoch": 0, "base_lrs": [0.1]}, "last.ckpt", "lr_schedulers.0")
        >>> check_schedule({"step": 3}, {"last_epoch": 0}, "last.ckpt", "lr_schedulers.0")
        Traceback (most recent call last):
        cracklab.errors.RunError: checkpoint last.ckpt is damaged: lr_schedulers.0.step is 3, expected no such name: give one that `cracklab fit` wrote
    """
    if isinstance(expected, Mapping):
        check_form(given, {}, path, name)
        for key, value in given.items():
            if key in expected:
                check_schedule(value, expected[key], path, f"{name}.{key}")
            elif isinstance(key, str):  # numbers of steps may be names too, and depend on the length of the run
                raise damaged(path, f"{name}.{key}", value, "no such name")
    elif isinstance(expected, list | tuple):
        if not isinstance(given, list | tuple) or len(given) != len(expected):
            raise damaged(path, name, given, f"a list of {len(expected)}")
        for one, other in zip(given, expected, strict=True):
            check_schedule(one, other, path, name)
    elif type(expected) in (int, float):
        if type(given) not in (int, float) or (math.isfinite(expected) and not math.isfinite(given)):
            raise damaged(path, name, given, "a finite number")
    elif type(given) is not type(expected):
        raise damaged(path, name, given, f"a {type(expected).__name__}")


def check_archive(path: str | Path) -> None:
    """Refuse a file that is not an archive, an archive that is larger in memory than on disk, and one with a wrong checksum.

    The format of PyTorch before 1.6 is not an archive; nothing bounds the memory that reading it takes. PyTorch writes
    checksums, but does not verify them when it reads.

    Raises:
        RunError: if the file is refused.
    """
    with Path(path).open("rb") as file:
        begins_as_archive = file.read(4) == b"PK\x03\x04"  # as torch.load decides
    if not begins_as_archive or not zipfile.is_zipfile(path):
        raise RunError(
            f"checkpoint {path} is damaged, or in the format of PyTorch before 1.6: give one that `cracklab fit` wrote"
        )
    with zipfile.ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
        if size > Path(path).stat().st_size:
            raise RunError(
                f"checkpoint {path} is compressed, which PyTorch never does: give one that `cracklab fit` wrote"
            )
        if (wrong := archive.testzip()) is not None:
            raise RunError(
                f"checkpoint {path} is damaged ({wrong} has another checksum): copy it again from its source"
            )


def check_finite(content: Mapping[str, Any], path: str | Path) -> None:
    """Refuse weights of a net that are not finite; entries that are not plain tensors are left to `net_weights`."""
    state = content.get("state_dict")
    name = first_not_finite(state) if isinstance(state, Mapping) else None
    if name is not None:
        raise RunError(
            f"checkpoint {path} holds weights that are not finite ({name}), since its training diverged: give an earlier "
            "checkpoint, or train with a lower learning rate"
        )


def first_not_finite(state: Mapping[str, Any]) -> str | None:
    """Return the name of the first tensor of the net that holds NaN or infinity; None if there is none.

    Example:
        >>> first_not_finite({"net.weight": torch.tensor([1.0, torch.nan]), "loss.weight": torch.tensor(torch.inf)})
        'net.weight'
    """
    for name, tensor in state.items():
        if not str(name).startswith(NET) or not isinstance(tensor, Tensor) or tensor.layout is not torch.strided:
            continue
        storage = tensor.untyped_storage()
        if tensor.numel() * tensor.element_size() > storage.nbytes():  # repeats its numbers: could be of any size
            tensor = torch.empty(0, dtype=tensor.dtype).set_(storage)
        if tensor.is_floating_point() and not torch.isfinite(tensor if tensor.itemsize > 1 else tensor.float()).all():
            return str(name)
    return None


def damaged(path: str | Path, what: str, value: Any, expected: str) -> RunError:
    """Return an error; a collection is described by its type, since it may refer to itself many times."""
    plain = isinstance(value, str | float | None) or (isinstance(value, int) and abs(value) < 1e18)
    shown = repr(value)[:80] if plain else f"a {type(value).__name__}"
    return RunError(
        f"checkpoint {path} is damaged: {what} is {shown}, expected {expected}: give one that `cracklab fit` wrote"
    )


def release(version: str) -> tuple[int, ...]:
    """Return major and minor number; checkpoints stay readable within them."""
    return tuple(int(part) for part in version.split(".")[:2])
