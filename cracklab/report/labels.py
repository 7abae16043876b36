"""What tells runs apart, read from their configurations, where no study says it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Flat = dict[str, Any]
"""Dotted key -> value; a class is its name, its arguments are keys below it."""

REPLICATES = {"fold": "data.fold", "seed_everything": "seed_everything", "data.split_seed": "data.split_seed"}
"""Axis -> key of settings that repeat a run."""
ASIDE = (
    "name", "wandb", "panels", "data.seed", "data.folds_file", "data.num_workers", "data.cache", "data.cache_gb", "data.pin_memory",
    "data.eval_batch_size", "trainer.logger", "trainer.default_root_dir", "trainer.enable_progress_bar", "trainer.enable_model_summary",
    "trainer.log_every_n_steps", "trainer.callbacks", "trainer.plugins",
)  # fmt: skip
"""Keys that make no other method."""


def flat(config: Mapping[str, Any], prefix: str = "") -> Flat:
    """A resolved configuration as dotted keys."""
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
    """Keys that make methods differ, in the order of the configurations.

    An argument counts where runs of the same class have several values of it: `model.loss.alpha` does not tell a
    Tversky loss from one that has no alpha, `model.loss` does that.
    """
    keys = dict.fromkeys(key for config in configs for key in config)
    found: list[str] = []
    for key in keys:
        if key in REPLICATES.values() or any(key == name or key.startswith(f"{name}.") for name in ASIDE):
            continue
        owners = [name for name in found if key.startswith(f"{name}.")]
        values: dict[Any, set[str]] = {}
        for config in configs:
            values.setdefault(tuple(str(config.get(name)) for name in owners), set()).add(text(config.get(key)))
        if any(len(different) > 1 for different in values.values()):
            found.append(key)
    return found


def short(keys: Sequence[str]) -> dict[str, str]:
    """Each key by its last part, or whole where two share that."""
    last = [key.rpartition(".")[2] for key in keys]
    return {key: name if last.count(name) == 1 else key for key, name in zip(keys, last, strict=True)}


def text(value: Any) -> str:
    """A value as a label; of a path the last part."""
    if isinstance(value, str) and "/" in value:
        return Path(value).name
    return "-" if value is None else str(value)


def is_number(label: str) -> bool:
    """Whether a label is a number."""
    try:
        float(label)
    except ValueError:
        return False
    return True


def method(labels: Mapping[str, str], axes: Sequence[str]) -> str:
    """The name of a method: its labels on the axes, numbers and switches with their axis."""
    parts = []
    for axis in axes:
        label = labels.get(axis, "-")
        bare = not is_number(label) and label not in ("True", "False", "-")
        if bare or label != "-" or len(axes) == 1:
            parts.append(label if bare else f"{axis}={label}")
    return ", ".join(parts)
