import wandb

from cracklab.callbacks.dashboard import overall


def test_artifact_metadata_stays_below_100_entries_for_many_classes():
    scores = {f"best/val/iou/class_{k}": 0.5 for k in range(150)} | {"best/val/iou": 0.4, "best/val/iou@0.5": 0.3}
    facts = overall(scores)
    assert facts == {"best/val/iou": 0.4, "best/val/iou@0.5": 0.3}
    wandb.Artifact("checkpoint", "model", metadata=facts)  # refuses more than 100
