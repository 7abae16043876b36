"""What was typed: the arguments of fit, copies of the configurations, and the `study` section of one of them."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from cracklab import config_files
from cracklab.errors import ConfigError, RunError
from cracklab.registry import nearest
from cracklab.study.folder import Study

SECTION = "study"
SECTION_KEYS = ("base", "grid", "folds")
RESERVED = {
    "ckpt_path": "kfold and study go on with a run by themselves",
    "data.folds_file": "a configuration may name one; every run gets the study's own folds.json",
}
"""Arguments of fit that make no sense for many runs, and why."""
OF_FOLDS = ("data.fold", "data.folds", "data.fold_by")


@dataclass(frozen=True)
class Inputs:
    """What was typed, complete: the same inputs are the same study."""

    arguments: Sequence[str]
    """Arguments of fit; `--config=NAME` names a copy."""
    configs: Mapping[str, str]
    """NAME -> text, without a `study` section."""
    grid: Mapping[str, Any] = field(default_factory=dict)
    folds: int | str | None = None
    """Number of folds, `sources` for one a source, None for none."""
    repeats: int = 1

    @property
    def asked(self) -> dict[str, Any]:
        """All but the texts of the configurations, in plain types."""
        return {
            "arguments": list(self.arguments),
            "folds": self.folds,
            "repeats": self.repeats,
            "grid": dict(self.grid),
        }


def read_inputs(
    command: str, arguments: Sequence[str], folds: int | str | None = None, repeats: int = 1, pool: bool = False
) -> Inputs:
    """Read the configurations and sort the arguments.

    Args:
        command: `kfold` or `study`.
        arguments: what was typed beside the command's own options.
        folds: of kfold.
        repeats: of kfold.
        pool: of kfold: the published test side is folded too.

    Raises:
        ConfigError: for files that cannot be read, a faulty `study` section, and arguments that the command sets itself.
    """
    configs: dict[str, str] = {}
    sections: list[Mapping[str, Any]] = []

    def copies(value: str) -> Iterator[str]:
        for path, content in _layers(value):
            if SECTION in content:
                if command != "study" or sections:
                    raise ConfigError(f"{path}: one `{SECTION}` section is read, by `cracklab study` alone")
                sections.append(_section(path, content.pop(SECTION)))
            name = f"{len(configs)}_{path.stem}.yaml"
            configs[name] = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
            yield name

    kept = config_files.replace([*arguments, *(["--data.pool=true"] if pool else [])], copies)
    section = sections[0] if sections else None
    if command == "study":
        if section is None:
            raise ConfigError(
                f"no configuration has a `{SECTION}` section: give one with --config, see configs/studies/losses.yaml"
            )
        folds = section.get("folds")
    _refuse_own(kept, folds)
    return Inputs(kept, configs, (section or {}).get("grid") or {}, folds, repeats)


def _layers(name: str) -> list[tuple[Path, dict[str, Any]]]:
    """A configuration, behind those that its `study` section names as its base."""
    path = config_files.find(name)
    content = config_files.read(path)
    section = content.get(SECTION)
    base = section.get("base", []) if isinstance(section, Mapping) else []
    found = []
    for one in [base] if isinstance(base, str) else base:
        below = str(one) if str(one).startswith(config_files.PREFIX) else str(path.parent / str(one))
        found += _layers(below)
    return [*found, (path, content)]


def _section(path: Path, section: Any) -> Mapping[str, Any]:
    if not isinstance(section, Mapping) or not isinstance(section.get("grid", {}), Mapping):
        raise ConfigError(
            f"{path}: `{SECTION}` needs the keys {', '.join(SECTION_KEYS)}, and `grid` a value for each axis"
        )
    for key in section:
        if key not in SECTION_KEYS:
            raise ConfigError(f"{path}: {SECTION}.{key} is not known{nearest(str(key), list(SECTION_KEYS))}")
    folds = section.get("folds")
    if folds is not None and folds != "sources" and not (type(folds) is int and folds >= 2):
        raise ConfigError(f"{path}: {SECTION}.folds is {folds!r}: a number from 2, or sources, is needed")
    return section


def _refuse_own(arguments: Sequence[str], folds: int | str | None) -> None:
    refused = RESERVED | (dict.fromkeys(OF_FOLDS, "the folds set it") if folds is not None else {})
    for argument in arguments:
        key = argument.removeprefix("--").partition("=")[0]
        if argument.startswith("--") and key in refused:
            raise ConfigError(f"--{key} cannot be given here: {refused[key]}")


def refuse_changes(study: Study, inputs: Inputs) -> None:
    """Refuse to go on with a study in which something else was asked.

    Raises:
        RunError: shows what changed.
    """
    before = _as_lines({**study.plan.asked, "configurations": study.configs()})
    now = _as_lines({**inputs.asked, "configurations": inputs.configs})
    if before != now:
        changes = [
            line
            for line in difflib.unified_diff(before, now, n=0, lineterm="")
            if not line.startswith(("---", "+++", "@@"))
        ]
        raise RunError(
            "\n  ".join(
                [
                    f"{study.folder} holds a study of something else (- there, + asked now): choose another --out, or ask for the same",
                    *changes,
                ]
            )
        )


def _as_lines(values: Mapping[str, Any]) -> list[str]:
    """One line a value, under its full key; configurations by what they say, not by their text."""

    def flat(value: Any, key: str) -> list[str]:
        if isinstance(value, Mapping) and value:
            return [line for name, item in value.items() for line in flat(item, f"{key}: {name}" if key else str(name))]
        return [f"{key}: {value}"]

    contents = {name: yaml.safe_load(text) or {} for name, text in values["configurations"].items()}
    listed = {"arguments": dict(enumerate(values["arguments"]))}
    return sorted(flat({**values, **listed, "configurations": contents}, ""))
