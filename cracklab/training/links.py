"""Values of a configuration that follow from other values of it."""

from collections.abc import Mapping
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser, Namespace
from lightning_utilities.core.rank_zero import rank_zero_info

from cracklab import plain_yaml
from cracklab.checkpoint import Payload
from cracklab.config_parser import as_config_error
from cracklab.data.layouts import Layout
from cracklab.data.transform import MEAN, STD
from cracklab.models import packaged


def fit_net_to_data(config: Namespace) -> None:
    """Set the input channels and classes of the net from the data, if the net has arguments of those names."""
    arguments = config.model.net.get("init_args") or {}
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(Layout, "layout")  # one layout may hold others
    try:
        classes = parser.instantiate(parser.parse_object({"layout": config.data.layout})).layout.num_classes
    except (ArgumentError, TypeError, ValueError) as error:
        raise as_config_error(error) from error
    wanted = {"in_channels": config.data.channels, "classes": classes, "out_channels": classes, "num_classes": classes}
    for argument, value in wanted.items():
        if argument in arguments and arguments[argument] != value:
            rank_zero_info(f"model.net.{argument} is set to {value}, as in the data")
            arguments[argument] = value


def fit_data_to_weights(config: Namespace) -> None:
    """Set mean and standard deviation from packaged weights, unless the configuration has values of its own."""
    weights = (config.model.net.get("init_args") or {}).get("encoder_weights")
    if weights == packaged.PACKAGED and (tuple(config.data.mean), tuple(config.data.std)) == (MEAN, STD):
        rank_zero_info("data.mean and data.std are set to those of the packaged weights")
        config.data.mean, config.data.std = packaged.MEAN, packaged.STD


def fit_data_to_checkpoint(config: Namespace, path: str, content: Mapping[str, Any]) -> None:
    """Set mean and standard deviation from the checkpoint that `model.weights` names, unless the configuration has values of its own."""
    given = plain_yaml.load(Payload.from_checkpoint(content, path).config or "{}") or {}
    mean, std = (given.get("data", {}).get(key) for key in ("mean", "std"))
    now = (tuple(config.data.mean), tuple(config.data.std))
    if mean and std and now == (MEAN, STD) and (tuple(mean), tuple(std)) != now:
        rank_zero_info(f"data.mean and data.std are set to those of {path}")
        config.data.mean, config.data.std = tuple(mean), tuple(std)
