"""`cracklab check`: the data doctor."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jsonargparse import ActionConfigFile  # type: ignore[attr-defined]  # not listed in its __all__

from cracklab import config_files, pictures
from cracklab.check.examine import Examined, Report, diagnose
from cracklab.check.summary import summarise
from cracklab.config_parser import ConfigParser
from cracklab.data.datamodule import CrackDataModule
from cracklab.data.images import IGNORE
from cracklab.files import write_image, write_json, write_text
from cracklab.warning_filters import filter_warnings

COLUMNS = 4
"""Pictures in a row of the sheet."""
TILE = 256
"""Width of its pictures, px."""


def run(command: str, args: Sequence[str]) -> int:
    """Examine the data of a configuration; returns 1 if anything would spoil training."""
    filter_warnings()
    parser = ConfigParser(prog="cracklab check", description=__doc__, allow_abbrev=False)
    parser.add_argument("-c", "--config", action=ActionConfigFile, help="a configuration; of several, later ones win")
    parser.add_class_arguments(CrackDataModule, "data")
    parser.add_argument("--out", type=str | None, default=None, help="folder for check.txt, check.json and sheet.png")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.arguments = args
    parsed = parser.parse_args(config_files.replace(args, _data_part))
    data: CrackDataModule = parser.instantiate_classes(parsed).data
    report = diagnose(data)
    result = as_json(report, data)
    print(json.dumps(result, indent=2) if parsed.json else as_text(result))
    if parsed.out is not None:
        _write(Path(parsed.out), report, result, data)
    return int(bool(result["faults"]))


def _data_part(config: str) -> list[str]:
    """Return the part of a configuration that is about the data, as a value of `--config`."""
    content = config_files.read(config_files.find(config))
    return [json.dumps({"data": content["data"]} if "data" in content else {})]


def as_json(report: Report, data: CrackDataModule) -> dict[str, Any]:
    """Everything that was found, in plain types."""

    def listed(severity: str) -> list[dict[str, Any]]:
        chosen = [problem for problem in report.problems if problem.severity == severity]
        return [{"kind": p.kind, "files": list(p.files), "fact": p.fact, "text": str(p)} for p in chosen]

    return {"faults": listed("fault"), "notes": listed("note"), "summary": summarise(report, data)}


def as_text(result: dict[str, Any]) -> str:
    """The same for people: one line a problem, then the summary."""
    lines = []
    for title, key in (("faults", "faults"), ("notes", "notes")):
        lines.append(f"{len(result[key])} {title}")
        lines += [f"  [{problem['kind']}] {problem['text']}" for problem in result[key]]
    return "\n".join([*lines, "", "summary", *_indented(result["summary"], 1)])


def _indented(values: dict[str, Any], depth: int) -> list[str]:
    lines = []
    for key, value in values.items():
        name = "  " * depth + key.replace("_", " ")
        if isinstance(value, dict):
            lines += [name, *_indented(value, depth + 1)]
        else:
            lines.append(f"{name:40}{f'{value:.4g}' if isinstance(value, float) else value}")
    return lines


def _write(folder: Path, report: Report, result: dict[str, Any], data: CrackDataModule) -> None:
    """Text, JSON and pictures, each whole."""
    write_text(folder / "check.txt", as_text(result) + "\n")
    write_json(folder / "check.json", result)
    picture = sheet(report, data)
    if picture is not None:
        write_image(folder / "sheet.png", picture)


def sheet(report: Report, data: CrackDataModule) -> pictures.Image | None:
    """Samples with their masks: a row with problems, one with the least and the most crack, one of typical ones."""
    sound = sorted((one for one in report.examined if one.sound), key=lambda one: one.share)
    if not sound:
        return None
    suspect = {name for problem in report.problems for name in problem.files}
    ill = [one for one in sound if {one.record.image, one.record.mask} & suspect]
    cracked = [one for one in sound if one.share] or sound
    half = COLUMNS // 2
    middle = max(0, len(cracked) // 2 - half)
    rows = [
        ("problem", ill[:COLUMNS]),
        ("extreme", cracked[:half] + cracked[half:][-half:]),
        ("typical", cracked[middle : middle + COLUMNS]),
    ]
    return pictures.stack_rows([_row(kind, row, data) for kind, row in rows if row])


def _row(kind: str, row: Sequence[Examined], data: CrackDataModule) -> pictures.Image:
    """Photos with the outlines of their masks, above the masks."""
    tiles = [_tile(one, data) for one in row]
    height = max(tile.shape[0] for tile in tiles)
    even = [np.pad(tile, ((0, height - tile.shape[0]), (0, 0), (0, 0)), constant_values=255) for tile in tiles]
    return pictures.side_by_side(even, [f"{kind}: {one.record.id} {one.share:.1%}" for one in row])


def _tile(one: Examined, data: CrackDataModule) -> pictures.Image:
    image, mask = data.layout.read(one.record)
    crack = ((mask > 0) & (mask != IGNORE)).astype(np.uint8)
    outlined = image.copy()
    outlined[cv2.dilate(crack, np.ones((3, 3), np.uint8)) > crack] = pictures.MISSED
    both = np.concatenate([outlined, pictures.mask_image(crack > 0)])
    scale = TILE / both.shape[1]
    return np.asarray(cv2.resize(both, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
