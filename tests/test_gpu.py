"""On a GPU: losses, training, exact resume and prediction give what a CPU gives. Skipped without one."""

import numpy as np
import pytest
import torch
from support import fit
from test_resume import SMALL, assert_equal, killed

from cracklab import run_folder
from cracklab.cli import main
from cracklab.data.maps import compute_maps
from cracklab.losses import LOSSES, build_loss
from cracklab.predict.load import load
from cracklab.synthetic.draw import draw

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")]
NAMES = sorted(name for name in LOSSES if name != "weighted_sum")
ON_GPU = ["--trainer.accelerator=gpu", "--trainer.devices=1"]


def inputs(device, maps, dtype=torch.float64):
    """Logits with a gradient, mask, maps and valid of two drawn walls."""
    mask = np.stack([draw(seed, (64, 96))[1] == 1 for seed in (1, 2)])[:, None]
    valid = np.ones_like(mask)
    valid[:, :, :20, :30] = False
    found = [compute_maps(one, maps, ok[0]) for one, ok in zip(mask, valid, strict=True)]
    arrays = {name: np.stack([each[name] for each in found]) for name in maps}
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(mask.shape, generator=generator, dtype=torch.float64) + 3 * torch.from_numpy(mask) - 2
    return (
        logits.to(device, dtype).requires_grad_(),
        torch.from_numpy(mask & valid).to(device, dtype),
        {name: torch.from_numpy(array).to(device, dtype) for name, array in arrays.items()},
        torch.from_numpy(valid).to(device),
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_loss_and_its_gradient_are_those_of_a_cpu(name):
    found = []
    for device in ("cpu", "cuda"):
        loss = build_loss(name).to(device)
        logits, mask, maps, valid = inputs(device, loss.maps)
        value = loss(logits, mask, maps, valid)
        value.backward()
        found.append((value.detach().cpu(), logits.grad.cpu()))
    torch.testing.assert_close(*(value for value, _ in found), rtol=1e-5, atol=1e-8)
    torch.testing.assert_close(*(gradient for _, gradient in found), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", NAMES)
def test_a_loss_under_autocast_is_that_of_the_rounded_logits(name, dtype):
    loss = build_loss(name).cuda()
    logits, mask, maps, valid = inputs("cuda", loss.maps, torch.float32)
    rounded = logits.detach().to(dtype).requires_grad_()
    with torch.autocast("cuda", dtype=dtype):
        value = loss(rounded, mask, maps, valid)
    value.backward()
    assert value.dtype == torch.float32
    assert rounded.grad.isfinite().all()
    torch.testing.assert_close(value, loss(rounded.detach().float(), mask, maps, valid), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("precision", ["16-mixed", "bf16-mixed", "32-true"])
def test_a_run_trains_and_its_checkpoint_predicts_the_same_mask_on_gpu_and_cpu(tmp_path, precision):
    out = fit(tmp_path / "run", *ON_GPU, f"--trainer.precision={precision}")
    photo = draw(3, (301, 517))[0]
    model = load(out / run_folder.BEST, "cpu")
    found = [model.predict(photo), load(out / run_folder.BEST, "cuda").predict(photo)]
    near = np.abs(found[0].probability - model.threshold) < 0.005  # convolutions on a GPU round to 10 bits
    assert (found[0].mask == found[1].mask)[~near].all()


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_a_strategy_of_several_devices_runs_on_one(tmp_path, strategy):
    clipping = "--trainer.gradient_clip_val=null"  # fully sharded training cannot clip by the norm
    out = fit(tmp_path / "run", *ON_GPU, f"--trainer.strategy={strategy}", clipping)
    config, last = str(out / "config.yaml"), str(out / run_folder.LAST)
    assert main(["test", "--config", config, "--ckpt_path", last]) == 0


def test_a_run_killed_within_an_epoch_resumes_bit_equal(tmp_path):
    more = [*ON_GPU, "--trainer.deterministic=true"]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert main([*SMALL, *more, "--out", str(whole)]) == 0
    killed(cut, 1, 3, *more)
    assert main([*SMALL, *more, "--out", str(cut), "--ckpt_path", str(cut / run_folder.LAST)]) == 0
    assert_equal(whole, cut)
