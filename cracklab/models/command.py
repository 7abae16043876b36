"""`cracklab models [NAMES...] [--config FILE...]`: models that ship and their cards; parameters and multiply-adds of nets."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cracklab import config_files, plugins
from cracklab.command_parser import CommandParser
from cracklab.errors import ConfigError
from cracklab.registry import nearest
from cracklab.weights import SHIPPED, shipped

if TYPE_CHECKING:
    from torch import nn

LEGEND = """
Multiply-adds, 1e9, are those of convolutions, matrix products and attention for one image: half of the FLOPs that
torch.utils.flop_counter counts. Normalisation, activations and resampling are not counted."""


@dataclass(frozen=True)
class Cost:
    """The cost of a net.

    Attributes:
        path: import path of its class.
        channels: channels of the image.
        parameters: number of parameters.
        multiply_adds: multiply-adds for one image; None if the net does not accept that image.
        refusal: the net's message about an image that it does not accept.
    """

    path: str
    channels: int
    parameters: int
    multiply_adds: int | None
    refusal: str = ""


def parser(command: str = "models") -> CommandParser:
    """Return the parser of the command's arguments.

    Example:
        >>> parser().parse(["unet", "--size", "256"]).size
        256
    """
    arguments = CommandParser(command, "List models that ship, and nets with their parameters and multiply-adds.")
    arguments.add_argument(
        "names", nargs="*", metavar="NAME", help="nets of configs/model (default: all); of a model that ships, its card"
    )
    arguments.add_argument(
        "--config", action="append", default=[], metavar="FILE", help="a configuration; repeat to overlay"
    )
    arguments.add_argument("--size", type=int, default=512, help="height and width of the image, px (default: 512)")
    arguments.add_argument("--channels", type=int, help="channels of the image (default: those of the configuration)")
    arguments.add_argument(f"--{plugins.KEY}", metavar="FILE", help=plugins.HELP)
    return arguments


def run(command: str, arguments: Sequence[str]) -> int:
    """Print the models that ship and a table of nets; of names, the cards and the nets of these names.

    Args:
        command: `models`.
        arguments: the arguments after the command.

    Returns:
        The exit code.

    Raises:
        ConfigError: for an unknown name or option, or a configuration without a net.
    """
    imported, others = plugins.take(arguments)
    options = parser(command).parse(others)
    plugins.search_start_folder()
    plugins.import_all(imported)
    for name in ("size", "channels"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise ConfigError(f"--{name} is {value}: give a number of at least 1")
    ready = shipped()
    cards = [name.removeprefix(SHIPPED) for name in options.names if name.removeprefix(SHIPPED) in ready]
    chosen = {name: [_file(name, ready)] for name in options.names if name.removeprefix(SHIPPED) not in ready}
    if options.config:
        files = [config_files.find(file) for file in options.config]
        chosen[files[-1].stem] = files
    if cards:
        print("\n\n".join(card(ready[name]) for name in cards), end="\n\n" if chosen else "\n")
    elif not chosen:
        sizes = [f"  {SHIPPED}{name}  {file.stat().st_size / 1e6:.1f} MB" for name, file in ready.items()]
        print(
            "Models that ship, for --ckpt_path; `cracklab models NAME` prints a card:", *sizes, "", sep="\n", flush=True
        )
    if chosen or not cards:
        costs = {name: net_cost(files, options.size, options.channels) for name, files in (chosen or _all()).items()}
        print(as_table(costs, options.size))
    return 0


def card(file: Path) -> str:
    """Return the card of a model that ships, Markdown: its section of README.md beside it, and where that file is."""
    readme = file.with_name("README.md")
    lines = readme.read_text(encoding="utf-8").splitlines()
    start = lines.index(f"## {file.stem}")
    end = next((i for i in range(start + 1, len(lines)) if lines[i].startswith("## ")), len(lines))
    return "\n".join([*lines[start:end], "", f"This card with its pictures: {readme}"])


def as_table(costs: Mapping[str, Cost], size: int) -> str:
    """Return a table with a row per net, followed by an explanation of the columns.

    Example:
        >>> print(as_table({"tiny": Cost("nets.Tiny", 3, 1234, 560_000_000)}, size=64).splitlines()[1])
        tiny  nets.Tiny         3       1,234           0.56
    """
    rows = [("net", "class", "channels", "parameters", "multiply-adds")]
    for name, cost in costs.items():
        giga = "-" if cost.multiply_adds is None else f"{cost.multiply_adds / 1e9:.2f}"
        rows.append((name, cost.path, str(cost.channels), f"{cost.parameters:,}", giga))
    a, b, c, d, e = (max(map(len, column)) for column in zip(*rows, strict=True))
    lines = [f"{row[0]:{a}}  {row[1]:{b}}  {row[2]:>{c}}  {row[3]:>{d}}  {row[4]:>{e}}" for row in rows]
    refusals = [f"{name}: {cost.refusal}" for name, cost in costs.items() if cost.refusal]
    return "\n".join([*lines, *refusals, f"At {size} x {size} px. {LEGEND.strip()}"])


def net_cost(files: Sequence[Path], size: int, channels: int | None = None) -> Cost:
    """Compute the cost of a configuration's net, without its weights in memory.

    Args:
        files: configuration files, each overlaying the one before.
        size: height and width of the image, px.
        channels: channels of the image; None: those of the configuration.

    Raises:
        ConfigError: if the configuration has no net, or a net that cannot be built.
    """
    # these imports take seconds, which --help does not need
    import torch
    from jsonargparse import ArgumentError, ArgumentParser
    from torch import nn
    from torch.utils.flop_counter import FlopCounterMode

    from cracklab.models.pretrained import build
    from cracklab.warning_filters import filter_warnings

    filter_warnings()
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(nn.Module, "net")
    parser.add_instantiator(partial(build, fresh=False), nn.Module)
    config = None
    try:
        for file in files:
            content = config_files.read(file)
            channels = channels or _at(content, "data", "channels")
            if net := _at(content, "model", "net"):
                config = parser.parse_object({"net": net}, cfg_base=config)
        if config is None:
            raise ConfigError(f"{', '.join(map(str, files))} has no model.net: give a configuration with a net")
        arguments = config.net.get("init_args") or {}
        channels = channels or arguments.get("in_channels", 3)
        if "in_channels" in arguments:
            arguments["in_channels"] = channels
        built = _without_memory(lambda: parser.instantiate(config).net)
    except (ArgumentError, ArithmeticError, AttributeError, ImportError, LookupError, TypeError, ValueError) as error:
        said = " ".join(str(error).split())
        raise ConfigError(f"{', '.join(map(str, files))}: the net cannot be built: {said}") from error
    cost = partial(Cost, config.net.class_path, channels, sum(parameter.numel() for parameter in built.parameters()))
    try:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            built(torch.empty(1, channels, size, size, device="meta"))
    except RuntimeError as error:
        return cost(None, " ".join(str(error).split()))
    return cost(counter.get_total_flops() // 2)


def _without_memory(make: Callable[[], "nn.Module"]) -> "nn.Module":
    """Build a net on the meta device, where weights take no memory."""
    import torch

    try:
        with torch.device("meta"):
            net = make()
    except (RuntimeError, ValueError):  # some nets read values of tensors while they are built
        net = make()
    return net.to("meta").eval()


def _all() -> dict[str, list[Path]]:
    return {path.stem: [path] for path in sorted((config_files.folder() / "model").glob("*.yaml"))}


def _file(name: str, ready: Collection[str]) -> Path:
    known = _all()
    if name not in known:
        raise ConfigError(
            f"no net of configs/model and no model that ships is called {name!r}{nearest(name, [*known, *ready])}"
        )
    return known[name][0]


def _at(content: Any, *keys: str) -> Any:
    for key in keys:
        content = content.get(key) if isinstance(content, Mapping) else None
    return content
