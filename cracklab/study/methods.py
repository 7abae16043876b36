"""Names of the methods that a study compares, made of the labels of its runs."""

import itertools
from collections.abc import Mapping, Sequence

from cracklab.study.folder import REPLICATE_AXES, Label


def methods_of(axes: Mapping[str, Sequence[Label]]) -> list[str]:
    """Return the names of all methods of a study, as `cracklab report` calls them.

    Args:
        axes: axis -> labels.

    Example:
        >>> methods_of({"model.loss": ["dice", "bce"], "model.optimizer.lr": [0.1], "seed_everything": [1, 2]})
        ['dice', 'bce']
        >>> methods_of({"net": ["resnet18"], "model.optimizer.lr": [0.1, 0.01]})
        ['lr=0.1', 'lr=0.01']
    """
    cells = method_labels(axes)
    return method_names(cells, list(cells[0]), "")


def method_labels(axes: Mapping[str, Sequence[Label]]) -> list[dict[str, str]]:
    """Return the labels of every method of a study, by the short names of the axes with several labels.

    Args:
        axes: axis -> labels.

    Example:
        >>> method_labels({"model.loss": ["dice", "bce"], "model.optimizer.lr": [0.1]})
        [{'loss': 'dice'}, {'loss': 'bce'}]
    """
    own = {axis: labels for axis, labels in axes.items() if axis not in REPLICATE_AXES}
    shorter = short(list(own))
    varied = {shorter[axis]: map(label_text, labels) for axis, labels in own.items() if len(labels) > 1}
    return [dict(zip(varied, labels, strict=True)) for labels in itertools.product(*varied.values())]


def label_text(label: Label) -> str:
    """Return a label as text."""
    return "-" if label is None else str(label)


def short(keys: Sequence[str]) -> dict[str, str]:
    """Map each key to its last part, or to itself if two keys have the same last part."""
    last = [key.rpartition(".")[2] for key in keys]
    return {key: name if last.count(name) == 1 else key for key, name in zip(keys, last, strict=True)}


def is_number(label: str) -> bool:
    """Return whether a label is a number."""
    try:
        float(label)
    except ValueError:
        return False
    return True


def method_names(labels: Sequence[Mapping[str, str]], axes: Sequence[str], default: str) -> list[str]:
    """Return the name of the method of every run: its labels, those that are numbers, booleans or `auto` with their axis.

    If two different sets of labels had the same name, all labels are written with their axes.

    Args:
        labels: of every run, axis -> label.
        axes: the axes that make methods.
        default: the name of a method without labels.

    Example:
        >>> method_names([{"loss": "dice", "lr": "0.1"}, {"loss": "bce", "lr": "0.1"}], ["loss", "lr"], "runs")
        ['dice, lr=0.1', 'bce, lr=0.1']
        >>> method_names([{"net": "a", "loss": "-"}, {"net": "-", "loss": "a"}], ["net", "loss"], "runs")
        ['net=a, loss=-', 'net=-, loss=a']
    """
    sets = [tuple(of.get(axis, "-") for axis in axes) for of in labels]
    names = {chosen: _short_name(dict(zip(axes, chosen, strict=True))) or default for chosen in sets}
    if len(set(names.values())) < len(names):
        names = {
            chosen: ", ".join(f"{axis}={label}" for axis, label in zip(axes, chosen, strict=True)) for chosen in names
        }
    return [names[chosen] for chosen in sets]


def _short_name(labels: Mapping[str, str]) -> str:
    parts = []
    for axis, label in labels.items():
        bare = not is_number(label) and label not in ("True", "False", "-", "auto")
        if bare or label != "-" or len(labels) == 1:
            parts.append(label if bare else f"{axis}={label}")
    return ", ".join(parts)
