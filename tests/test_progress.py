"""The time left of long work, on a simulated clock."""

import numpy as np
import pytest

from cracklab import progress as module
from cracklab.progress import Progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that tests set."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def seconds(text):
    hours, minutes, rest = (int(part) for part in text.split(":"))
    return 3600 * hours + 60 * minutes + rest


def simulate(clock, work, times, pieces, skipped=(), **options):
    """Let time pass, and return the estimates of every second and of every event, with the time that is really left.

    Args:
        clock: the simulated one.
        work: of each item, as it was estimated.
        times: of each item, s, in equal pieces.
        pieces: number of pieces of each item; 0 for work that is counted at its end alone.
        skipped: items that fail at once.
    """
    events = []  # time, what happens
    at, after = 0.0, []
    for i, (unit, took, parts) in enumerate(zip(work, times, pieces, strict=True)):
        events += [(at + took * (k + 1) / parts, ("advance", unit / parts)) for k in range(parts)]
        at += took
        events.append((at, ("finish", i in skipped)))
    events += [(float(second), ("look", None)) for second in range(1, int(at))]
    with Progress(work, "photos", **options) as progress:
        for now, (what, value) in sorted(events, key=lambda event: event[0]):
            clock[0] = now
            if what == "advance":
                progress.advance(value)
            elif what == "finish":
                progress.finish_item(skipped=value)
            after.append((now, progress.time_left(), at - now))
    return after


def assert_right(estimates, begin=10):
    late = [(now, left, true) for now, left, true in estimates if now >= begin]
    assert len(late) > 20
    for now, left, true in late:
        assert left != "?"
        assert (true - 1.5) / 2 <= seconds(left) <= 2 * (true + 1.5), f"{left} at {now:.1f} s, really {true:.1f} s"


@pytest.mark.parametrize("seed", range(5))
def test_a_slow_start_and_photos_of_different_sizes_keep_the_time_left_within_a_factor_of_two(clock, seed):
    rng = np.random.default_rng(seed)
    tiles = rng.integers(1, 40, 60)
    times = 0.3 * tiles * rng.uniform(0.7, 1.4, 60)
    # libraries load with the first tile
    tiles[0], times[0] = 1, 8.3
    assert_right(simulate(clock, (tiles * 512.0**2).tolist(), times.tolist(), tiles.tolist()))


@pytest.mark.parametrize("seed", range(5))
def test_items_without_pieces_and_with_failures_keep_the_time_left_within_a_factor_of_two(clock, seed):
    rng = np.random.default_rng(seed)
    work = np.exp(rng.normal(0, 1.2, 150))
    times = 0.8 * work * rng.uniform(0.7, 1.4, 150)
    work[0], times[0] = 1, 4
    skipped = set(rng.permutation(np.arange(1, 150))[:10].tolist())
    times[list(skipped)] = 0.001
    assert_right(simulate(clock, work.tolist(), times.tolist(), [0] * 150, skipped))


def test_the_time_left_counts_down_between_pieces_and_not_below_the_later_items(clock):
    with Progress([10, 10, 10], "photos") as progress:
        assert progress.time_left() == "?"
        for at in (20, 26):  # the first one took longer
            clock[0] = at
            progress.finish_item()
        assert progress.time_left() == "0:00:06"
        clock[0] = 30
        assert progress.time_left() == "0:00:02"
        clock[0] = 50
        assert progress.time_left() == "0:00:00"


def test_runs_that_end_together_are_not_taken_for_fast_ones(clock):
    with Progress([1] * 8, "runs", done=2, at_once=True) as progress:
        for at in (100, 101):
            clock[0] = at
            progress.finish_item()
        assert progress.time_left() == "0:03:22"  # 4 runs at 50.5 s each
