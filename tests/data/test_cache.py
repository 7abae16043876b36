import gc
import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from cracklab.data import cache
from cracklab.errors import DataError


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """The folders of stores in memory and on disk, inside of the test's own folder."""
    memory, disk = tmp_path / "memory", tmp_path / "disk"
    memory.mkdir()
    monkeypatch.setattr(cache, "memory_folder", lambda: memory)
    monkeypatch.setattr(cache, "disk_folder", lambda: disk)
    return memory, disk


def arrays(index):
    rng = np.random.default_rng(index)
    image = rng.integers(0, 256, (5 + index, 7, 3), dtype=np.uint8)
    return image, image[..., 0].T, np.asarray(rng.random()), rng.random((2, 3, 4)).astype(np.float32)


def stores(folder):
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.exists() else []


@pytest.mark.parametrize("place", ["memory", "disk"])
def test_a_store_returns_equal_read_only_arrays(place):
    store = cache.open_store("k", 20, arrays, place, 1)
    assert len(store) == 20
    for index in (19, 0, 7):
        for found, expected in zip(store[index], arrays(index), strict=True):
            np.testing.assert_array_equal(found, expected)
            assert found.dtype == expected.dtype
            with pytest.raises(ValueError, match="read-only"):
                found[...] = 0


def test_a_store_is_made_once_per_key():
    made = []
    first = cache.open_store("k", 3, lambda i: made.append(i) or arrays(i), "memory", 1)
    again = cache.open_store("k", 3, lambda i: made.append(i) or arrays(i), "memory", 1)
    other = cache.open_store("other", 3, lambda i: made.append(i) or arrays(i), "memory", 1)
    assert sorted(made) == [0, 0, 1, 1, 2, 2]
    np.testing.assert_array_equal(first[1][0], again[1][0])
    assert len(other) == 3


def test_the_last_user_removes_a_store_in_memory_but_not_on_disk(places):
    memory, disk = places
    first, again = (cache.open_store("k", 3, arrays, "memory", 1) for _ in range(2))
    kept = cache.open_store("k", 3, arrays, "disk", 1)
    del first
    gc.collect()
    assert stores(memory)
    np.testing.assert_array_equal(again[2][0], arrays(2)[0])
    del again, kept
    gc.collect()
    assert not stores(memory)
    assert stores(disk)


def test_a_pickled_store_holds_only_the_name_of_its_folder(places):
    store = cache.open_store("k", 3, arrays, "memory", 1)
    store[0]
    data = pickle.dumps(store)
    assert len(data) < 1000  # bytes: without the arrays
    moved = pickle.loads(data)
    del store
    gc.collect()
    np.testing.assert_array_equal(moved[1][0], arrays(1)[0])
    del moved
    gc.collect()
    assert not stores(places[0])


def test_a_store_above_the_memory_limit_goes_to_disk_with_a_warning(places):
    memory, disk = places
    # 50 arrays of 1000 bytes do not fit into 20000 bytes
    with pytest.warns(UserWarning, match=r"more than data\.cache_gb 2e-05"):
        store = cache.open_store("k", 50, lambda i: [np.full(1000, i % 256, np.uint8)], "memory", limit_gb=20e-6)
    assert not stores(memory)
    assert stores(disk)
    assert store[49][0][0] == 49


def test_a_failure_leaves_no_files_and_lists_all_errors(places):
    def make(index):
        if index % 4 == 0:
            raise DataError(f"file {index} is broken")
        return arrays(index)

    with pytest.raises(DataError, match="file 0 is broken\nfile 4 is broken\nfile 8 is broken"):
        cache.open_store("k", 10, make, "memory", 1)
    assert not stores(places[0])

    def interrupted(index):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.open_store("k", 10, interrupted, "memory", 1)
    assert not stores(places[0])


@pytest.mark.skipif(sys.platform == "win32", reason="killed with a signal of POSIX")
def test_files_of_a_killed_process_are_removed_but_not_a_store_in_use(places):
    script = """
        import os, signal, sys
        from pathlib import Path
        import numpy as np
        from cracklab.data import cache
        cache.memory_folder = lambda: Path(sys.argv[1])
        store = cache.open_store("old", 3, lambda i: [np.zeros(9)], "memory", 1)
        cache._make(Path(sys.argv[1]) / (store.folder.name + "2"), 1, lambda i: os.kill(os.getpid(), signal.SIGKILL), 10**9, "")
    """
    in_use = cache.open_store("used", 3, arrays, "memory", 1)
    subprocess.run([sys.executable, "-c", textwrap.dedent(script), str(places[0])], check=False)
    left = stores(places[0])
    assert any("old" in name for name in left)
    assert any(".part-" in name for name in left)
    store = cache.open_store("new", 3, arrays, "memory", 1)
    assert [name.rpartition("-")[2] for name in stores(places[0])] == ["new", "used"]
    assert len(store) == len(in_use)


def test_two_processes_at_once_make_a_store_once(places):
    script = """
        import sys
        from pathlib import Path
        import numpy as np
        from cracklab.data import cache
        cache.memory_folder = lambda: Path(sys.argv[1])
        def make(i):
            with open(sys.argv[2], "a") as file:
                file.write(f"{i}\\n")
            return [np.full(3, i)]
        store = cache.open_store("k", 5, make, "memory", 1)
        assert store[4][0][0] == 4
        print("ready", flush=True)
        sys.stdin.read()
    """
    log = places[0].parent / "log"
    command = [sys.executable, "-c", textwrap.dedent(script), str(places[0]), str(log)]
    running = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.stdout.readline() for process in running] == ["ready\n"] * 2
    for process in running:
        process.communicate()
        assert process.returncode == 0
    assert sorted(log.read_text().split()) == list("01234")
    assert not stores(places[0])
