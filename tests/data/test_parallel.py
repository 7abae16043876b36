"""Work in parallel threads."""

import threading
import time

import pytest

from cracklab.data.parallel import AHEAD, parallel_map


@pytest.mark.parametrize("threads", [1, 3])
def test_few_results_are_held_ahead_of_a_slow_reader(threads):
    started, lock = [], threading.Lock()

    def work(index):
        with lock:
            started.append(index)
        return index

    for taken, result in enumerate(parallel_map(work, 40, "Working", threads)):
        time.sleep(0.002)
        assert result == taken
        assert len(started) <= taken + AHEAD * threads
