"""Texts in tables: spreadsheets do not run them, Markdown shows them as they are, and they are read back unchanged."""

import csv
import re

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from cracklab.callbacks.tables import write_csv as write_rows
from cracklab.tables import as_cell, escaped, escaped_line, from_cell, read_csv, write_csv

HOSTILE = ['=HYPERLINK("http://x")', "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "'=1", "''+1", "-a", "--", "=\n1"]
PLAIN = [
    "-0.5",
    "+3",
    "-1e-05",
    "-.5",
    "-inf",
    "nan",
    "-",
    "+",
    "wall",
    "'tis",
    "a=b",
    "",
    "0",
    "'",
    "'-",
    "x\ny",
    '"q"',
]
SIGNS = st.text("'=+-@\t\r\n01.eE a|_", max_size=6)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_that_a_spreadsheet_would_run_gets_an_apostrophe(text):
    assert as_cell(text) == f"'{text}"


@pytest.mark.parametrize("value", [*PLAIN, -0.5, 3, None, True])
def test_numbers_and_other_texts_stay_as_they_are(value):
    assert as_cell(value) is value


@given(SIGNS | st.text())
def test_every_text_is_read_back(text):
    assert from_cell(as_cell(text)) == text
    assert (
        as_cell(text)[:1] not in "=+-@\t\r"
        or len(text) < 2
        or re.fullmatch(r"[+-](inf|nan|[\d.]+(e[+-]?\d+)?)", text, re.I)
    )


def test_tables_are_read_back_with_their_names(tmp_path):
    rows = [{"id": text, "=a": text} for text in [*HOSTILE, *PLAIN]]
    write_csv(tmp_path / "a.csv", ["id", "=a"], rows)
    assert read_csv(tmp_path / "a.csv") == rows
    rows = [row for row in rows if "\r" not in row["id"]]  # pandas does not quote it
    write_rows(tmp_path / "b.csv", rows)
    assert read_csv(tmp_path / "b.csv") == rows
    with (tmp_path / "a.csv").open(newline="") as file:
        assert all(cell[:1] not in ("=", "@", "\t", "\r") for row in csv.reader(file) for cell in row)


def test_tables_without_such_texts_keep_their_bytes(tmp_path):
    rows = [{"id": "a,b", "x": -0.5, "n": 3, "none": None}, {"id": "-", "x": float("nan"), "n": 4, "none": "t"}]
    write_rows(tmp_path / "a.csv", rows)
    assert (tmp_path / "a.csv").read_text() == pd.DataFrame(rows).to_csv(index=False)


def shown(markdown):
    """Return the text that an independent parser of Markdown shows, and the kinds of its parts."""
    tokens = [
        part
        for token in MarkdownIt("gfm-like", {"linkify": False}).parse(markdown)
        for part in token.children or [token]
    ]
    return "".join(part.content for part in tokens), {part.type for part in tokens}


@given(st.text("<>&;|`*_\\[]()!:~$#-+=.1a \t\n", max_size=20))
@example("#\tx")
@example("1.\tx")
@example("  # x")
@example("    x")
@example("\t- x")
def test_markdown_shows_a_text_as_it_is(text):
    content, kinds = shown(escaped_line(text))
    assert (content.split(), kinds) == (
        text.split(),
        kinds - {"heading_open", "bullet_list_open", "ordered_list_open", "hr", "code_block"},
    )
    text = " ".join(text.split())
    content, kinds = shown(f"x {escaped(text)} x")
    assert content == f"x {text} x".replace("  ", " ") if text else True
    assert kinds <= {"paragraph_open", "paragraph_close", "text", "text_special", "inline"}
    content, kinds = shown(escaped_line(text))
    assert (content, kinds) == (text, kinds - {"heading_open", "bullet_list_open", "ordered_list_open", "hr"})
    content, kinds = shown(f"| a |\n|---|\n| {escaped(text)} |\n")
    assert content == f"a{text}"
    assert "html_inline" not in kinds


def test_names_and_numbers_are_not_escaped():
    for text in ("test/hd95_px", "0.91 ± 0.02 [0.88, 0.94]", "-0.5", "-", "A & B", "50 %", "cracklab fit --out x"):
        assert escaped(text) == text
