"""`cracklab audit` by checkpoint: unseen images alone, whole files, a page that shows names as text, and wrong calls."""

import csv
import re
import shutil
import struct
import zlib

import cv2
import numpy as np
import pytest
from support import QUICKSTART, TINY

from cracklab import run_folder
from cracklab.audit import gather, rank
from cracklab.audit.labelled import Labelled, threads_for
from cracklab.audit.results import as_text, exclude_list
from cracklab.audit.suspect import Suspect
from cracklab.cli import main
from cracklab.data.exclude import without_excluded
from cracklab.data.layouts import LAYOUTS
from cracklab.data.parallel import THREADS
from cracklab.data.samples import Record, with_ids
from cracklab.errors import DataError
from cracklab.synthetic.draw import draw

NAMES = ("a", "b", "c", "<img src=x onerror=alert(1)>", "=HYPERLINK(1)")

CALL = ["audit", "--config", str(QUICKSTART), "--ckpt_path", "cracklab:cracks", "--data.layout", "folders"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Five photos with their masks; the mask of `b` is inverted."""
    root = tmp_path_factory.mktemp("photos")
    for folder in ("images", "masks"):
        (root / folder).mkdir()
    for seed, name in enumerate(NAMES):
        image, mask = draw(seed, (64, 96))
        crack = mask > 0
        cv2.imwrite(str(root / "images" / f"{name}.png"), image)
        cv2.imwrite(str(root / "masks" / f"{name}.png"), np.uint8(255 * (~crack if name == "b" else crack)))
    return root


@pytest.fixture(scope="module")
def audited(photos, tmp_path_factory):
    out = tmp_path_factory.mktemp("audit") / "out"
    assert main([*CALL, "--data.root", str(photos), "--out", str(out)]) == 0
    return out


def test_an_inverted_mask_comes_first_and_is_on_the_list(audited):
    with (audited / "audit.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["id", "kind", "score", "x", "y", "width", "height", "note"]
    assert (rows[0]["id"], rows[0]["kind"]) == ("b", "inverted")
    assert float(rows[0]["score"]) > 0.9
    assert [float(row["score"]) for row in rows] == sorted((float(row["score"]) for row in rows), reverse=True)
    records = [Record("", "", name) for name in NAMES]
    assert "b" not in {record.id for record in without_excluded(records, audited / "exclude.txt")}


def test_probabilities_are_those_of_predict(audited, photos):
    import cracklab

    predicted = cracklab.load("cracks", device="cpu").predict(photos / "images" / "a.png").probability
    stored = cv2.imread(str(audited / "probabilities" / "a.png"), cv2.IMREAD_UNCHANGED)
    assert np.abs(stored / 255 - predicted).max() <= 0.5 / 255 + 1e-6


def test_names_are_text_on_the_page_and_in_the_table(photos, audited):
    records = with_ids(LAYOUTS["folders"]().index(photos)[0])
    files = {record.id: [run_folder.probability_file(audited, record.id)] for record in records}
    labelled = Labelled(LAYOUTS["folders"](), records, files, {})
    suspects = [Suspect(name, "missed", 0.9, 3, 4, 20, 10, "<b>") for name in NAMES[3:]]
    from cracklab.audit.page import write_page

    write_page(audited.parent / "page.html", labelled, suspects, 2)
    page = (audited.parent / "page.html").read_text(encoding="utf-8")
    assert "<img src=x" not in page
    assert "<b>" not in page
    assert page.count("data:image/jpeg;base64,") == 6
    assert not re.search(r"https?://", page)


def test_images_that_the_checkpoint_was_trained_on_are_left_out(tiny_run, tmp_path, capsys):
    """The tiny run was trained on its training images, and validated and tested on others."""
    data = [one for one in TINY if one.startswith("--data.layout")]
    call = ["audit", "--config", str(QUICKSTART), *data, "--ckpt_path", str(tiny_run / run_folder.BEST)]
    assert main([*call, "--out", str(tmp_path / "out")]) == 0
    assert "24 of 36 images are left out" in capsys.readouterr().out
    names = {file.stem for file in (tmp_path / "out" / "probabilities").glob("*.png")}
    assert len(names) == 12
    assert all(name.startswith(("val-", "test-")) for name in names)
    with pytest.raises(SystemExit):
        main([*call, "--data.layout.val=0", "--data.layout.test=0", "--out", str(tmp_path / "none")])
    assert "trained on all" in capsys.readouterr().err
    assert not list((tmp_path / "none").glob("audit.*"))


def test_the_second_start_predicts_nothing_and_other_checkpoints_are_refused(audited, photos, tiny_run, capsys):
    before = {path: path.stat().st_mtime_ns for path in (audited / "probabilities").iterdir()}
    table = (audited / "audit.csv").read_bytes()
    call = ["audit", "--config", str(QUICKSTART), "--data.layout", "folders", "--data.root", str(photos)]
    assert main([*call, "--ckpt_path", "cracklab:cracks", "--out", str(audited)]) == 0
    assert {path: path.stat().st_mtime_ns for path in (audited / "probabilities").iterdir()} == before
    assert (audited / "audit.csv").read_bytes() == table
    with pytest.raises(SystemExit):
        main([*call, "--ckpt_path", str(tiny_run / run_folder.BEST), "--out", str(audited)])
    assert "other checkpoints" in capsys.readouterr().err


def test_other_images_with_the_same_names_are_not_taken_for_those_of_before(audited, photos, tmp_path, capsys):
    other = tmp_path / "other"
    shutil.copytree(photos, other)  # keeps the times, which are older than the probabilities
    with pytest.raises(SystemExit):
        main([*CALL, "--data.root", str(other), "--out", str(audited)])
    assert "other/images" in (said := capsys.readouterr().err)
    assert "choose another --out" in said


def test_a_photo_that_an_older_one_replaced_is_predicted_again(photos, tmp_path):
    """`cp -p`, `rsync` and archives keep times, so a new photo may be older than the probabilities of the one before."""
    root, out = tmp_path / "photos", tmp_path / "out"
    shutil.copytree(photos, root)
    call = [*CALL, "--data.root", str(root), "--out", str(out)]
    assert main(call) == 0
    shutil.copy2(photos / "images" / "a.png", root / "images" / "c.png")
    assert main(call) == 0
    a, b, c = (cv2.imread(str(out / "probabilities" / f"{name}.png"), cv2.IMREAD_UNCHANGED) for name in "abc")
    np.testing.assert_array_equal(c, a)
    assert (b != a).any()


def test_the_list_in_use_is_not_overwritten(audited, photos, capsys):
    exclude = audited / "exclude.txt"
    before = exclude.read_bytes()
    with pytest.raises(SystemExit):
        main([*CALL, "--data.root", str(photos), "--out", str(audited), "--data.exclude", str(exclude)])
    assert "would be overwritten" in capsys.readouterr().err
    assert exclude.read_bytes() == before


def test_names_too_long_for_a_file_have_files_of_their_own(tmp_path):
    for name in ("ü" * 60 + "1", "ü" * 60 + "2"):
        path = run_folder.probability_file(tmp_path, name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    assert len(list(path.parent.iterdir())) == 2


def test_ids_that_fill_no_line_are_on_the_list_all_the_same(tmp_path):
    odd = [" a", "b\nc", "#[d] ", "\te\u2028", "f # g"]
    (tmp_path / "exclude.txt").write_text(exclude_list([Suspect(name, "missed", 0.9, 0, 0, 1, 1) for name in odd], 0.5))
    records = [Record("", "", name) for name in (*odd, "a", "xa", "bc", "#d", "f")]
    assert [r.id for r in without_excluded(records, tmp_path / "exclude.txt")] == ["a", "xa", "bc", "#d", "f"]


def test_ignored_pixels_and_a_crop_do_not_count(photos, audited):
    """A mask is compared within the crop alone, and boxes are those of the whole image."""
    records = with_ids(LAYOUTS["folders"]().index(photos)[0])[:1]
    labelled = Labelled(LAYOUTS["folders"](), records, {}, {}, crop=32)
    mask, valid, corner = labelled.mask(records[0])
    assert mask.shape == valid.shape == (32, 32)
    assert corner == (32, 16)
    found = gather("x", np.zeros((32, 32), bool), np.full((32, 32), 0.9, np.float32), 0.5, 4.0).moved(*corner)
    assert (found.missed[0].x, found.missed[0].y) == (32, 16)


def test_probabilities_of_another_size_are_named(photos, tmp_path):
    records = with_ids(LAYOUTS["folders"]().index(photos)[0])[:1]
    cv2.imwrite(str(tmp_path / "p.png"), np.zeros((5, 5), np.uint8))
    labelled = Labelled(LAYOUTS["folders"](), records, {records[0].id: [tmp_path / "p.png"]}, {})
    with pytest.raises(DataError, match=r"p\.png.*\(5, 5\)"):
        labelled.probability(records[0], (64, 96))
    for size in ((1000, 1001), (64, 96)):  # 1.001 * 1e6 is less than 1000 * 1001
        cv2.imwrite(str(tmp_path / "p.png"), np.full(size, 51, np.uint8))
        assert labelled.probability(records[0], size).mean() == pytest.approx(0.2)


def test_an_audit_of_large_images_has_fewer_threads(photos, tmp_path):
    assert [threads_for(24_000_000, memory) for memory in (1e9, 3.1e9)] == [1, min(2, THREADS)]
    assert threads_for(0, 1e12) == THREADS
    cv2.imwrite(str(tmp_path / "small.png"), np.zeros((5, 5), np.uint8))
    huge = cv2.imencode(".png", np.zeros((1, 1), np.uint8))[1].tobytes()
    head = b"IHDR" + struct.pack(">II", 60_000, 60_000) + huge[24:29]
    (tmp_path / "huge.png").write_bytes(huge[:12] + head + struct.pack(">I", zlib.crc32(head)) + huge[33:])
    files = {name: [tmp_path / f"{name}.png"] for name in ("small", "huge", "missing")}
    assert Labelled(LAYOUTS["folders"](), [], files, {}).num_threads() == 1


def test_only_likely_faults_are_excluded():
    suspects = [Suspect("a", "missed", 0.6, 0, 0, 1, 1), Suspect("b", "missed", 0.4, 0, 0, 1, 1)]
    assert [line.split()[0] for line in exclude_list(suspects, 0.5).splitlines()[1:]] == ["a"]


def test_a_net_that_contradicts_most_masks_is_doubted(tmp_path):
    """A net that predicts no crack anywhere says nothing about any mask."""
    masks = [np.eye(200, k=4 * step, dtype=bool) for step in range(4)]
    blind = [gather(str(i), mask, np.zeros(mask.shape, np.float32), 0.5, 4.0) for i, mask in enumerate(masks)]
    good = [gather(str(i), mask, np.float32(mask), 0.5, 4.0) for i, mask in enumerate(masks)]
    assert "the net does not fit this data" in as_text(rank(blind), 4, tmp_path)
    assert "the net does not fit" not in as_text(rank(good), 4, tmp_path)
