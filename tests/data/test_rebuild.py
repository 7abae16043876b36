"""Layouts from the configurations of strangers: registered layouts with plain arguments, and no imports."""

import sys

import pytest

from cracklab.data.layouts import LAYOUTS
from cracklab.data.layouts.rebuild import rebuild_layout
from cracklab.errors import ConfigError

EVIL = "evil_module.Layout"
AS_TEXT = f'{{"class_path": "{EVIL}"}}'


def sources(*given):
    return {"class_path": "sources", "init_args": {"sources": list(given)}}


def tiles(**arguments):
    return {"class_path": "tiles", "init_args": arguments}


@pytest.mark.parametrize(
    "given",
    [
        EVIL,
        AS_TEXT,
        {"class_path": EVIL},
        {"class_path": ["tiles", EVIL]},
        {"class_path": "folders", "init_args": {"images": "a"}, "dict_kwargs": {"layout": EVIL}},
        {"layout": {"class_path": EVIL}},
        {"class_path": "tiles", "init_args.layout": EVIL},
        {"class_path": "tiles", "init_args": f'{{"layout": "{EVIL}"}}'},
        {"class_path": "tiles", "init_args": [{"layout": EVIL}]},
        tiles(layout=EVIL),
        tiles(layout=AS_TEXT),
        tiles(layout=[EVIL]),
        tiles(layout=tiles(layout=EVIL)),
        tiles(layout="folders", side={"class_path": EVIL}),
        tiles(**{"layout.class_path": EVIL}),
        tiles(**{"layout.init_args.layout": EVIL}, layout="tiles"),
        sources({"name": "a", "layout": EVIL}),
        sources({"name": "a", "layout": AS_TEXT}),
        sources({"name": "a", "layout.class_path": EVIL}),
        sources({"name": "a", "layout": "folders"}, {"name": "b", "layout": {"class_path": EVIL}}),
        sources({"name": "a", "layout": "folders"}, {"class_path": EVIL}),
        sources({"name": "a", "layout": "folders"}, f'{{"name": "b", "layout": "{EVIL}"}}'),
        sources({"name": "a", "layout": "folders", "layout.class_path": EVIL}),
        sources({"class_path": "cracklab.data.layouts.sources.Source", "init_args": {"name": "a", "layout": EVIL}}),
        {"class_path": "sources", "init_args": {"sources": f'[{{"name": "a", "layout": {AS_TEXT}}}]'}},
        {"class_path": "sources", "init_args": {"sources+": [{"name": "a", "layout": EVIL}]}},
        {"class_path": "sources", "init_args": {"sources": {"0": {"name": "a", "layout": EVIL}}}},
    ],
)
def test_a_class_that_is_no_layout_is_never_imported(tmp_path, monkeypatch, given):
    (tmp_path / "evil_module.py").write_text(
        "from cracklab.data.layouts import Layout as Base\nclass Layout(Base): pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "evil_module", raising=False)
    with pytest.raises(ConfigError):
        rebuild_layout(given)
    assert "evil_module" not in sys.modules


def test_layouts_within_layouts_are_rebuilt_with_the_types_of_their_signatures():
    drawn = {"class_path": LAYOUTS["synthetic"].__module__ + ".synthetic", "init_args": {"size": [64, 96]}}
    several = rebuild_layout(
        sources({"name": "a", "layout": tiles(layout=drawn, side=32), "repeat": 2}, {"name": "b", "layout": "folders"})
    )
    a, b = several.sources["a"], several.sources["b"]
    assert (a.repeat, a.layout.side, a.layout.layout.size) == (2, 32, (64, 96))
    assert (type(b.layout), b.root) == (LAYOUTS["folders"], ".")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (tiles(layout="folders", side="wide"), "side is 'wide'"),
        (tiles(layout="folders", photos=0), "photos is '0'"),
        (tiles(layout="folders", sides=3), "sides"),
        (sources({"name": "a", "layout": "folders", "repeats": 2}), r"sources\.0\.repeats"),
        ({"class_path": "folders", "init_args": {"num_classes": 10**9}}, "at most 255"),
        (None, "not a class path"),
    ],
)
def test_arguments_that_do_not_fit_are_named(given, said):
    with pytest.raises(ConfigError, match=said):
        rebuild_layout(given)
