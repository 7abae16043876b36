"""`cracklab check` from the command line: every fault, with a generated file."""

import json
import re

import cv2
import numpy as np
import pytest
from data_cases import pair, write
from PIL import Image

from cracklab.check.examine import examine_data
from cracklab.check.summary import summarise
from cracklab.cli import main
from cracklab.data.datamodule import CrackDataModule
from cracklab.data.layouts.folders import Folders
from cracklab.data.statistics import mask_statistics
from cracklab.losses.entropy import margin_for
from cracklab.metrics.boundary import image_boundary_iou


def name(number):
    """A file name that does not read as the crop of another photo."""
    return f"wall{chr(97 + number)}"


@pytest.fixture
def clean(tmp_path):
    """Ten different photos with thin cracks."""
    root = tmp_path / "photos"
    for number in range(10):
        write(root, name(number), *pair(number))
    return root


@pytest.fixture
def check(capsys):
    """Run the command, which must not write anything; returns the exit code and standard output."""

    def run(root, *arguments):
        before = sorted(root.parent.rglob("*"))
        with pytest.raises(SystemExit) if arguments and arguments[0] == "fails" else _nothing() as raised:
            main(["check", "--data.layout", "folders", "--data.root", str(root), *arguments[bool(raised) :]])
        assert sorted(root.parent.rglob("*")) == before
        return raised.value.code if raised else 0, capsys.readouterr().out

    return run


class _nothing:
    """A context that expects no error."""

    def __enter__(self):
        return None

    def __exit__(self, *error):
        return False


def test_clean_data_exit_with_0_and_a_summary(clean, check):
    code, text = check(clean)
    assert code == 0
    assert text.startswith("0 faults\n0 notes\n")
    for line in ("images", "photos", "crack share", "width px", "label noise 1px", "recommended", "margin"):
        assert re.search(rf"^ *{line}", text, re.MULTILINE)
    assert re.search(r"^ *label noise 1px +# each mask against itself moved by one pixel", text, re.MULTILINE)


