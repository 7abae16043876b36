"""The health table finds known faults of losses, and `cracklab losses` prints it."""

import pytest
import torch

from cracklab.cli import main
from cracklab.losses import LOSSES, Loss, build_loss
from cracklab.losses.command import run
from cracklab.losses.health import examine


class Recall(Loss):
    """Recall without Dice, for which a thicker prediction scores better."""

    def compute(self, logits, mask, maps, valid):
        return 1 - (logits.sigmoid() * mask).sum() / mask.sum().clamp(min=1) - 1e-3 * logits.sigmoid().mean()


def test_gradients_are_relative_to_bce():
    health = examine(build_loss("bce"))
    assert health.name == "bce"
    assert health.gradient == {64: 1.0, 512: 1.0}
    assert health.far == pytest.approx(1.0)
    assert health.order == {1: "<=>", 3: "<<>", 5: "<<>", 9: "<<>"}


def test_without_eps_dice_has_no_gradient_on_crack_free_images():
    assert max(examine(build_loss("dice", eps=1e-6)).gradient.values()) < 1e-5
    assert min(examine(build_loss("dice")).gradient.values()) > 0.1


def test_with_kervadecs_map_thinning_by_1_px_is_free():
    """The outermost pixels earn nothing, so a crack 1 px wide may even be missed."""
    assert examine(build_loss("boundary", inner="kervadec")).thin == (1, 3, 5, 9)
    assert examine(build_loss("boundary")).thin == ()


def test_recall_alone_rewards_thickening():
    assert examine(Recall(), "recall").thick == (1, 3, 5, 9)


def test_losses_rank_by_how_they_punish_far_false_positives():
    far = {name: examine(build_loss(name)).far for name in ("distance_aware", "dice", "distance_penalty", "boundary")}
    assert far["distance_aware"] < 0.7 < far["dice"] < 1.01 < 2 < far["distance_penalty"] < far["boundary"]


def test_the_list_shows_every_loss_with_defaults_and_maps(capsys):
    assert run("losses", []) == 0
    lines = capsys.readouterr().out.splitlines()
    names = [line.partition(":")[0] for line in lines if not line.startswith(" ")]
    assert names == list(LOSSES)
    assert "    beta=2.0, sigma=0.25, alpha=None, base=dice, learnable=False, prior=0.01, eps=1.0, " in "\n".join(lines)
    assert "    maps: boundary_distance" in lines


def test_the_health_table_can_be_limited_to_some_losses(capsys):
    assert run("losses", ["boundary", "--health", "weighted_sum"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["loss", "FP", "64"]
    assert lines[1].split()[0] == "boundary"
    assert lines[2].startswith("FP 64, FP 512:")  # weighted_sum has no defaults to examine


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bundary"], "no loss is called 'bundary'; did you mean 'boundary'?"),
        (["--health", "dice", "bundary"], "no loss is called 'bundary'; did you mean 'boundary'?"),
        (["--helth"], "no option is called '--helth'; did you mean '--health'?"),
        (["--health=yes"], "--health: ignored explicit argument 'yes'"),
    ],
)
def test_a_wrong_call_is_one_message(capsys, arguments, message):
    with pytest.raises(SystemExit) as raised:
        main(["losses", *arguments])
    assert raised.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line


def test_the_number_of_threads_is_restored():
    before = torch.get_num_threads()
    run("losses", ["--health", "bce"])
    assert torch.get_num_threads() == before
