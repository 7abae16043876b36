"""The page of an audit in a headless Chromium: order, filter, ticks, the downloaded list, no messages, no requests."""

import json
import time

import cv2
import numpy as np
import pytest

from cracklab.audit.labelled import Labelled
from cracklab.audit.page import write_page
from cracklab.audit.suspect import Suspect
from cracklab.data.exclude import without_excluded
from cracklab.data.layouts import LAYOUTS
from cracklab.data.samples import Record, with_ids
from cracklab.synthetic.draw import draw

pytestmark = pytest.mark.browser
NAMES = ("wall 1", "wall 2", "wall #3 <b>")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    root = tmp_path_factory.mktemp("audit page")
    for folder in ("images", "masks", "probabilities"):
        (root / folder).mkdir()
    for seed, name in enumerate(NAMES):
        image, mask = draw(seed, (300, 400))
        for folder, plane in (("images", image), ("masks", mask * 255), ("probabilities", np.uint8(mask * 200))):
            cv2.imwrite(str(root / folder / f"{name}.png"), plane)
    records = with_ids(LAYOUTS["folders"]().index(root)[0])
    files = {record.id: [root / "probabilities" / f"{record.id}.png"] for record in records}
    suspects = [
        Suspect(NAMES[2], "missed", 0.99, 10, 20, 60, 30),
        Suspect(NAMES[0], "shifted", 0.7, 0, 0, 400, 300, "fits best +3 px right, +0 px down"),
        Suspect(NAMES[2], "unfounded", 0.4, 350, 250, 50, 50),
        Suspect(NAMES[1], "missed", 0.2, 100, 100, 20, 20),
    ]
    write_page(root / "audit.html", Labelled(LAYOUTS["folders"](), records, files, {}), suspects, 4)
    return root / "audit.html"


def ids(browser):
    script = "return [...document.querySelectorAll('#suspects tbody tr')].filter(r => !r.hidden).map(r => r.dataset.id)"
    return browser.execute_script(script)


def test_suspects_are_sorted_filtered_ticked_and_listed(browser, page, tmp_path):
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    browser.get(page.as_uri())
    assert ids(browser) == [NAMES[2], NAMES[0], NAMES[2], NAMES[1]]
    browser.find_element("css selector", "button[data-key=id]").send_keys("\n")  # a button also works by keyboard
    assert ids(browser) == [NAMES[2], NAMES[2], NAMES[0], NAMES[1]]  # as a dictionary has them
    browser.find_element("css selector", "button[data-key=score]").send_keys("\n")
    assert ids(browser) == [NAMES[2], NAMES[0], NAMES[2], NAMES[1]]
    browser.execute_script(
        "const s = document.getElementById('kind'); s.value = 'missed'; s.dispatchEvent(new Event('change'))"
    )
    assert ids(browser) == [NAMES[2], NAMES[1]]
    button = browser.find_element("id", "download")
    assert not button.is_enabled()
    browser.find_element("css selector", "tbody input").click()
    browser.execute_script(
        "const s = document.getElementById('kind'); s.value = ''; s.dispatchEvent(new Event('change'))"
    )
    ticked = "return [...document.querySelectorAll('tbody input')].map(box => box.checked)"
    assert browser.execute_script(ticked) == [True, False, True, False], "all rows of an image are ticked together"
    assert browser.find_element("id", "count").text == "1 mask is ticked"
    button.click()
    for _ in range(100):
        if (tmp_path / "exclude.txt").is_file():
            break
        time.sleep(0.1)
    records = [Record("", "", name) for name in NAMES]
    assert [record.id for record in without_excluded(records, tmp_path / "exclude.txt")] == list(NAMES[:2])


def test_the_page_says_and_requests_nothing_and_shows_pictures(browser, page):
    browser.get_log("performance")
    browser.get(page.as_uri())
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    widths = "return [...document.images].map(image => image.naturalWidth)"
    assert all(width > 0 for width in browser.execute_script(widths))
    assert len(browser.execute_script(widths)) == 12
