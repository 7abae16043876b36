import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from cracklab.data.sampler import EpochSampler


def of_epoch(sampler, epoch):
    sampler.set_epoch(epoch)
    return list(sampler)


@given(number=st.integers(1, 60), epoch=st.integers(0, 9), seed=st.integers(0, 2**32 - 1))
def test_an_epoch_has_every_sample_once_with_its_own_number(number, epoch, seed):
    order = of_epoch(EpochSampler(range(number), seed), epoch)
    assert sorted(index for _, index in order) == list(range(number))
    assert {e for e, _ in order} == {epoch}


def test_the_order_depends_on_seed_and_epoch_only():
    a, b = EpochSampler(range(40), seed=3), EpochSampler(range(40), seed=3)
    of_epoch(b, 5)
    assert of_epoch(a, 2) == of_epoch(b, 2)
    assert [i for _, i in of_epoch(a, 2)] != [i for _, i in of_epoch(a, 1)]
    assert of_epoch(a, 2) != of_epoch(EpochSampler(range(40), seed=4), 2)
    assert [i for _, i in of_epoch(EpochSampler(range(40), shuffle=False), 7)] == list(range(40))


@pytest.mark.parametrize("number", [12, 13])
@pytest.mark.parametrize("processes", [2, 3])
def test_each_step_sees_the_same_samples_for_any_number_of_processes(number, processes):
    whole = of_epoch(EpochSampler(range(number)), 4)
    parts = [of_epoch(EpochSampler(range(number), num_replicas=processes, rank=rank), 4) for rank in range(processes)]
    assert len({len(part) for part in parts}) == 1
    for step in range(len(parts[0]) // 2):
        size = 2 * processes
        seen = {sample for part in parts for sample in part[2 * step : 2 * step + 2]}
        wanted = whole[step * size : (step + 1) * size]
        if len(wanted) == size:
            assert seen == set(wanted)
    assert {sample for part in parts for sample in part} == set(whole)


def test_each_process_gets_a_sample_even_if_there_are_fewer_samples():
    assert [list(EpochSampler(range(2), num_replicas=5, rank=r, shuffle=False)) for r in range(5)] == [
        [(0, 0)],
        [(0, 1)],
        [(0, 0)],
        [(0, 1)],
        [(0, 0)],
    ]


def test_a_resumed_epoch_skips_what_was_seen_and_the_next_is_complete():
    sampler = EpochSampler(range(20), seed=1)
    whole = of_epoch(sampler, 3)
    resumed = EpochSampler(range(20), seed=1)
    resumed.set_epoch(3)
    resumed.start = 8
    resumed.set_epoch(3)
    assert list(resumed) == whole[8:]
    assert len(resumed) == 20
    assert of_epoch(resumed, 4) == of_epoch(sampler, 4)


def test_a_data_loader_accepts_the_sampler():
    loader = DataLoader(np.arange(5), sampler=EpochSampler(range(5)), collate_fn=list, batch_size=2)
    assert len(loader) == 3
