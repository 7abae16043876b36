"""The inputs of a study: arguments of fit, copies of the configurations, and the `study` section of one of them."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from cracklab import config_files, plain_yaml
from cracklab.errors import ConfigError, RunError
from cracklab.registry import nearest
from cracklab.study.folder import Study
from cracklab.study.methods import methods_of
from cracklab.study.plan import axes_of

SECTION = "study"
SECTION_KEYS = ("base", "grid", "folds", "pairs")
RESERVED = {
    "trainer.fast_dev_run": "it keeps no checkpoint to test: try the configuration with `cracklab fit`",
    "ckpt_path": "kfold and study resume their runs automatically",
    "data.folds_file": "name the file in a configuration; the runs read the study's own copy, folds.json",
}
"""Arguments of fit that cannot be typed for a study -> the reason."""
FOLD_KEYS = ("data.fold", "data.folds", "data.fold_by")
"""Arguments of fit that the folds of a study set."""


@dataclass(frozen=True)
class Inputs:
    """All inputs of a study: equal inputs are the same study."""

    arguments: Sequence[str]
    """Arguments of fit; `--config=NAME` names a copy."""
    configs: Mapping[str, str]
    """NAME -> text of the copy, without a `study` section."""
    grid: Mapping[str, Any] = field(default_factory=dict)
    """`study.grid`."""
    folds: int | str | None = None
    """Number of folds; `sources` for one fold per source; None for no folds."""
    repeats: int = 1
    """Number of repetitions of the folds."""
    pairs: Sequence[str] = ()
    """`study.pairs`: comparisons that are planned before the runs, `A:B`; `cracklab report` makes these alone."""

    @property
    def request(self) -> dict[str, Any]:
        """The inputs in plain types, without the texts of the configurations."""
        return {
            "arguments": list(self.arguments),
            "folds": self.folds,
            "repeats": self.repeats,
            "grid": dict(self.grid),
            **({"pairs": list(self.pairs)} if self.pairs else {}),
        }


def read_inputs(command: str, arguments: Sequence[str], folds: int | str | None = None, repeats: int = 1) -> Inputs:
    """Read the configurations, and check the arguments.

    Args:
        command: `kfold` or `study`.
        arguments: arguments of fit.
        folds: kfold's `--folds`.
        repeats: kfold's `--repeats`.

    Raises:
        ConfigError: for files that cannot be read, an invalid `study` section, a study without grid and folds, and arguments
            that the command sets itself.
    """
    configs: dict[str, str] = {}
    sections: list[Mapping[str, Any]] = []

    def copies(value: str) -> Iterator[str]:
        for path, content in _with_bases(value):
            if SECTION in content:
                if command != "study":
                    raise ConfigError(f"{path} has a `{SECTION}` section: run it with `cracklab study`, or remove it")
                if sections:
                    raise ConfigError(f"{path} has a second `{SECTION}` section: give one")
                sections.append(_section(path, content.pop(SECTION)))
            name = f"{len(configs)}_{path.stem}.yaml"
            configs[name] = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
            yield name

    kept = config_files.replace(arguments, copies)
    grid: Mapping[str, Any] = {}
    pairs: Sequence[str] = ()
    if command == "study":
        if not sections:
            raise ConfigError(
                f"no configuration has a `{SECTION}` section: give one with --config, see configs/studies/losses.yaml"
            )
        grid, folds = sections[0].get("grid") or {}, sections[0].get("folds")
        pairs = _pairs(sections[0].get("pairs") or [])
        if not grid and folds is None:
            raise ConfigError(f"{SECTION}.grid is empty: give keys with values, or {SECTION}.folds")
    _refuse_reserved(kept, folds)
    return Inputs(kept, configs, grid, folds, repeats, pairs)


def _pairs(pairs: Any) -> Sequence[str]:
    """Check the form of planned comparisons; see `check_pairs`."""
    if not isinstance(pairs, list) or not all(isinstance(pair, str) and ":" in pair for pair in pairs):
        raise ConfigError(f"{SECTION}.pairs is {pairs!r}: give a list of two methods each, such as [dice:bce]")
    if len({frozenset(pair.split(":", 1)) for pair in pairs}) < len(pairs):
        raise ConfigError(f"{SECTION}.pairs has the same two methods twice, {pairs}: give each pair once")
    return pairs


def check_pairs(inputs: Inputs) -> None:
    """Check that the planned comparisons of a new study name its methods; an old study keeps its pairs.

    Raises:
        ConfigError: names the nearest method.
    """
    if not inputs.pairs:
        return
    methods = methods_of({axis: list(labels) for axis, labels in axes_of(inputs.grid).items()})
    known = {f"{one}:{other}" for one in methods for other in methods if one != other}
    for pair in inputs.pairs:
        if pair in known:
            continue
        unknown = next((name for name in pair.split(":", 1) if name not in methods), None)
        if unknown is None:
            raise ConfigError(f"{SECTION}.pairs has {pair!r}: give two different methods")
        raise ConfigError(
            f"{SECTION}.pairs has {pair!r}, but no method of this study is called {unknown!r}{nearest(unknown, methods)}"
        )


def _with_bases(name: str) -> list[tuple[Path, dict[str, Any]]]:
    """Return a configuration, after the configurations that its `study` section names as its base."""
    path = config_files.find(name)
    content = config_files.read(path)
    section = content.get(SECTION)
    base = section.get("base", []) if isinstance(section, Mapping) else []
    found = []
    for one in [base] if isinstance(base, str) else base:
        below = str(one) if str(one).startswith(config_files.PREFIX) else str(path.parent / str(one))
        found += _with_bases(below)
    return [*found, (path, content)]


def _section(path: Path, section: Any) -> Mapping[str, Any]:
    """Check a `study` section."""
    if not isinstance(section, Mapping) or not isinstance(section.get("grid") or {}, Mapping):
        raise ConfigError(
            f"{path}: `{SECTION}` must be a mapping with the keys {', '.join(SECTION_KEYS)}, and `{SECTION}.grid` a mapping "
            "of axes"
        )
    for key in section:
        if key not in SECTION_KEYS:
            raise ConfigError(f"{path}: `{SECTION}` has no key {key!r}{nearest(str(key), list(SECTION_KEYS))}")
    folds = section.get("folds")
    if folds is not None and folds != "sources" and not (type(folds) is int and folds >= 2):
        raise ConfigError(f"{path}: {SECTION}.folds is {folds!r}: give a number of at least 2, or sources")
    return section


def _refuse_reserved(arguments: Sequence[str], folds: int | str | None) -> None:
    refused = RESERVED | (dict.fromkeys(FOLD_KEYS, "the folds of the study set it") if folds is not None else {})
    for argument in arguments:
        key = argument.removeprefix("--").partition("=")[0]
        if argument.startswith("--") and key in refused:
            raise ConfigError(f"--{key} cannot be given here: {refused[key]}")


def refuse_changes(study: Study, inputs: Inputs) -> None:
    """Check that a study's folder was made from the same inputs.

    Raises:
        RunError: if the inputs differ; lists the differences.
    """
    before = _as_lines({**study.plan.request, "configurations": study.configs()})
    now = _as_lines({**inputs.request, "configurations": inputs.configs})
    if before == now:
        return
    diff = difflib.unified_diff(before, now, n=0, lineterm="")
    changes = [line for line in diff if not line.startswith(("---", "+++", "@@"))]
    heading = (
        f"{study.folder} holds another study (- there, + requested now): choose another --out, or request the same"
    )
    raise RunError("\n  ".join([heading, *changes]))


def _as_lines(values: Mapping[str, Any]) -> list[str]:
    """Return one line per value, with its full key; configurations are parsed, so that comments and layout do not count."""

    def flat(value: Any, key: str) -> list[str]:
        if isinstance(value, Mapping) and value:
            return [line for name, item in value.items() for line in flat(item, f"{key}: {name}" if key else str(name))]
        return [f"{key}: {value}"]

    contents = {name: plain_yaml.load(text) or {} for name, text in values["configurations"].items()}
    listed = {"arguments": dict(enumerate(values["arguments"]))}
    return sorted(flat({**values, **listed, "configurations": contents}, ""))
