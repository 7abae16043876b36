"""`cracklab export`: a folder that predicts without PyTorch, verified against it."""

import os
import shutil
import sys
from collections.abc import Sequence
from glob import escape
from pathlib import Path

from cracklab.command_parser import CommandParser
from cracklab.errors import RunError
from cracklab.files import naming, output_folder, remove_leftovers
from cracklab.predict.options import add_trust, trusted
from cracklab.warning_filters import filter_warnings
from cracklab.weights import checkpoint_file


def parser(command: str = "export") -> CommandParser:
    """Return the parser of the command's arguments."""
    arguments = CommandParser(command, __doc__)
    arguments.add_argument(
        "--ckpt_path",
        type=checkpoint_file,
        required=True,
        help="checkpoint of a run, for instance RUN/checkpoints/best.ckpt, or cracklab:cracks",
    )
    arguments.add_argument(
        "--out", type=output_folder, required=True, help="folder of the bundle; it must be new or empty"
    )
    add_trust(arguments)
    return arguments


def run(command: str, args: Sequence[str]) -> int:
    """Write a bundle whole or not at all; return 1 if the net cannot be exported or predicts differently in ONNX."""
    filter_warnings()
    options = parser().parse(args)
    out = options.out.resolve()  # the bundle takes its place, which it cannot take of a link
    if out == Path.cwd():
        raise RunError(
            f"--out {options.out} is the folder in which the command runs: give another, or one inside of it"
        )
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise RunError(f"--out {options.out} exists and is not an empty folder: choose another folder")
    from cracklab.export.bundle_files import FILES, write_bundle  # imports PyTorch, for which --help does not wait
    from cracklab.export.model import OPSET, ExportError
    from cracklab.predict.trained_model import restore

    model = restore(options.ckpt_path, trusted(options))
    temporary = out.with_name(f".{out.name}.{os.getpid()}")
    remove_leftovers(temporary.parent, escape(out.name), FILES)
    try:
        with naming(options.out):
            temporary.mkdir(parents=True)
            difference = write_bundle(temporary, model)
            if out.is_dir():
                out.rmdir()
            temporary.rename(out)
    except ExportError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    print(
        f"ONNX opset {OPSET}, any size; differs from PyTorch by at most {difference:.1g} in probability on three images"
    )
    print(f"bundle: {options.out}")
    return 0
