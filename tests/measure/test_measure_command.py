"""`cracklab measure` on the command line."""

import csv
import json
import os

import cv2
import numpy as np
import openpyxl
import pytest
from crack_shapes import strip
from PIL import Image

from cracklab.cli import main


def save(path, mask):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), mask.astype(np.uint8) * 255)


@pytest.fixture
def masks(tmp_path):
    """Two masks with one crack each and one without, beside pictures that `predict` writes."""
    folder = tmp_path / "masks"
    save(folder / "a.png", strip(100, 4, 20))
    save(folder / "east/b.png", strip(60, 8, 70))
    save(folder / "none.png", np.zeros((50, 40), bool))
    for name in ("a_overlay.jpg", "east/b_probability.png"):
        cv2.imwrite(str(folder / name), np.random.default_rng(0).integers(0, 255, (20, 20, 3), np.uint8))
    return folder


def measure(*arguments):
    """Run the command and return the exit code."""
    try:
        return main(["measure", *map(str, arguments)])
    except SystemExit as end:
        return end.code


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_tables_json_and_pictures_are_written(masks, tmp_path, capsys):
    out = tmp_path / "out"
    assert measure(masks, "--mm_per_px", "0.5", "--out", out) == 0
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    pictures = {"a_measured.jpg", "east/b_measured.jpg", "none_measured.jpg"}
    assert files == {"photos.csv", "cracks.csv", "measurements.json", "measurements.xlsx"} | pictures
    photos = {row["id"]: row for row in rows(out / "photos.csv")}
    assert set(photos) == {"a", "east/b", "none"}
    assert float(photos["a"]["length_mm"]) == pytest.approx(50, rel=0.02)
    assert float(photos["east/b"]["width_p50_mm"]) == pytest.approx(4, abs=0.25)
    assert photos["none"]["width_p50_px"] == ""
    cracks = rows(out / "cracks.csv")
    assert [(row["id"], row["crack"]) for row in cracks] == [("a", "1"), ("east/b", "1")]
    assert float(cracks[0]["orientation_deg"]) == pytest.approx(20, abs=1.5)
    found = json.loads((out / "measurements.json").read_text())
    (crack,) = found["a"]["of_cracks"]
    ends = np.array(crack["tips_xy"])
    assert np.hypot(*(ends[1] - ends[0])) == pytest.approx(100, rel=0.02)
    assert "length_mm" in capsys.readouterr().out
    picture = cv2.imread(str(out / "a_measured.jpg"))
    factor = -(-1000 // strip(100, 4, 20).shape[0])
    assert picture.shape[1] == factor * strip(100, 4, 20).shape[1]
    coloured = (np.ptp(picture.astype(int), axis=2) > 60).sum()
    assert coloured > 100 * factor, "the centre line is drawn in colour"


def test_min_length_px_ignores_short_cracks(masks, capsys):
    assert measure(masks / "east/b.png", "--min_length_px", "50") == 0
    assert "length_px" in capsys.readouterr().out
    assert measure(masks / "east/b.png", "--min_length_px", "70") == 0
    assert "b: no crack" in capsys.readouterr().out


def test_without_out_nothing_is_written(masks, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert measure(masks / "a.png") == 0
    assert sorted(tmp_path.rglob("*")) == before
    assert "length_px" in capsys.readouterr().out


def test_pictures_of_an_earlier_call_are_not_taken_for_masks(masks, tmp_path):
    assert measure(masks, "--out", masks / "measured") == 0
    assert measure(masks, "--out", tmp_path / "again") == 0
    assert len(rows(tmp_path / "again/photos.csv")) == 3


def test_scales_come_from_a_table_or_from_exif(masks, tmp_path):
    table = tmp_path / "scales.csv"
    table.write_text("id,mm_per_px\na,0.5\neast/b,2\nnone,1\n")
    assert measure(masks, "--scale_csv", table, "--out", tmp_path / "table", "--no_pictures") == 0
    assert [row["mm_per_px"] for row in rows(tmp_path / "table/photos.csv")] == ["0.5", "1.0", "2.0"]
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 50
    for name in ("a", "east/b", "none"):
        height, width = cv2.imread(str(masks / f"{name}.png")).shape[:2]
        (tmp_path / f"photos/{name}.jpg").parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (width, height), "gray").save(tmp_path / f"photos/{name}.jpg", exif=exif)
    options = ("--photos", tmp_path / "photos", "--distance_mm", "1000")
    assert measure(masks, *options, "--out", tmp_path / "exif") == 0
    scale = {row["id"]: float(row["mm_per_px"]) for row in rows(tmp_path / "exif/photos.csv")}
    # diagonal of the film / diagonal of the photo * distance / focal length
    assert scale["none"] == pytest.approx(43.267 / np.hypot(50, 40) * 1000 / 50, rel=1e-3)


def test_errors_against_true_masks(masks, tmp_path, capsys):
    predicted = tmp_path / "predicted"
    save(predicted / "a.png", strip(100, 6, 20)[2:-2, 2:-2])  # 2 px too wide, 124 x 124 like the truth
    truth = tmp_path / "truth"
    save(truth / "a.png", strip(100, 4, 20)[1:-1, 1:-1])
    save(predicted / "b.png", np.zeros((50, 40), bool))
    save(truth / "b.png", np.pad(np.ones((30, 3), bool), ((10, 10), (10, 27))))
    save(predicted / "c.png", np.pad(np.ones((30, 3), bool), ((10, 10), (10, 27))))
    save(truth / "c.png", np.zeros((50, 40), bool))
    assert measure(predicted, "--truth", truth, "--out", tmp_path / "out", "--no_pictures") == 0
    result = json.loads((tmp_path / "out/comparison.json").read_text())
    assert (result["photos"], result["photos_missed"], result["photos_false"]) == (3, 1, 1)
    assert result["width_p50_error_px_mean"] == pytest.approx(2, abs=0.2)
    assert result["length_error_abs_mean"] == pytest.approx(0.5, abs=0.01), "0 for a, 1 for b"
    assert result["length_error_total"] == pytest.approx(0, abs=0.01), "c cancels b"
    listed = {row["id"]: row for row in rows(tmp_path / "out/comparison.csv")}
    assert listed["b"]["length_error"] == "-1.0"
    assert listed["c"]["length_error"] == listed["c"]["width_p50_error_px"] == ""
    assert "length_error_total" in capsys.readouterr().out


def test_two_files_with_one_name_are_refused_before_anything_is_written(tmp_path, capsys):
    for folder in ("p1", "p2", "g"):
        save(tmp_path / folder / "wall.png", strip(60, 4, 20))
    both, one = (tmp_path / "p1", tmp_path / "p2"), tmp_path / "g"
    for arguments in (both, (one, "--photos", *both), (one, "--truth", *both)):
        assert measure(*arguments, "--out", tmp_path / "out") == 2
        message = capsys.readouterr().err
        assert "p1/wall.png and " in message
        assert "p2/wall.png would both have the id" in message
        assert "give the folder above both" in message
    assert not (tmp_path / "out").exists()
    assert measure(tmp_path, "--truth", tmp_path) == 0


def test_a_name_that_is_no_text_is_refused_before_anything_is_written(tmp_path, capsys):
    save(tmp_path / "masks/wall.png", strip(60, 4, 20))
    os.link(tmp_path / "masks/wall.png", os.fsencode(tmp_path) + b"/masks/b\xff.png")
    assert measure(tmp_path / "masks", "--out", tmp_path / "out") == 2
    assert "is not UTF-8" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_mask_called_like_a_picture_is_measured_unless_it_is_one(masks, tmp_path):
    save(masks / "east/crack_figure.png", strip(60, 4, 20))
    cv2.imwrite(str(masks / "a_figure.png"), np.random.default_rng(0).integers(0, 255, (20, 20, 3), np.uint8))
    assert measure(masks, "--out", tmp_path / "out", "--no_pictures") == 0
    assert [row["id"] for row in rows(tmp_path / "out/photos.csv")] == ["a", "none", "east/b", "east/crack_figure"]


def test_a_mask_called_like_a_picture_of_a_mask_in_a_folder_above_is_measured(tmp_path, capsys):
    for name in ("wall.png", "north/door.png", "north/wall_figure.png", "north/_overlay.jpg"):
        save(tmp_path / "site" / name, strip(60, 4, 20))
    assert measure(tmp_path / "site", "--out", tmp_path / "out") == 0
    names = ["wall", "north/_overlay", "north/door", "north/wall_figure"]
    assert [row["id"] for row in rows(tmp_path / "out/photos.csv")] == names
    assert "left out" not in capsys.readouterr().out


def test_pictures_of_earlier_results_are_left_out_and_counted(masks, tmp_path, capsys):
    assert measure(masks, "--mm_per_px", "1", "--figures", "png", "--out", masks / "results") == 0
    assert "1 picture of masks, such as" in capsys.readouterr().out
    assert len(list((masks / "results").rglob("*_*.*g"))) == 6
    assert measure(masks, "--out", tmp_path / "out", "--no_pictures") == 0
    assert [row["id"] for row in rows(tmp_path / "out/photos.csv")] == ["a", "none", "east/b"]
    assert "7 pictures of masks, such as" in capsys.readouterr().out


def test_masks_of_class_indices_are_measured_with_classes(tmp_path, capsys):
    mask = strip(100, 4, 20).astype(np.uint8)
    mask[:, mask.shape[1] // 2 :] *= 2
    mask[:3] = 255  # ignored
    (tmp_path / "masks").mkdir()
    cv2.imwrite(str(tmp_path / "masks/wall.png"), mask)
    assert measure(tmp_path / "masks") == 1
    assert "takes --classes" in capsys.readouterr().err
    assert measure(tmp_path / "masks", "--classes", "--truth", tmp_path / "masks", "--out", tmp_path / "out") == 0
    (crack,) = rows(tmp_path / "out/cracks.csv")
    assert float(crack["length_px"]) == pytest.approx(100, rel=0.02)
    assert json.loads((tmp_path / "out/comparison.json").read_text())["length_error_total"] == 0


def test_a_mask_too_wide_for_a_jpeg_gets_a_smaller_picture_and_its_rows(tmp_path):
    wide = np.zeros((12, 65_700), bool)
    wide[4:7, 100:200] = True
    save(tmp_path / "masks/wide.png", wide)
    save(tmp_path / "masks/wall.png", strip(60, 4, 20))
    assert measure(tmp_path / "masks", "--out", tmp_path / "out") == 0
    assert [row["id"] for row in rows(tmp_path / "out/cracks.csv")] == ["wall", "wide"]
    assert cv2.imread(str(tmp_path / "out/wide_measured.jpg")).shape[1] == 65_500


def test_a_full_disk_at_the_workbook_is_named_and_keeps_the_other_tables(masks, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / f".measurements.{os.getpid()}.xlsx").symlink_to("/dev/full")  # the name of the temporary file
    assert measure(masks, "--out", out, "--no_pictures") == 1
    message = capsys.readouterr().err
    assert "measurements.xlsx' cannot be read or written (No space left on device): free some space" in message
    assert {path.name for path in out.iterdir()} == {"photos.csv", "cracks.csv", "measurements.json"}


def test_masks_that_fail_are_listed_and_the_others_are_measured(masks, tmp_path, capsys):
    (masks / "cut.png").write_bytes((masks / "a.png").read_bytes()[:60])
    cv2.imwrite(str(masks / "photo.png"), np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8))
    save(tmp_path / "truth/a.png", strip(100, 4, 20))
    assert measure(masks, "--out", tmp_path / "out") == 1
    errors = capsys.readouterr().err
    assert "2 of 5 failed" in errors
    assert "cut.png" in errors
    assert "photo.png" in errors
    assert len(rows(tmp_path / "out/photos.csv")) == 3
    assert measure(masks / "a.png", masks / "none.png", "--truth", tmp_path / "truth") == 1
    assert "--truth has no image called 'none'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["/nowhere"], "/nowhere names no photo or mask"),
        (["MASKS", "--mm_per_px", "0"], "--mm_per_px is '0'"),
        (["MASKS", "--mm_per_px", "wide"], "'wide'"),
        (["MASKS", "--mm_per_px", "1", "--distance_mm", "2"], "not allowed with"),
        (["MASKS", "--distance_mm", "2000"], "--photos"),
        (["MASKS", "--bridge_px", "-2"], "--bridge_px -2"),
        (["MASKS", "--bridge_px", "far"], "--bridge_px far"),
        (["MASKS", "--min_length_px", "-1"], "--min_length_px -1"),
        (["MASKS", "--min_length_mm", "5"], "--min_length_mm needs the scale"),
        (["MASKS", "--mm_per_px", "1", "--min_length_mm", "-5"], "--min_length_mm -5: give 0 or more mm"),
        (["MASKS", "--min_length_mm", "5", "--min_length_px", "5"], "not allowed with"),
        (["MASKS", "--figures", "png"], "--figures needs the scale"),
        (["MASKS", "--figures", "gif"], "--figures is 'gif'"),
        (["MASKS", "--scale_csv", "none.csv"], "none.csv cannot be read"),
        (["MASKS", "--truth", "/nowhere"], "--truth /nowhere names no photo or mask"),
        (["MASKS", "--out", "MASKS"], "choose another"),
        (["MASKS", "--out", "MASKS/a.png"], "is a file"),
        (["MASKS", "--wide"], "--wide"),
    ],
)
def test_invalid_arguments_are_one_message_and_write_nothing(masks, tmp_path, capsys, arguments, expected):
    out = ["--out", str(tmp_path / "out")] if "--out" not in arguments else []
    before = sorted(masks.rglob("*"))
    assert measure(*(argument.replace("MASKS", str(masks)) for argument in arguments), *out) == 2
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert sorted(masks.rglob("*")) == before


