"""SIGTERM to one of two processes: both stop after the same batch, and the handler of the user is called."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
from lightning.fabric.plugins.environments import LightningEnvironment
from torch.utils.data import DataLoader

from cracklab.callbacks.sigterm import StopTogether

NUM_BATCHES = 6
"""Number of batches of each process and stage."""


class Model(pl.LightningModule):
    """A net of one weight; the second process alone gets SIGTERM, in its first batch of one stage.

    Args:
        folder: of the notes that each process takes of its batches.
        stage: `sanity_check`, `train`, `validate` or `test`.
    """

    def __init__(self, folder, stage):
        super().__init__()
        self.folder, self.stage, self.net = folder, stage, torch.nn.Linear(1, 1)

    def step(self, batch, index):
        stage = self.trainer.state.stage.value
        with (self.folder / str(self.global_rank)).open("a") as notes:
            print(stage, index, file=notes)
        if (stage, index, self.global_rank) == (self.stage, 0, 1):
            os.kill(os.getpid(), signal.SIGTERM)
        return self.net(batch).sum()

    training_step = validation_step = test_step = step

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def work(rank, folder, stage):
    """Train and test in one of two processes; return its exit code."""
    signal.signal(signal.SIGTERM, lambda signum, frame: (folder / f"handled by {rank}").touch())
    os.environ |= {"LOCAL_RANK": str(rank), "MASTER_ADDR": "127.0.0.1"}
    trainer = pl.Trainer(
        accelerator="cpu", devices=2, strategy="ddp", max_epochs=1, num_sanity_val_steps=3, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, callbacks=[StopTogether()], plugins=[LightningEnvironment()],
    )  # fmt: skip
    loader = DataLoader(torch.zeros(2 * NUM_BATCHES, 1))
    try:
        (trainer.test if stage == "test" else trainer.fit)(
            Model(folder, stage), *[loader] * (1 if stage == "test" else 2)
        )
    except SystemExit:
        return 143
    return 0


@pytest.mark.slow  # imports PyTorch in a process of its own
@pytest.mark.parametrize("stage", ["sanity_check", "train", "validate", "test"])
def test_one_of_two_processes_gets_sigterm(tmp_path, stage):
    """What was before that stage is whole, and of the stage itself no more than two batches."""
    folders = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    program = [sys.executable, __file__, str(tmp_path), stage]
    done = subprocess.run(
        program, env=os.environ | {"PYTHONPATH": folders}, capture_output=True, text=True, timeout=300
    )
    assert done.stdout.split()[-2:] == ["143", "143"], done.stderr[-3000:]
    check_notes(tmp_path, stage)


def check_notes(folder, stage):
    """Check the batches of both processes, and whose handler was called."""
    assert [path.name for path in folder.glob("handled*")] == ["handled by 1"]
    one, other = ((folder / str(rank)).read_text().splitlines() for rank in range(2))
    assert one == other
    check, train = [f"sanity_check {index}" for index in range(3)], [f"train {index}" for index in range(NUM_BATCHES)]
    whole = {"train": check, "validate": check + train}.get(stage, [])
    assert one[: len(whole)] == whole
    assert one[len(whole) :] in ([f"{stage} 0"], [f"{stage} 0", f"{stage} 1"])


if __name__ == "__main__":
    os.environ["MASTER_PORT"] = str(LightningEnvironment().main_port)
    children = []
    for number in range(2):
        children.append(os.fork())
        if not children[-1]:
            os._exit(work(number, Path(sys.argv[1]), sys.argv[2]))
    print(*(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
