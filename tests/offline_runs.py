"""Offline W&B runs, read back from their files."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path


def records(file: Path) -> Iterator[bytes]:
    """The records of a .wandb file: LevelDB's log format, blocks of 32 KiB behind a header of 7 bytes."""
    data, block, at, parts = file.read_bytes(), 32768, 7, b""
    while at + 7 <= len(data):
        left = block - at % block
        if left < 7:
            at += left
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        parts += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield parts
            parts = b""


class Offline:
    """The contents of all offline runs below a run folder."""

    def __init__(self, folder: Path) -> None:
        from wandb.proto.wandb_internal_pb2 import Record

        self.rows, self.ids, self.axes, self.artifacts, self.system = [], set(), {}, {}, set()
        self.identities = set()
        """(name, group, job type, tags), one if all processes of the run agree."""
        self.config, self.summary = {}, {}
        for file in sorted(folder.glob("wandb/offline-run-*/*.wandb")):
            for record in map(Record.FromString, records(file)):
                match record.WhichOneof("record_type"):
                    case "history":
                        self.rows.append(values(record.history.item))
                    case "run":
                        self.ids.add(record.run.run_id)
                        run = record.run
                        self.identities.add((run.display_name, run.run_group, run.job_type, tuple(run.tags)))
                    case "stats":
                        self.system |= {item.key for item in record.stats.item}
                    case "metric":
                        self.axes[record.metric.name or record.metric.glob_name] = record.metric
                    case "config":
                        self.config |= values(record.config.update)
                    case "summary":
                        self.summary |= values(record.summary.update)
                    case "artifact":
                        self.artifacts[record.artifact.name] = record.artifact

    def curve(self, name: str) -> list[float]:
        return [row[name] for row in self.rows if name in row]

    def table(self, name: str) -> tuple[list[str], list[list], list[str]]:
        """Columns and rows of a table, and the paths of what it shows, on disk."""
        artifact = next(a for key, a in self.artifacts.items() if name.replace("/", "") in key)
        entries = {entry.path: Path(entry.local_path) for entry in artifact.manifest.contents}
        table = json.loads(entries[f"{name}.table.json"].read_text())
        assert all(path.is_file() for path in entries.values())
        return table["columns"], table["data"], list(entries)


def values(items) -> dict:
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}
