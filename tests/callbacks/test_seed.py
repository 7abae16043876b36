"""Seeds of steps: derived, distinct, and enough to draw the same dropout again."""

import numpy as np
import torch

from cracklab.callbacks.seed import step_seed


def test_steps_processes_and_runs_have_different_seeds():
    seeds = {step_seed(s, e, b, r) for s in range(4) for e in range(4) for b in range(16) for r in range(4)}
    assert len(seeds) == 4 * 4 * 16 * 4


def test_a_seed_is_numpys_and_fits_into_63_bits():
    expected = int(np.random.SeedSequence([42, 3, 7, 1]).generate_state(1, np.uint64)[0]) >> 1
    assert step_seed(42, 3, 7, 1) == expected
    torch.manual_seed(step_seed(2**31, 10**6, 10**6, 1023))