def damage(kind, root):
    """Damage the fourth pair."""
    image, mask = root / "images/walld.png", root / "masks/walld.png"
    photo, truth = pair(3)
    match kind:
        case "missing-mask":
            mask.unlink()
        case "extra-mask":
            image.unlink()
        case "size":
            cv2.imwrite(str(mask), truth[:20] * 255)
        case "rotated":
            Image.fromarray(truth.T * 255).save(mask)
        case "no image":
            image.write_text("not an image")
        case "truncated photo":
            Image.fromarray(photo).save(image.with_suffix(".jpg"))
            image.unlink()
            data = image.with_suffix(".jpg").read_bytes()
            image.with_suffix(".jpg").write_bytes(data[: len(data) // 2])
        case "truncated mask":
            mask.write_bytes(mask.read_bytes()[:-20])
        case "ambiguous values":
            cv2.imwrite(str(mask), truth + 1)
        case "full mask":
            cv2.imwrite(str(mask), np.full_like(truth, 255))
        case "inverted mask":
            cv2.imwrite(str(mask), (1 - truth) * 255)
        case "same stem":
            Image.fromarray(photo).save(image.with_suffix(".bmp"))
        case "exif":
            photo, truth = pair(3, 48, 48)
            tags = Image.Exif()
            tags[0x0112] = 6
            Image.fromarray(photo).save(image, exif=tags)
            cv2.imwrite(str(mask), truth * 255)
        case _:
            raise AssertionError(kind)


FAULTS = {
    "missing-mask": "the image has no mask",
    "extra-mask": "the mask has no image",
    "size": "is 56 x 20 but its image .* is 56 x 40",
    "rotated": "EXIF",
    "no image": "cannot be decoded as an image",
    "truncated photo": "is truncated",
    "truncated mask": "is truncated",
    "ambiguous values": "has the values 1, 2, so it is unclear which pixels are crack",
    "full mask": "every pixel is crack",
    "inverted mask": "so it seems inverted",
    "same stem": "differ only in their extension",
    "exif": r"EXIF tag \(6\) rotates a square photo",
}


@pytest.mark.parametrize("kind", FAULTS)
def test_every_fault_is_named_with_its_file(kind, clean, check):
    damage(kind, clean)
    code, text = check(clean, "fails")
    assert code == 1
    line = next(line for line in text.splitlines() if re.search(FAULTS[kind], line))
    assert line.startswith("  [")
    assert "walld" in line
    assert text.startswith("1 fault\n")


def test_all_faults_are_listed_at_once(clean, check):
    (clean / "masks/walla.png").unlink()
    (clean / "images/wallb.png").write_bytes(b"nonsense")
    cv2.imwrite(str(clean / "masks/wallb.png"), pair(1)[1] + 1)
    cv2.imwrite(str(clean / "masks/wallc.png"), np.full((40, 56), 255, np.uint8))
    code, text = check(clean, "fails")
    assert code == 1
    found = re.findall(r"^  \[([\w-]+)\].*?(wall\w)", text, re.MULTILINE)
    assert sorted(found) == [
        ("full-mask", "wallc"),
        ("missing-mask", "walla"),
        ("unreadable-image", "wallb"),
        ("unreadable-mask", "wallb"),
    ]


def published(root, train, test):
    for side, stems in (("train", train), ("test", test)):
        for stem, seed in stems.items():
            write(root / side, stem, *pair(seed))


def test_a_photo_on_two_sides_is_a_fault_that_names_its_files_unless_accepted_or_split_clean(tmp_path, check):
    root = tmp_path / "photos"
    published(root, {f"w{c}": ord(c) for c in "abcdef"} | {"p-1": 1, "p-2": 2}, {"p-3": 3, "wz": 4})
    code, text = check(root, "fails")
    assert code == 1
    line = next(line for line in text.splitlines() if "[overlap]" in line)
    for stem in ("p-1.png", "p-2.png", "p-3.png"):
        assert stem in line
    code, text = check(root, "--data.known_overlap", "report")
    assert code == 0
    assert "0 faults\n1 note\n" in text
    code, text = check(root, "--data.split", "official-clean")
    assert code == 0
    assert "[overlap]" not in text


@pytest.mark.parametrize("exact", [True, False])
def test_duplicates_on_two_sides_are_faults_and_on_one_side_notes(tmp_path, check, exact):
    root = tmp_path / "photos"
    published(root, {f"w{c}": ord(c) for c in "abcdefgh"}, {"wx": 4, "wy": 5})
    image, mask = pair(ord("c"))
    image = image if exact else np.clip(image.astype(int) + 6, 0, 255).astype(np.uint8)
    write(root / "train", "again", image, mask)
    code, text = check(root)
    assert code == 0
    kind = "duplicate" if exact else "near-duplicate"
    line = next(line for line in text.splitlines() if f"[{kind}]" in line)
    assert "again.png" in line
    assert "wc.png" in line
    for folder in ("images", "masks"):
        (root / "train" / folder / "again.png").rename(root / "test" / folder / "again.png")
    code, text = check(root, "fails")
    assert code == 1
    line = next(line for line in text.splitlines() if f"[{kind}]" in line)
    assert "on several sides (test, train)" in line


def test_crack_free_photos_and_rotated_photos_are_notes(clean, check):
    cv2.imwrite(str(clean / "masks/walla.png"), np.zeros((40, 56), np.uint8))
    photo, _ = pair(1)
    tags = Image.Exif()
    tags[0x0112] = 6
    Image.fromarray(np.rot90(photo)).save(clean / "images/wallb.png", exif=tags)
    code, text = check(clean)
    assert code == 0
    assert re.search(r"\[empty-mask\].*walla", text)
    assert re.search(r"\[exif\].*wallb.*is rotated by its EXIF tag", text)


def test_a_side_without_any_crack_is_a_fault(tmp_path, check):
    root = tmp_path / "photos"
    published(root, {f"w{c}": ord(c) for c in "abcdef"}, {"wy": 3, "wz": 4})
    for stem in ("wy", "wz"):
        cv2.imwrite(str(root / f"test/masks/{stem}.png"), np.zeros((40, 56), np.uint8))
    code, text = check(root, "fails")
    assert code == 1
    assert "none of the 2 test images shows a crack" in text


def test_if_all_names_read_as_crops_of_one_photo_a_fault_tells_the_remedy(tmp_path, check):
    root = tmp_path / "photos"
    for number in range(8):
        write(root, f"crack-{number}", *pair(number))
    code, text = check(root, "fails")
    assert code == 1
    assert "set data.group to '(.+)'" in text
    assert check(root, "--data.group", "(.+)")[0] == 0


def test_a_resize_that_joins_cracks_is_noted(clean, check):
    for number in range(10):
        mask = np.zeros((40, 56), np.uint8)
        mask[4::6] = 1
        cv2.imwrite(str(clean / f"masks/{name(number)}.png"), mask * 255)
    code, text = check(clean, "--data.resize", "6")
    assert code == 0
    # six lines in each of ten masks
    assert re.search(r"\[resize\] .* turns 60 connected regions of crack into \d+: ", text)


def test_wrong_calls_exit_with_2_and_one_message(clean, capsys):
    for arguments, message in (
        (["--data.root", str(clean / "nowhere")], "is not a folder"),
        (["--data.root", str(clean), "--data.fold", "9"], r"data\.fold is 9"),
        (["--data.root", str(clean), "--data.split", "official"], "needs a published split"),
        (["--data.rot", str(clean)], "did you mean 'data.root'"),
        (["--confg", "nothing.yaml"], "'confg'; did you mean 'config'"),
        (["--jsn"], "'jsn'; did you mean 'json'"),
        (["--config", "nothing.yaml"], "nothing.yaml does not exist"),
        (["--config"], "--config has no value"),
        (["--data.layout", "foldrs"], "'foldrs' .* did you mean 'folders'"),
        (["--data.layout.mask_patern", "x"], "'mask_patern'; did you mean 'mask_pattern'"),
        (["--data.batch_size", "four"], "data.batch_size is 'four'"),
        (["photos"], "photos"),
    ):
        with pytest.raises(SystemExit) as raised:
            main(["check", "--data.layout", "folders", *arguments])
        assert raised.value.code == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ")
        assert error.count("\n") == 1
        assert re.search(message, error)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("data: {layout: folders, rot: photos}", "'data.rot'; did you mean 'data.root'"),
        ("data: {layout: foldrs}", "'foldrs' .* did you mean 'folders'"),
        ("data: {layout: {class_path: folders, init_args: {maks: a}}}", "'maks'; did you mean 'masks'"),
        ("model: {loss: dice}", "data.layout is not set: give --data.layout VALUE, or --config FILE"),
        ("- data", "holds list, not keys and values"),
    ],
)
def test_mistakes_in_a_configuration_exit_with_2_and_the_remedy(config, message, tmp_path, capsys):
    file = tmp_path / "config.yaml"
    file.write_text(config)
    with pytest.raises(SystemExit) as raised:
        main(["check", "--config", str(file)])
    assert raised.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert re.search(message, error)


