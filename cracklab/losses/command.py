"""`cracklab losses [--health] [NAMES...]`: list the registered losses, or tabulate how they behave."""

import inspect
from collections.abc import Sequence

from cracklab.command_parser import CommandParser
from cracklab.losses.base import LOSSES, build_loss, parameters_of, required_parameters
from cracklab.plugins import HELP, KEY, import_all


def run(command: str, arguments: Sequence[str]) -> int:
    """List losses, or print their health table.

    Args:
        command: `losses`.
        arguments: the arguments after the command.

    Returns:
        The exit code.

    Raises:
        ConfigError: for an unknown name or option.

    Example:
        >>> run("losses", ["iou"])  # doctest: +ELLIPSIS
        iou: 1 - (sum py + eps)...
        0
    """
    parser = CommandParser(command, "List the registered losses.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="losses to list (default: all)")
    parser.add_argument("--health", action="store_true", help="a table of how they behave on drawn cracks")
    parser.add_argument(f"--{KEY}", action="append", default=[], metavar="FILE", dest="imported", help=HELP)
    options = parser.parse(arguments)
    LOSSES.fill()
    import_all(options.imported)
    names = options.names or list(LOSSES)
    print(health_table(names) if options.health else "\n".join(describe(name) for name in names))
    return 0


def health_table(names: Sequence[str]) -> str:
    """Return the health table of the losses that can be built without arguments.

    Example:
        >>> print(health_table(["dice"]).splitlines()[1])
        dice  0.21   0.17    <=>   <<>   <<>   <<<   -      -     1
    """
    # these imports take a second, which the list does not need
    import torch

    from cracklab.losses.health import COLUMNS, LEGEND, examine

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the drawings are so small that more threads would be slower
    try:
        losses = [build_loss(name) for name in names if not required_parameters(LOSSES[name])]
        rows = [COLUMNS, *(examine(loss).row() for loss in losses)]
    finally:
        torch.set_num_threads(threads)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join([*lines, LEGEND])


def describe(name: str) -> str:
    """Return a registered loss's name and summary, its parameters with their defaults, and its target maps.

    Example:
        >>> print(describe("boundary"))
        boundary: Mean of p phi / diagonal; phi is the signed distance to the crack in px, negative inside.
            inner=full, classes=None
            maps: signed_distance
    """
    cls = LOSSES[name]
    summary = (inspect.getdoc(cls) or "").split("\n\n")[0].replace("\n", " ")
    parameters = (p.name if p.default is p.empty else f"{p.name}={p.default}" for p in parameters_of(cls).values())
    lines = [f"{name}: {summary}", f"    {', '.join(parameters)}"]
    maps = cls.maps if required_parameters(cls) else build_loss(name).maps
    return "\n".join([*lines, f"    maps: {', '.join(maps)}"] if maps else lines)
