"""Options that several commands share: the model that predicts photos."""

from argparse import Namespace

from cracklab.command_parser import CommandParser
from cracklab.data.image_files import MAX_MEGAPIXELS
from cracklab.plugins import KEY, import_nets
from cracklab.weights import checkpoint_file

TRUST = "import path of an installed net that the checkpoint may name, and whose code then runs; repeat for several"
"""Help of `--trust`."""
IMPORT = "file or module of your own, such as my_net.py, whose nets the checkpoint may name; repeat for several"
"""Help of `--import`."""


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
    add_trust(arguments)


def add_trust(arguments: CommandParser) -> None:
    """Add the options that name nets of your own."""
    arguments.add_argument("--trust", action="append", default=[], metavar="CLASS", help=TRUST)
    arguments.add_argument(f"--{KEY}", action="append", default=[], metavar="FILE", dest="imported", help=IMPORT)


def trusted(options: Namespace) -> list[str]:
    """Return the class paths that a checkpoint may name beside those of known libraries; import your own files and modules.

    Raises:
        ConfigError: for a file or module that cannot be imported.
    """
    return [*options.trust, *import_nets(options.imported)]
