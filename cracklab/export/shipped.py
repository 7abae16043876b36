"""Make a checkpoint small enough to ship: `python -m cracklab.export.shipped RUN/checkpoints/last.ckpt NAME.ckpt`.

Kept are the weights, with those of convolutions in half precision, and what `predict` and `fit` read beside them; the states of
optimizer, schedule and callbacks are left out. The graph for ONNX Runtime is written beside it (`cracklab.export.linked`).
"""

import argparse
import io
from pathlib import Path
from typing import Any

import torch

from cracklab.checkpoint import KEY, read_checkpoint
from cracklab.export.linked import write_graph
from cracklab.files import atomic_write

KEPT = ("epoch", "global_step", "pytorch-lightning_version")


def as_shipped(content: dict[str, Any], threshold: float | None = None) -> dict[str, Any]:
    """Return the part of a checkpoint that ships.

    Args:
        content: a checkpoint of `fit`.
        threshold: another threshold than that of its validation.
    """
    payload = content[KEY] | ({} if threshold is None else {"threshold": threshold})
    weights = {name: one.half() if one.ndim == 4 else one.clone() for name, one in content["state_dict"].items()}
    return {key: content[key] for key in KEPT} | {"state_dict": weights, KEY: payload}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", help="of a run")
    parser.add_argument("name", type=Path, help="the file to write, .ckpt")
    parser.add_argument("--threshold", type=float, help="default: that of its validation")
    options = parser.parse_args()
    content = io.BytesIO()  # a file would give its temporary name to the archive
    torch.save(as_shipped(read_checkpoint(options.checkpoint), options.threshold), content)
    with atomic_write(options.name) as temporary:
        temporary.write_bytes(content.getvalue())
    print(f"{options.name}: {options.name.stat().st_size / 1e6:.1f} MB")
    print(f"its graph differs from PyTorch by at most {write_graph(options.name):.1g} in probability")
