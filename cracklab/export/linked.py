"""The graph of a model that ships, whose weights stay in the checkpoint: `python -m cracklab.export.linked NAME.ckpt`.

A checkpoint is an archive whose tensors lie uncompressed in the file, and ONNX can refer to bytes of another file. So a model
that ships needs a graph of 0.2 MB beside its checkpoint, and no second copy of its weights.
"""

import json
import struct
import sys
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from cracklab.export.bundle_files import bundle_settings
from cracklab.export.model import Deployed, compare, trace
from cracklab.files import atomic_write, sha256
from cracklab.predict.trained_model import restore
from cracklab.weights import graph_file

LEAST_BYTES = 64
"""Smaller tensors stay in the graph."""
HALF = ".half"
"""Suffix of the name of a tensor that is in half precision in the checkpoint."""


def write_graph(checkpoint: Path) -> float:
    """Write NAME.onnx beside a checkpoint; return the largest difference in probability from PyTorch on drawn walls.

    Raises:
        ExportError: if it cannot be written as ONNX, or predicts differently there.
    """
    from onnxscript import ir, optimizer

    trained = restore(checkpoint)
    deployed = Deployed(trained)
    program = trace(deployed, optimize=False)  # which would change the weights
    optimizer.fold_constants(program.model)
    optimizer.remove_unused_nodes(program.model)
    model = ir.serde.serialize_model(program.model)
    _link(model.graph, checkpoint)
    _strip(model)
    settings = bundle_settings(trained) | {"sha256": sha256(checkpoint)}
    helper.set_model_props(model, {"cracklab": json.dumps(settings)})
    with atomic_write(graph_file(checkpoint)) as temporary:
        temporary.write_bytes(model.SerializeToString(deterministic=True))
        return compare(deployed, temporary)  # the checkpoint is beside it, too


def _link(graph: onnx.GraphProto, checkpoint: Path) -> None:
    """Replace the tensors of a graph by references to the same bytes in a checkpoint, in single or half precision."""
    offsets = _offsets(checkpoint)
    casts = []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.nbytes < LEAST_BYTES:
            continue
        half = values.astype(np.float16)
        if (data := values.tobytes()) in offsets:
            kind = TensorProto.FLOAT
        elif (data := half.tobytes()) in offsets and np.array_equal(half, values):
            kind = TensorProto.FLOAT16
            casts.append(helper.make_node("Cast", [tensor.name + HALF], [tensor.name], to=TensorProto.FLOAT))
            tensor.name += HALF
        else:
            continue
        tensor.data_type, tensor.data_location = kind, TensorProto.EXTERNAL
        tensor.ClearField("raw_data")
        for key, value in (("location", checkpoint.name), ("offset", offsets[data]), ("length", len(data))):
            tensor.external_data.add(key=key, value=str(value))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _offsets(checkpoint: Path) -> dict[bytes, int]:
    """Return the bytes of each stored tensor -> where they begin in the file."""
    content, found = checkpoint.read_bytes(), dict[bytes, int]()
    with ZipFile(checkpoint) as archive:
        for entry in archive.infolist():
            if "/data/" in entry.filename:
                name, extra = struct.unpack_from(
                    "<HH", content, entry.header_offset + 26
                )  # lengths in the local header
                start = entry.header_offset + 30 + name + extra
                found.setdefault(content[start : start + entry.file_size], start)
    return found


def _strip(model: onnx.ModelProto) -> None:
    """Remove names of source files and the like, which differ between machines."""
    del model.graph.value_info[:], model.metadata_props[:], model.graph.metadata_props[:]
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(f"{graph_file(Path(name))} differs from PyTorch by at most {write_graph(Path(name)):.1g} in probability")
