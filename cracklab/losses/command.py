"""`cracklab losses [--health] [NAMES...]`: what is registered, and how it behaves."""

import inspect
from collections.abc import Sequence

from cracklab.command_parser import CommandParser
from cracklab.losses.base import LOSSES, build_loss, parameters_of


def run(command: str, arguments: Sequence[str]) -> int:
    """List losses, or examine them.

    Args:
        command: `losses`.
        arguments: what follows it on the command line.

    Returns:
        The exit code.

    Raises:
        ConfigError: for an unknown name.
    """
    parser = CommandParser(command, "List the registered losses.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these")
    parser.add_argument("--health", action="store_true", help="how each behaves on drawn cracks, as a table")
    options = parser.parse(arguments)
    names = options.names or list(LOSSES)
    print(health(names) if options.health else "\n".join(describe(name) for name in names))
    return 0


def health(names: Sequence[str]) -> str:
    """The health table of those losses that can be built without arguments."""
    # these imports take a second that the list does not need
    import torch

    from cracklab.losses.health import COLUMNS, LEGEND, examine

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the drawings are small: waiting for other threads takes longer than they save
    try:
        losses = [build_loss(name) for name in names if not required(name)]
        rows = [COLUMNS, *(examine(loss).row() for loss in losses)]
    finally:
        torch.set_num_threads(threads)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join([*lines, LEGEND])


def required(name: str) -> list[str]:
    """Parameters of a registered loss that have no default."""
    return [p.name for p in parameters_of(LOSSES[name]).values() if p.default is p.empty]


def describe(name: str) -> str:
    """Name, summary, parameters with their defaults, and maps of a registered loss."""
    cls = LOSSES[name]
    summary = (inspect.getdoc(cls) or "").split("\n\n")[0].replace("\n", " ")
    parameters = (p.name if p.default is p.empty else f"{p.name}={p.default}" for p in parameters_of(cls).values())
    lines = [f"{name}: {summary}", f"    {', '.join(parameters)}"]
    maps = cls.maps if required(name) else build_loss(name).maps
    return "\n".join([*lines, f"    maps: {', '.join(maps)}"] if maps else lines)
