"""The registry of names, on a package written for the test."""

import sys
from importlib.metadata import EntryPoint, EntryPoints

import pytest

from cracklab import registry as module
from cracklab.errors import ConfigError
from cracklab.registry import Registry

PLUGIN = "from {package} import THINGS\n@THINGS.register({name!r})\nclass {cls}: pass\n"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Yield a function that adds a module with a class to the package `things`, which has a registry and one class."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "things").mkdir()

    def add(file, name, cls):
        (tmp_path / "things" / f"{file}.py").write_text(PLUGIN.format(package="things", name=name, cls=cls))

    (tmp_path / "things" / "__init__.py").write_text(
        "from cracklab.registry import Registry\nTHINGS = Registry('things', 'thing')\n"
    )
    add("first", "one_thing", "OneThing")
    yield add
    for name in [name for name in sys.modules if name.partition(".")[0] == "things"]:
        del sys.modules[name]


def things() -> Registry:
    from things import THINGS

    return THINGS


def test_every_module_of_the_package_registers_its_class(package):
    package("second", "another", "Another")
    found = things()
    assert list(found) == ["another", "one_thing"]
    assert len(found) == 2
    assert "one_thing" in found
    cls = found["one_thing"]
    assert cls.__qualname__ == "one_thing"
    assert sys.modules["things.first"].one_thing is cls


def test_an_unknown_name_is_an_error_with_the_nearest_name(package):
    with pytest.raises(ConfigError, match="no thing is called 'one_think'; did you mean 'one_thing'"):
        things()["one_think"]
    with pytest.raises(ConfigError, match="no thing is called 'zebra'; known are one_thing"):
        things()["zebra"]


def test_a_name_registered_twice_is_an_error(package):
    package("second", "one_thing", "Other")
    for _ in range(2):  # the second look-up must not see a half-filled registry
        with pytest.raises(ConfigError, match=r"'one_thing' is registered twice, by things.first.OneThing and things."):
            list(things())


def test_an_entry_point_that_cannot_be_imported_is_an_error(package, monkeypatch):
    broken = EntryPoint(name="broken", value="nowhere:Nothing", group="things")
    monkeypatch.setattr(module, "entry_points", lambda group: EntryPoints([broken]).select(group=group))
    with pytest.raises(ConfigError, match="declares the thing 'broken' at nowhere:Nothing, which cannot be imported"):
        list(things())


def test_own_classes_are_those_of_the_package_by_class_name(package):
    class Foreign:
        pass

    package("second", "another", "Another")
    things().register("foreign")(Foreign)
    assert set(things()) == {"another", "foreign", "one_thing"}
    assert things().own_classes() == {"Another": things()["another"], "OneThing": things()["one_thing"]}
