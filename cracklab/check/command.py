"""`cracklab check`, the data doctor: list the faults of a data set, its figures, and settings that fit it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jsonargparse import ActionConfigFile  # type: ignore[attr-defined]  # not listed in its __all__

from cracklab import config_files, pictures, plugins
from cracklab.check.examine import CheckReport, ExaminedPair, examine_data
from cracklab.check.summary import plan_of, summarise
from cracklab.config_parser import ConfigParser
from cracklab.data.datamodule import CrackDataModule
from cracklab.data.images import crack_pixels
from cracklab.data.planned import Length
from cracklab.files import output_folder, write_image, write_json, write_text
from cracklab.warning_filters import filter_warnings

COLUMNS = 4
"""Number of pictures in a row of the sheet."""
TILE_WIDTH = 256
"""Width of a picture of the sheet, px."""
NOTES = {
    "label_noise_1px": "each mask against itself moved by one pixel: the score to expect at best if labels are a pixel off",
}
"""Entry of the summary -> its meaning, printed beside it."""


def run(command: str, args: Sequence[str]) -> int:
    """Examine the data of a configuration, and print what was found.

    Args:
        command: `check`.
        args: the arguments after it on the command line.

    Returns:
        1 if there are faults, which would spoil training; else 0.
    """
    filter_warnings()
    imported, others = plugins.take(args)
    plugins.search_start_folder()
    plugins.import_all(imported)
    parser = ConfigParser(prog="cracklab check", description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "-c", "--config", action=ActionConfigFile, help="a configuration; later ones override earlier ones"
    )
    parser.add_class_arguments(CrackDataModule, "data")
    parser.add_class_arguments(Length, "trainer")
    parser.add_argument("--out", type=str | None, default=None, help="folder for check.txt, check.json and sheet.png")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(f"--{plugins.KEY}", type=str, help=plugins.HELP)
    parser.arguments = args
    parsed = parser.parse_args(config_files.replace(others, _sections))
    out = None if parsed.out is None else output_folder(parsed.out)
    built = parser.instantiate_classes(parsed)
    data: CrackDataModule = built.data
    report = examine_data(data)
    result = as_json(report, data, built.trainer)
    print(json.dumps(result, indent=2) if parsed.json else as_text(result))
    if out is not None:
        _write(out, report, result, data)
        if not parsed.json:
            print(f"\nwritten, with pictures of pairs, to {parsed.out}")
    return int(bool(result["faults"]))


def _sections(value: str) -> list[str]:
    """Return the sections that a plan depends on, of the configuration that a value of `--config` names, as such a value."""
    content = config_files.read(config_files.find(value))
    trainer, names = content.get("trainer"), {field.name for field in fields(Length)}
    kept = {key: content[key] for key in ("data",) if key in content}
    if isinstance(trainer, Mapping):
        kept["trainer"] = {key: setting for key, setting in trainer.items() if key in names}
    return [json.dumps(kept)]


def as_json(report: CheckReport, data: CrackDataModule, trainer: Length) -> dict[str, Any]:
    """Return a report in plain types."""

    def problems(severity: str) -> list[dict[str, Any]]:
        chosen = [problem for problem in report.problems if problem.severity == severity]
        return [{"kind": p.kind, "files": list(p.files), "fact": p.fact, "text": str(p)} for p in chosen]

    summary = summarise(report)
    planned = plan_of(report, data, trainer) if report.splits.train and report.sound else None
    result = {"faults": problems("fault"), "notes": problems("note"), "summary": summary}
    return result | {"plan": [] if planned is None else planned.lines()}


def as_text(result: dict[str, Any]) -> str:
    """Return the result of `as_json` as text: one line a problem, then the summary."""
    lines = []
    for severity in ("fault", "note"):
        problems = result[f"{severity}s"]
        lines.append(f"{len(problems)} {severity}{'s' * (len(problems) != 1)}")
        lines += [f"  [{problem['kind']}] {problem['text']}" for problem in problems]
    plan = ["", *result["plan"]] if result["plan"] else []
    return "\n".join([*lines, "", "summary", *_indented(result["summary"], 1), *plan])


def _indented(values: dict[str, Any], depth: int) -> list[str]:
    lines = []
    for key, value in values.items():
        name = "  " * depth + key.replace("_", " ")
        note = f"  # {NOTES[key]}" if key in NOTES else ""
        if isinstance(value, dict):
            lines += [f"{name}{note}", *_indented(value, depth + 1)]
        else:
            lines.append(f"{name:40}{f'{value:.4g}' if isinstance(value, float) else value}{note}")
    return lines


def _write(folder: Path, report: CheckReport, result: dict[str, Any], data: CrackDataModule) -> None:
    """Write the report as text and JSON, and the sheet of pictures."""
    write_text(folder / "check.txt", as_text(result) + "\n")
    write_json(folder / "check.json", result)
    picture = draw_sheet(report, data)
    if picture is not None:
        write_image(folder / "sheet.png", picture)


def draw_sheet(report: CheckReport, data: CrackDataModule) -> pictures.Image | None:
    """Draw a row of pairs with problems, one of pairs with the least and the most crack, and one of typical pairs.

    Returns:
        The picture; None if no pair can be drawn.
    """
    sound = sorted(report.sound, key=lambda pair: pair.share)
    if not sound:
        return None
    named = {name for problem in report.problems for name in problem.files}
    with_problems = [pair for pair in sound if {pair.record.image, pair.record.mask} & named]
    cracked = [pair for pair in sound if pair.share] or sound
    half = COLUMNS // 2
    middle = max(0, len(cracked) // 2 - half)
    rows = [
        ("problem", with_problems[:COLUMNS]),
        ("extreme", cracked[:half] + cracked[half:][-half:]),
        ("typical", cracked[middle : middle + COLUMNS]),
    ]
    return pictures.stack_rows([_row(title, pairs, data) for title, pairs in rows if pairs])


def _row(title: str, pairs: Sequence[ExaminedPair], data: CrackDataModule) -> pictures.Image:
    tiles = [_tile(pair, data) for pair in pairs]
    height = max(tile.shape[0] for tile in tiles)
    even = [np.pad(tile, ((0, height - tile.shape[0]), (0, 0), (0, 0)), constant_values=255) for tile in tiles]
    return pictures.side_by_side(even, [f"{title}: {pair.record.id} {pair.share:.1%}" for pair in pairs])


def _tile(pair: ExaminedPair, data: CrackDataModule) -> pictures.Image:
    """Draw a photo with the outline of its mask, above the mask."""
    image, mask = data.layout.read(pair.record)
    crack = crack_pixels(mask).astype(np.uint8)
    outlined = image.copy()
    outlined[cv2.dilate(crack, np.ones((3, 3), np.uint8)) > crack] = pictures.MISSED
    both = np.concatenate([outlined, pictures.mask_image(crack > 0)])
    scale = TILE_WIDTH / both.shape[1]
    return np.asarray(cv2.resize(both, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
