"""Warnings of libraries that say nothing to the person who trains; each with its reason."""

import logging
import os
import warnings

MESSAGES = (
    # metrics are the same on every process already, since they come from gathered rows
    "It is recommended to use `self.log",
    # the sampler is resumed exactly
    "You're resuming from a checkpoint that ended before the epoch ended",
    # few images, few batches: both are a choice of the configuration
    "The number of training batches",
    "does not have many workers",
    # the run folder of a resumed run is meant to be there
    "Checkpoint directory",
    # whoever has SLURM may still start a run without it
    "The `srun` command is available on your system but is not used",
    # jsonargparse tells the authors of LightningCLI of renamed functions
    "JsonargparseDeprecationWarning",
    "By default only one JsonargparseDeprecationWarning",
    # Lightning calls what torch renamed
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",
    # a configuration has no other word for an encoder's pretrained weights than `imagenet`
    r"For 'tu-' \(timm universal\) encoders",
    # `args` of main() beside those of the process
    "LightningCLI's args parameter",
)


def filter_warnings() -> None:
    """Filter those warnings, in worker processes too, and Lightning's hints about its own products."""
    os.environ.setdefault("JSONARGPARSE_DEPRECATION_WARNINGS", "off")
    for message in MESSAGES:
        warnings.filterwarnings("ignore", message=f".*{message}")
    for name in ("utilities.rank_zero", "accelerators.cuda", "trainer.connectors.checkpoint_connector"):
        logging.getLogger(f"lightning.pytorch.{name}").setLevel(logging.WARNING)
    logging.getLogger("lightning.fabric.utilities.seed").setLevel(logging.WARNING)