def test_the_report_is_printed_as_json_and_written_with_pictures(clean, tmp_path, capsys):
    (clean / "masks/walla.png").unlink()
    out = tmp_path / "out"
    config = tmp_path / "config.yaml"
    config.write_text(
        f"model: {{loss: dice}}\ndata: {{layout: folders, root: {clean}, resize: 20}}\ntrainer: {{max_epochs: 3}}\n"
    )
    with pytest.raises(SystemExit) as raised:
        main(["check", "--config", str(config), "--json", "--out", str(out), "--data.group", "auto"])
    assert raised.value.code == 1
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((out / "check.json").read_text())
    assert [fault["kind"] for fault in printed["faults"]] == ["missing-mask"]
    assert printed["summary"]["images"] == 9
    assert printed["summary"]["encodings"] == {"0/255": 9}
    assert sum(printed["summary"]["crack_share_histogram"].values()) == 9
    assert "missing-mask" in (out / "check.txt").read_text()
    with pytest.raises(SystemExit):
        main(["check", "--data.layout", "folders", "--data.root", str(clean), "--out", str(out)])
    assert capsys.readouterr().out.endswith(f"written, with pictures of pairs, to {out}\n")
    assert cv2.imread(str(out / "sheet.png")).shape[1] > 4 * 256  # four pictures in a row


