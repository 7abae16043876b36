"""A damaged file never ends in a traceback or a wrong number: the result is that of the intact file, or the file is named.

SOAK_FILES: number of damaged files, divided among the kinds; SOAK_SEED: seed of the damage.
"""

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import pytest
from support import QUICKSTART, ROOT

from cracklab import run_folder
from cracklab.cli import main
from cracklab.synthetic.draw import draw

FILES = int(os.environ.get("SOAK_FILES", "30"))
SEED = int(os.environ.get("SOAK_SEED", str(random.randrange(2**32))))
TINY = [
    f"--config={QUICKSTART}",
    "--data.batch_size=4",
    "--data.num_workers=0",
    "--data.cache=none",
    "--trainer.max_epochs=1",
    "--trainer.logger=false",
    "--trainer.enable_progress_bar=false",
    "--trainer.enable_model_summary=false",
    "--trainer.accelerator=cpu",
    "--model.net=support.TinyNet",
    "--panels.images=0",
]
TRUST = "--trust=support.TinyNet"
SIDES = ["train"] * 6 + ["val"] * 2 + ["test"] * 3


@dataclass(frozen=True)
class Kind:
    """A kind of file, and a command that reads it.

    Attributes:
        file: the file, relative to the folder of all files.
        arguments: returns the command, from the folder of all files and an output folder that does not exist.
        results: files of the output that hold the result; standard output if there are none.
    """

    file: str
    arguments: Callable[[Path, Path], list[str]]
    results: tuple[str, ...] = ()


def scored(folder: str = "run") -> Callable[[Path, Path], list[str]]:
    """Return a test of a run."""

    def arguments(kit: Path, out: Path) -> list[str]:
        best = kit / folder / run_folder.BEST
        return ["test", f"--config={kit / folder / run_folder.CONFIG}", f"--ckpt_path={best}", f"--out={out}"]

    return arguments


def predicted(kit: Path, out: Path) -> list[str]:
    """Return a prediction of one photo."""
    best = kit / "run" / run_folder.BEST
    photos = ["--images", str(kit / "photos"), "--probability", "--device=cpu"]
    return ["predict", TRUST, f"--ckpt_path={best}", *photos, f"--out={out}"]


def continued(kit: Path, out: Path) -> list[str]:
    """Return a prediction into a folder that has settings but no masks."""
    shutil.copytree(kit / "masks", out)
    return predicted(kit, out)


def checked(layout: str) -> Callable[[Path, Path], list[str]]:
    """Return a check of annotated photos."""
    return lambda kit, out: [
        "check",
        f"--data.layout={layout}",
        f"--data.root={kit / layout}",
        "--data.group=(.+)",
        "--json",
    ]


def reported(kit: Path, out: Path) -> list[str]:
    """Return a report of the study."""
    return ["report", str(kit / "study"), f"--out={out}"]


def bundled(kit: Path, out: Path) -> list[str]:
    """Return a call of the bundle's script."""
    return [sys.executable, str(kit / "bundle/run.py"), str(kit / "photos/wall.png"), "--out", str(out)]


SCORES, MASKS = (run_folder.TEST_METRICS, run_folder.PER_IMAGE), ("wall.png", "wall_probability.png")
KINDS = {
    "config": Kind("run/config.yaml", scored(), SCORES),
    "checkpoint": Kind(f"run/{run_folder.BEST}", predicted, MASKS),
    "checkpoint, test": Kind(f"run/{run_folder.BEST}", scored(), SCORES),
    "photo": Kind("data/images/9.png", scored(), SCORES),
    "mask": Kind("data/masks/9.png", scored(), SCORES),
    "photo to predict": Kind("photos/wall.png", predicted, MASKS),
    "table": Kind("data/index.csv", scored(), SCORES),
    "folds": Kind("study/folds.json", scored("study/fold_0"), SCORES),
    "COCO": Kind("coco/annotations.json", checked("coco")),
    "LabelMe": Kind("labelme/a.json", checked("labelme")),
    "plan": Kind("study/study.yaml", reported, ("report.md",)),
    "scores": Kind("study/fold_0/test_metrics.json", reported, ("report.md",)),
    "scores of images": Kind("study/fold_0/per_image.csv", reported, ("report.md",)),
    "curve": Kind("study/fold_0/metrics.csv", reported, ("report.md",)),
    "settings of masks": Kind("masks/predict.json", continued, ("wall.png",)),
    "net of a bundle": Kind("bundle/model.onnx", bundled, ("wall.png",)),
}


def write_pairs(folder: Path) -> None:
    """Write photos, masks and their table."""
    rows = ["image,mask,group,split"]
    for seed, side in enumerate(SIDES):
        image, mask = draw(seed, (32, 32))
        for name, pixels in (("images", image[..., ::-1]), ("masks", mask * 255)):
            (folder / name).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / name / f"{seed}.png"), pixels)
        rows.append(f"images/{seed}.png,masks/{seed}.png,wall{seed},{side}")
    (folder / "index.csv").write_text("\n".join(rows) + "\n")


