"""Options that several commands share: the model that predicts photos."""

from cracklab.command_parser import CommandParser
from cracklab.data.image_files import MAX_MEGAPIXELS
from cracklab.weights import checkpoint_file

TRUST = "import path of a net of your own that the checkpoint may name, and whose code then runs; repeat for several"
"""Help of `--trust`."""


def add_model_options(arguments: CommandParser) -> None:
    """Add the options of every command that predicts photos: checkpoints, the size of photos, device and trust."""
    add = arguments.add_argument
    add(
        "--ckpt_path",
        nargs="+",
        type=checkpoint_file,
        default=[checkpoint_file("cracklab:cracks")],
        help="RUN/checkpoints/best.ckpt, or BUNDLE/model.onnx of `cracklab export`; several (folds of a kfold) are averaged (default: cracklab:cracks, the model that ships)",
    )
    add(
        "--max_megapixels",
        type=float,
        default=MAX_MEGAPIXELS,
        help="refuse larger photos before they fill the memory, 1e6 px (default: %(default)g)",
    )
    add("--device", help="cpu, cuda, cuda:1, mps (default: cuda if there is a GPU, else cpu)")
    add("--trust", action="append", default=[], metavar="CLASS", help=TRUST)