@pytest.mark.parametrize(
    "fewer",
    [
        ["--data.layout.train=60", "--data.layout.val=10", "--data.layout.test=15"],
        pytest.param([], marks=pytest.mark.slow, id="all"),
    ],
)
def test_the_data_of_the_quickstart_are_clean(fewer, capsys):
    assert main(["check", "--config", "cracklab:quickstart", *fewer]) == 0
    assert capsys.readouterr().out.startswith("0 faults")


@pytest.mark.slow  # reads 537 photos; the overlap and the duplicate are found in faster tests of tests/data too
def test_deepcrack_as_published_has_a_photo_on_both_sides_and_near_duplicates(deepcrack, capsys):
    arguments = ["--config", "cracklab:data/deepcrack", "--data.root", str(deepcrack), "--data.known_overlap"]
    with pytest.raises(SystemExit) as raised:
        main(["check", *arguments, "error"])
    assert raised.value.code == 1
    text = capsys.readouterr().out
    assert re.search(r"\[overlap\].*'11142'.*11142-1\.jpg", text)
    assert re.search(r"\[near-duplicate\].*11158\.jpg.*11216\.jpg", text)
    assert re.search(r"images +537\n +photos +15\d", text)


@pytest.mark.parametrize("kind", ["missing-mask", "size", "ambiguous values", "truncated mask"])
def test_fit_stops_with_the_same_message_before_it_writes(kind, clean, tmp_path, capsys):
    damage(kind, clean)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SystemExit) as raised:
        main(["fit", "--config", "cracklab:base", "--data.root", str(clean), "--out", str(tmp_path / "run")])
    assert raised.value.code == 2
    error = capsys.readouterr().err
    assert re.search(FAULTS[kind], error)
    assert "walld" in error
    assert sorted(tmp_path.rglob("*")) == before


def test_recommendations_agree_with_the_metric_and_with_the_statistics_of_fit(tmp_path, monkeypatch):
    rng = np.random.default_rng(4)
    masks = [np.zeros((80, 120), np.uint8) for _ in range(4)]
    for number, mask in enumerate(masks[1:]):  # wide slanted cracks, up to the border
        cv2.line(mask, (0, 10 + 9 * number), (16, 26 + 9 * number), 1, 9)
        mask[:, 50:] = 255  # ignored
    for number, mask in enumerate(masks):
        write(tmp_path / "photos", name(number), rng.integers(0, 255, (*mask.shape, 3), dtype=np.uint8), mask)
        cv2.imwrite(str(tmp_path / f"photos/masks/{name(number)}.png"), mask)
    data = CrackDataModule(root=tmp_path / "photos", layout=Folders(num_classes=2, ignore=255), cache="none")
    monkeypatch.setattr("cracklab.check.examine.NOISE_IMAGES", 1)  # the first image, which has no crack
    summary = summarise(examine_data(data))
    assert summary["label_noise_1px"]["iou"] is None
    expected = mask_statistics(masks)
    assert summary["crack_share"] == pytest.approx(expected.crack_share)
    assert [summary["width_px"][name] for name in ("p5", "p50", "p95")] == pytest.approx(
        [expected.width_px_p5, expected.width_px_p50, expected.width_px_p95], rel=1e-6
    )
    assert 0.03 < expected.crack_share < 0.05  # the margin is between its bounds
    recommended = summary["recommended"]
    assert recommended["margin"] == pytest.approx(margin_for(expected))

    def share(width):
        inside = [image_boundary_iou(mask == 1, mask == 1, width)[1] * (mask == 1).sum() for mask in masks]
        return sum(inside) / sum((mask == 1).sum() for mask in masks)

    width = recommended["boundary_width_px"]
    assert width > 1
    assert recommended["share_in_boundary"] == pytest.approx(share(width))
    assert share(width) <= 0.9 < share(width + 1)