def write_annotations(kit: Path) -> None:
    """Write two photos with COCO and LabelMe annotations."""
    line = [[4.0, 4.0], [28.0, 20.0], [27.0, 24.0], [3.0, 7.0]]
    for name in ("coco", "labelme"):
        (kit / name).mkdir()
    for number, stem in enumerate("abcd"):
        for name in ("coco", "labelme"):
            shutil.copy(kit / "data/images" / f"{number}.png", kit / name / f"{stem}.png")
        shapes = [{"label": "crack", "shape_type": "polygon", "points": line}]
        (kit / "labelme" / f"{stem}.json").write_text(json.dumps({"imagePath": f"{stem}.png", "shapes": shapes}))
    coco = {
        "images": [{"id": i, "file_name": f"{stem}.png", "width": 32, "height": 32} for i, stem in enumerate("abcd")],
        "categories": [{"id": 1, "name": "crack"}],
        "annotations": [
            {
                "id": i,
                "image_id": i,
                "category_id": 1,
                "segmentation": [[number for point in line for number in point]],
                "bbox": [3, 4, 25, 20],
            }
            for i in range(4)
        ],
    }
    (kit / "coco/annotations.json").write_text(json.dumps(coco))


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an intact file of each kind."""
    kit = tmp_path_factory.mktemp("soak") / "kit"
    write_pairs(kit / "data")
    write_annotations(kit)
    (kit / "photos").mkdir()
    cv2.imwrite(str(kit / "photos/wall.png"), draw(99, (50, 70))[0][..., ::-1])
    data = ["--data.layout=csv", f"--data.root={kit / 'data'}"]
    run, out = kit / "run", kit / "study"
    assert main(["fit", *TINY, *data, f"--out={run}"]) == 0
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    call = [sys.executable, "-m", "cracklab", "kfold", *TINY, *data, "--folds=2", f"--out={out}"]
    assert subprocess.run(call, env=environment, check=False).returncode == 0
    assert main(["export", TRUST, f"--ckpt_path={run / run_folder.BEST}", f"--out={kit / 'bundle'}"]) == 0
    assert main(predicted(kit, kit / "masks")) == 0
    for path in (kit / "masks").iterdir():
        if path.name != "predict.json":
            path.unlink()
    return kit


@pytest.fixture(scope="module")
def intact() -> dict[str, list[bytes | str]]:
    """The results of intact files, by the kind; filled by the tests."""
    return {}


def damage(content: bytes, others: list[bytes], suffix: str, chance: random.Random) -> tuple[str, bytes]:
    """Return the name of a random damage, and the damaged content.

    Two kinds are left out, since no reader can know what was meant: a cut table is a shorter table, and a flipped bit turns
    text into other text unless it is the highest one.
    """
    is_text = suffix in (".yaml", ".json", ".csv")
    how = chance.choice(["flipped", "swapped", "zeroed", "empty", *(["truncated"] if suffix != ".csv" else [])])
    at = chance.randrange(len(content))
    if how == "truncated":
        return f"{how} at {at}", content[:at]
    if how == "flipped":
        bit = 7 if is_text else chance.randrange(8)
        return f"bit {bit} of byte {at} {how}", content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :]
    if how == "swapped":
        return how, chance.choice([other for other in others if other != content])
    if how == "zeroed":
        end = min(len(content), at + chance.choice([1, 16, len(content)]))
        return f"bytes {at} to {end} {how}", content[:at] + bytes(end - at) + content[end:]
    return how, b""


def perform(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Run a command; return its exit code and its output."""
    capfd.readouterr()
    if arguments[0] == sys.executable:
        code = subprocess.run(arguments, check=False).returncode
    else:
        try:
            code = main(arguments)
        except SystemExit as end:
            code = int(end.code or 0)
    return code, "".join(capfd.readouterr())


def cases() -> Iterator[str]:
    """Yield the kind of each damaged file."""
    for number in range(FILES):
        yield list(KINDS)[number % len(KINDS)]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "name"), enumerate(cases()))
def test_a_damaged_file_is_named_or_does_not_matter(number, name, kit, intact, tmp_path, capfd):
    kind, chance = KINDS[name], random.Random(f"{SEED} {number}")
    file = kit / kind.file
    content = file.read_bytes()
    if name not in intact:
        code, output = perform(kind.arguments(kit, tmp_path / "intact"), capfd)
        assert code == 0, output
        intact[name] = [(tmp_path / "intact" / result).read_bytes() for result in kind.results] or [output]
    others = [(kit / other.file).read_bytes() for other in KINDS.values()]
    how, damaged = damage(content, others, file.suffix, chance)
    case = f"{name}, {how}, seed {SEED}"
    file.write_bytes(damaged)
    try:
        code, output = perform(kind.arguments(kit, tmp_path / "damaged"), capfd)
    finally:
        file.write_bytes(content)
    assert "Traceback" not in output, f"{case}: {output}"
    if code:
        assert code in (1, 2), case
        assert file.name in output, f"{case}: {output}"
        print(f"{case}: refused")
    else:
        found = [(tmp_path / "damaged" / result).read_bytes() for result in kind.results] or [output]
        assert found == intact[name], f"{case}: another result"
        print(f"{case}: the same result")
