"""Values of a configuration that follow from other values of it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jsonargparse import ArgumentError, ArgumentParser, Namespace
from lightning_utilities.core.rank_zero import rank_zero_info, rank_zero_warn

from cracklab.checkpoint import Payload
from cracklab.checkpoint_checks import check_value
from cracklab.config_parser import as_config_error
from cracklab.data.layouts import Layout
from cracklab.data.transform import MEAN, STD, Deviations, Levels
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


def fit_normalisation(config: Namespace, given: tuple[str, Mapping[str, Any]] | None) -> None:
    """Set mean and standard deviation of the data where they are not given.

    They become those of the checkpoint that the command resumes, tests or starts from, else those of packaged weights, else
    ImageNet's.

    Args:
        config: of the run.
        given: file and content of the checkpoint.

    Raises:
        RunError: if the checkpoint is damaged.
    """
    encoder = (config.model.net.get("init_args") or {}).get("encoder_weights")
    imagenet: dict[str, tuple[float, ...]] = {"data.mean": MEAN, "data.std": STD}
    source, values = "ImageNet", imagenet
    if given is not None and (stored := _stored_normalisation(*given)):
        source, values = given[0], stored
    elif encoder == packaged.PACKAGED:
        source, values = "the packaged weights", {"data.mean": packaged.MEAN, "data.std": packaged.STD}
    missing = [key for key in values if config[key] is None]
    for key in missing:
        config[key] = values[key]
    if missing and given is not None and source != given[0]:
        rank_zero_warn(
            f"checkpoint {given[0]} does not keep how its images were normalised: {' and '.join(missing)} are set to those of "
            f"{source}; give those of its training if they were others"
        )
    elif missing and values != imagenet:
        rank_zero_info(f"{' and '.join(missing)} are set to those of {source}")
    other = [key for key in values if source != "ImageNet" and not np.allclose(config[key], values[key], atol=1e-6)]
    if other:
        rank_zero_info(f"{' and '.join(other)} are kept as given, although those of {source} differ")


def _stored_normalisation(path: str, content: Mapping[str, Any]) -> dict[str, tuple[float, ...]]:
    """Return mean and standard deviation of a checkpoint, of a training in Python too; empty if it does not keep both."""
    payload = Payload.from_checkpoint(content, path)
    data = payload.read_config(path).get("data", payload.data)
    values = {key: data.get(key) for key in ("mean", "std")}
    if None in values.values():
        return {}
    for key, hint in (("mean", Levels), ("std", Deviations)):
        check_value(values[key], hint, path, f"{key} of its data")
    return {f"data.{key}": tuple(value) for key, value in values.items()}
