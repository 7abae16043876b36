"""torch.compile gives the same values and gradients."""

import pytest
import torch
from loss_cases import batch, make, tensors

from cracklab.losses import LOSSES, build_loss


@pytest.mark.slow
@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("name", LOSSES)
def test_compiled_values_and_gradients_are_those_of_eager_mode(name, classes):
    z, y, maps, valid = tensors(*batch(classes, ignore=True), dtype=torch.float32)
    torch.compiler.reset()
    loss = build_loss(name, iterations=2) if name == "cl_dice" else make(name)  # the compiler unrolls the iterations
    compiled = torch.compile(loss)
    leaves = [z.clone().requires_grad_() for _ in range(2)]
    values = [function(leaf, y, maps, valid) for function, leaf in zip((loss, compiled), leaves, strict=True)]
    torch.testing.assert_close(values[1], values[0], rtol=1e-5, atol=1e-6)
    for value in values:
        value.backward()
    torch.testing.assert_close(leaves[1].grad, leaves[0].grad, rtol=1e-4, atol=1e-7)
