"""The page in a headless Chromium: sorting, pictures, layout, no console messages, no requests."""

import json
from pathlib import Path

import pytest
from report_cases import write_study

from cracklab.cli import main

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    levels = {"bce": 0.62, "dice": 0.66, "tversky_of_a_very_long_name_indeed": 0.67}
    folder = write_study(tmp_path_factory.mktemp("browser") / "study", levels, examples=2)
    assert main(["report", str(folder)]) == 0
    return folder / "report" / "report.html"


def show(browser, page: Path, width: int = 1280) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(page.as_uri())


def column(browser, table: str, place: int) -> list[str]:
    script = (
        "return [...document.querySelector(arguments[0]).tBodies[0].rows].map(row => row.cells[arguments[1]].innerText)"
    )
    return browser.execute_script(script, f"#table-{table}", place)


def press(browser, table: str, place: int) -> str:
    head = browser.find_elements("css selector", f"#table-{table} th")[place]
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", head)
    head.find_element("css selector", "button").send_keys("\n")  # a button also works by keyboard
    return head.get_attribute("aria-sort")


def test_numbers_sort_as_numbers_and_words_as_words(browser, page):
    show(browser, page)
    means = column(browser, "ranking", 1)
    assert means == sorted(means, reverse=True)
    assert press(browser, "ranking", 1) == "descending"
    assert press(browser, "ranking", 1) == "ascending"
    assert column(browser, "ranking", 1) == sorted(means)
    assert press(browser, "ranking", 0) == "ascending"
    assert column(browser, "ranking", 0) == ["bce", "dice", "tversky_of_a_very_long_name_indeed"]
    assert browser.execute_script("return document.querySelectorAll('#table-ranking [aria-sort]').length") == 1


def test_missing_values_sort_last_in_both_directions(browser, page):
    show(browser, page)
    fill = "const cell = document.querySelector('#table-ranking').tBodies[0].rows[0].cells[1]; cell.dataset.order = ''; cell.innerText = '-'"
    browser.execute_script(fill)
    for _ in range(2):
        press(browser, "ranking", 1)
        assert column(browser, "ranking", 1)[-1] == "-"


def test_every_picture_loads(browser, page):
    show(browser, page)
    widths = browser.execute_script("return [...document.images].map(image => image.complete && image.naturalWidth)")
    assert len(widths) == 4
    assert min(widths) > 300


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_does_not_scroll_sideways(browser, page, width):
    show(browser, page, width)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width


def test_the_page_logs_nothing_and_requests_nothing_else(browser, page):
    browser.get_log("performance"), browser.get_log("browser")
    show(browser, page)
    press(browser, "comparisons", 2)
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert page.as_uri() in asked
    assert [url for url in asked if not url.startswith(("data:", page.as_uri()))] == []


def test_the_content_security_policy_blocks_requests(browser, page):
    """A label cannot make the page load anything."""
    show(browser, page)
    script = "const image = new Image(); image.onerror = () => done('stopped'); image.onload = () => done('loaded'); image.src = arguments[0]"
    picture = (page.parent / "figures" / "paired.png").as_uri()
    assert browser.execute_async_script(f"const done = arguments[1]; {script}", picture) == "stopped"