def test_a_link_out_of_the_folder_is_refused(masks, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    os.symlink(tmp_path / "elsewhere", tmp_path / "out/east")
    assert measure(masks, "--out", tmp_path / "out") == 1
    assert "by a link" in capsys.readouterr().err
    assert not list((tmp_path / "elsewhere").iterdir())
    assert {row["id"] for row in rows(tmp_path / "out/photos.csv")} == {"a", "none"}


def test_real_masks_dilated_by_a_pixel_are_wider_by_two_and_equally_long(deepcrack, tmp_path):
    for path in sorted((deepcrack / "test_lab").iterdir())[:60:12]:
        truth = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
        cv2.imwrite(str(tmp_path / path.name), cv2.dilate(truth, cross))
    out = tmp_path / "out"
    assert measure(tmp_path, "--truth", deepcrack / "test_lab", "--out", out, "--no_pictures") == 0
    result = json.loads((out / "comparison.json").read_text())
    assert 1.5 < result["width_p50_error_px_mean"] < 2.5
    assert abs(result["length_error_total"]) < 0.08


def test_dashes_and_underscores_name_the_same_option(tmp_path):
    cv2.imwrite(str(tmp_path / "wall.png"), np.pad(np.full((3, 50), 255, np.uint8), 5))
    tables = []
    for spelling in ("--mm-per-px", "--mm_per_px"):
        out = tmp_path / spelling
        no_pictures = spelling.replace("mm", "no").replace("-per-px", "-pictures").replace("_per_px", "_pictures")
        assert main(["measure", str(tmp_path / "wall.png"), spelling, "0.5", no_pictures, "--out", str(out)]) == 0
        tables.append((out / "cracks.csv").read_bytes())
    assert tables[0] == tables[1]


def test_ids_stay_text_in_the_workbook_and_every_column_is_explained(tmp_path):
    names = ["007", "1e5", "2024-05", "=1+1", "TRUE"]
    for name in names:
        save(tmp_path / f"masks/{name}.png", strip(60, 4, 20))
    out = tmp_path / "out"
    assert measure(tmp_path / "masks", "--mm_per_px", "0.5", "--out", out, "--no_pictures") == 0
    book = openpyxl.load_workbook(out / "measurements.xlsx")
    for sheet in ("photos", "cracks"):
        ids = [cell for (cell,) in book[sheet].iter_rows(min_row=2, max_col=1)]
        assert {cell.value for cell in ids} == set(names)
        assert {(cell.data_type, cell.number_format) for cell in ids} == {("s", "@")}
    for sheet in ("photos", "cracks"):
        listed = rows(out / f"{sheet}.csv")
        found = list(book[sheet].iter_rows(min_row=2, values_only=True))
        explained = [row for row in book["columns"].iter_rows(values_only=True) if row[0] == sheet]
        assert [row[1] for row in explained] == [cell.value for cell in book[sheet][1]]
        assert [row[4] for row in explained] == list(listed[0])
        assert all(len(row[3]) > 20 for row in explained)
        assert {row[4]: row[1] for row in explained}["length_mm"] == "length (mm)"
        for row, csv_row in zip(found, listed, strict=True):
            numbers = [(value, csv_row[column[4]]) for value, column in zip(row, explained, strict=True)][1:]
            assert all(float(text) == value if text else value is None for value, text in numbers)
    assert measure(tmp_path / "masks", "--out", tmp_path / "px", "--no_pictures") == 0
    headers = [cell.value for cell in openpyxl.load_workbook(tmp_path / "px/measurements.xlsx")["photos"][1]]
    assert "length (px)" in headers
    assert not any("mm" in header for header in headers), "without a scale, nothing is in mm"


def test_min_length_mm_says_and_records_what_it_leaves_out(tmp_path, capsys):
    wall = np.zeros((200, 400), bool)
    wall[100:103, 20:380] = True
    wall[20:180:20, 30:36] = True  # specks of 6 px
    save(tmp_path / "masks/wall.png", wall)
    assert measure(tmp_path / "masks", "--mm_per_px", "0.5", "--out", tmp_path / "all", "--no_pictures") == 0
    lengths = [float(row["length_mm"]) for row in rows(tmp_path / "all/cracks.csv")]
    short = [length for length in lengths if length < 5]
    assert len(short) == 7
    assert "--min_length_mm" not in capsys.readouterr().out, "the specks are more than a twentieth of the length"
    options = (
        "--mm_per_px",
        "0.5",
        "--min-length-mm",
        "5",
        "--out",
        tmp_path / "long",
        "--figures",
        "png",
        "--no_pictures",
    )
    assert measure(tmp_path / "masks", *options) == 0
    printed = capsys.readouterr().out
    assert f"7 cracks shorter than the minimum length are left out, {sum(short):.0f} mm in total" in printed
    (row,) = rows(tmp_path / "long/photos.csv")
    assert (row["cracks"], row["ignored"]) == ("1", "7")
    assert float(row["ignored_length_mm"]) == pytest.approx(sum(short), abs=1e-3)
    assert float(row["length_mm"]) + float(row["ignored_length_mm"]) == pytest.approx(sum(lengths), abs=1e-3)
    assert json.loads((tmp_path / "long/measurements.json").read_text())["wall"]["min_length_px"] == 10
    assert (tmp_path / "long/wall_figure.png").is_file()
    wall[40:, 30:36] = wall[40:, 60:66]  # one speck is left
    save(tmp_path / "masks/wall.png", wall)
    assert measure(tmp_path / "masks", "--mm_per_px", "0.5") == 0
    proposal = "1 of 2 cracks are shorter than 100 mm, 3 mm in total (1.7 % of the length): --min_length_mm 100 leaves them out"
    assert proposal in capsys.readouterr().out
