"""The health table: it finds the faults that are known, and the command prints it."""

import pytest
import torch

from cracklab.errors import ConfigError
from cracklab.losses import LOSSES, Loss, build_loss
from cracklab.losses.command import run
from cracklab.losses.health import examine


class Recall(Loss):
    """Skeleton recall without the product with the class, and without Dice: thickening pays."""

    def compute(self, logits, mask, maps, valid):
        return 1 - (logits.sigmoid() * mask).sum() / mask.sum().clamp(min=1) - 1e-3 * logits.sigmoid().mean()


def test_bce_is_the_measure():
    health = examine(build_loss("bce"))
    assert health.name == "bce"
    assert health.gradient == {64: 1.0, 512: 1.0}
    assert health.far == pytest.approx(1.0)
    assert health.order == {1: "<=>", 3: "<<>", 5: "<<>", 9: "<<>"}


def test_without_eps_dice_is_blind_to_crack_free_images():
    assert max(examine(build_loss("dice", eps=1e-6)).gradient.values()) < 1e-5
    assert min(examine(build_loss("dice")).gradient.values()) > 0.1


def test_kervadecs_map_gives_the_outermost_pixels_nothing():
    """Thinning by 1 px on each side is free, and for a crack 1 px wide that leaves nothing."""
    assert examine(build_loss("boundary", inner="kervadec")).thin == (1, 3, 5, 9)
    assert examine(build_loss("boundary")).thin == ()


def test_recall_alone_pays_for_thickening():
    assert examine(Recall(), "recall").thick == (1, 3, 5, 9)


def test_who_forgives_far_false_positives():
    far = {name: examine(build_loss(name)).far for name in ("distance_aware", "dice", "distance_penalty", "boundary")}
    assert far["distance_aware"] < 0.7 < far["dice"] < 1.01 < 2 < far["distance_penalty"] < far["boundary"]


def test_list(capsys):
    assert run("losses", []) == 0
    lines = capsys.readouterr().out.splitlines()
    names = [line.partition(":")[0] for line in lines if not line.startswith(" ")]
    assert names == list(LOSSES)
    assert "    beta=2.0, sigma=0.25, alpha=None, base=dice, learnable=False, prior=0.01, eps=1.0, " in "\n".join(lines)
    assert "    maps: boundary_distance" in lines


def test_some(capsys):
    assert run("losses", ["boundary", "--health", "weighted_sum"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["loss", "FP", "64"]
    assert lines[1].split()[0] == "boundary"
    assert lines[2].startswith("FP 64, FP 512:")
    with pytest.raises(ConfigError, match="did you mean 'boundary'"):
        run("losses", ["bundary"])


def test_threads_are_as_before():
    before = torch.get_num_threads()
    run("losses", ["--health", "bce"])
    assert torch.get_num_threads() == before
