"""The README: its example runs, and every path that it names exists; so do those of the list of files in CONTRIBUTING.md."""

import re
from pathlib import Path

import pytest

from cracklab.data.layouts import LAYOUTS

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()


def test_the_python_example_trains_and_tests(tmp_path, monkeypatch):
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL)[1]
    assert len([line for line in code.splitlines() if line.strip()]) <= 15
    for old, new in {
        'CrackDataModule("synthetic", seed=42)': "CrackDataModule(TINY, seed=42)",
        "max_epochs=10": "max_epochs=1, accelerator='cpu', logger=False, enable_progress_bar=False",
    }.items():
        assert old in code
        code = code.replace(old, new)
    monkeypatch.chdir(tmp_path)
    tiny = LAYOUTS["synthetic"](train=8, val=2, test=3, size=(32, 32))
    exec(compile(code, "README.md", "exec"), {"TINY": tiny})
    written = {path.name for path in (tmp_path / "runs" / "python").rglob("*") if path.is_file()}
    assert {"best.ckpt", "last.ckpt", "metrics.csv", "test_metrics.json", "per_image.csv"} <= written


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"\]\(([^)#]+)\)", README)) | set(re.findall(r"configs/[\w/]+\.yaml", README)))
)
def test_every_path_that_the_readme_names_exists(path):
    assert (ROOT / path).exists()


def test_every_path_of_the_file_list_exists():
    section = CONTRIBUTING.split("## How the code is laid out")[1].split("## ")[0]
    tree = re.findall(r"^    (\S+)  ", section, re.MULTILINE)
    assert len(tree) > 20
    for path in tree:
        assert (ROOT / path).exists(), path
