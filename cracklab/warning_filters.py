"""Warnings of libraries that do not help the user; each with the reason why it is filtered."""

import logging
import os
import warnings

MESSAGES = (
    # metrics come from gathered rows, so they are the same on every process already
    "It is recommended to use `self.log",
    # the sampler is resumed exactly
    "You're resuming from a checkpoint that ended before the epoch ended",
    # few images and few batches are a choice of the configuration
    "The number of training batches",
    "does not have many workers",
    # the run folder of a resumed run exists already
    "Checkpoint directory",
    # a machine with SLURM may start a run without it
    "The `srun` command is available on your system but is not used",
    # jsonargparse tells the authors of LightningCLI about renamed functions
    "JsonargparseDeprecationWarning",
    "By default only one JsonargparseDeprecationWarning",
    # Lightning calls a function that torch has renamed
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",
    # configurations name an encoder's pretrained weights `imagenet` whatever the library calls them
    r"For 'tu-' \(timm universal\) encoders",
    # `main(args)` passes its arguments beside those of the process
    "LightningCLI's args parameter",
)


def filter_warnings() -> None:
    """Filter the warnings above, in worker processes too, and Lightning's hints about its own products; show others on one line."""
    warnings.formatwarning = _as_line
    os.environ.setdefault("JSONARGPARSE_DEPRECATION_WARNINGS", "off")
    for message in MESSAGES:
        warnings.filterwarnings("ignore", message=f".*{message}")
    warnings.filterwarnings("ignore", module=r"PIL\.")  # of damaged files, which are named in errors
    for name in ("utilities.rank_zero", "accelerators.cuda", "trainer.connectors.checkpoint_connector"):
        logging.getLogger(f"lightning.pytorch.{name}").setLevel(logging.WARNING)
    logging.getLogger("lightning.fabric.utilities.seed").setLevel(logging.WARNING)
    logging.getLogger("lightning.pytorch.trainer.connectors.signal_connector").addFilter(_is_no_sigterm)


def _is_no_sigterm(record: logging.LogRecord) -> bool:
    """Return whether a line of Lightning is about anything but SIGTERM, after which fit itself prints how to resume."""
    return "SIGTERM" not in record.getMessage()


def _as_line(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """Return a warning without the place in the code that it came from, which tells a user nothing."""
    return f"warning: {' '.join(str(message).split())}\n"
