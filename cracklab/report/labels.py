"""Labels of runs, derived from the keys in which their configurations differ."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Flat = dict[str, Any]
"""Dotted key -> value. The value of a class is its name; its arguments are keys below it."""

REPLICATE_KEYS = {"fold": "data.fold", "seed_everything": "seed_everything", "data.split_seed": "data.split_seed"}
"""Axis -> configuration key of settings that repeat a run."""
REPLICATES = frozenset({*REPLICATE_KEYS, *REPLICATE_KEYS.values(), "repeat", "data.folds"})
"""Axes and configuration keys whose numbers are not settings of a method."""
IGNORED = (
    "name", "wandb", "panels", "data.seed", "data.folds_file", "data.num_workers", "data.cache", "data.cache_gb", "data.pin_memory",
    "data.eval_batch_size", "trainer.logger", "trainer.default_root_dir", "trainer.enable_progress_bar", "trainer.enable_model_summary",
    "trainer.log_every_n_steps", "trainer.callbacks", "trainer.plugins",
)  # fmt: skip
"""Keys whose values do not make a different method."""


def flat(config: Mapping[str, Any], prefix: str = "") -> Flat:
    """Flatten a resolved configuration to dotted keys."""
    found: Flat = {}
    for name, value in config.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and "class_path" in value:
            found[key] = str(value["class_path"]).rpartition(".")[2]
            found |= flat(value.get("init_args") or {}, f"{key}.")
        elif isinstance(value, Mapping):
            found |= flat(value, f"{key}.")
        else:
            found[key] = value
    return found


def differing(configs: Sequence[Flat]) -> list[str]:
    """Return the keys that tell methods apart, in the order of the configurations.

    An argument of a class counts only if runs with the same class have different values of it: `model.loss`, not
    `model.loss.alpha`, tells a Tversky loss from a loss without alpha.
    """
    keys = dict.fromkeys(key for config in configs for key in config)
    found: list[str] = []
    for key in keys:
        if key in REPLICATE_KEYS.values() or any(key == name or key.startswith(f"{name}.") for name in IGNORED):
            continue
        owners = [name for name in found if key.startswith(f"{name}.")]
        values: dict[Any, set[str]] = {}
        for config in configs:
            values.setdefault(tuple(str(config.get(name)) for name in owners), set()).add(text(config.get(key)))
        if any(len(different) > 1 for different in values.values()):
            found.append(key)
    return found


def hide_planned(configs: Sequence[Flat], planned: Sequence[Sequence[str]]) -> None:
    """Replace settings that followed from the data by `auto` where they differ: runs are not compared by them.

    A value that some runs were given, and that others came to by themselves, remains if all have the same.

    Args:
        configs: of every run.
        planned: of every run, the keys of these settings.

    Example:
        >>> configs = [{"data.batch_size": 8}, {"data.batch_size": 4}, {"data.batch_size": 2}]
        >>> hide_planned(configs, [["data.batch_size"], ["data.batch_size"], []])
        >>> configs
        [{'data.batch_size': 'auto'}, {'data.batch_size': 'auto'}, {'data.batch_size': 2}]
    """
    for key in {key for keys in planned for key in keys}:
        if len({text(config.get(key)) for config in configs}) > 1:
            for config, keys in zip(configs, planned, strict=True):
                if key in keys:
                    config[key] = "auto"


def text(value: Any) -> str:
    """Return a value as a label; of a path, its last part."""
    if isinstance(value, str) and "/" in value:
        return Path(value).name
    return "-" if value is None else str(value)
