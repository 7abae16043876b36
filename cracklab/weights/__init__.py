"""Models that ship: their files, by name."""

from pathlib import Path

from cracklab.errors import ConfigError
from cracklab.registry import nearest

WEIGHTS = Path(__file__).parent
SHIPPED = "cracklab:"
"""Prefix of the name of a model that ships, a file in `WEIGHTS`."""


def shipped() -> dict[str, Path]:
    """Return the files of the models that ship, by name."""
    return {file.stem: file for file in sorted(WEIGHTS.glob("*.ckpt"))}


def ships(path: str | Path) -> bool:
    """Return whether the file of a checkpoint is that of a model that ships.

    Example:
        >>> ships(checkpoint_file("cracklab:cracks")), ships("RUN/checkpoints/cracks.ckpt")
        (True, False)
    """
    return Path(path).resolve().parent == WEIGHTS.resolve()


def checkpoint_file(name: str | Path) -> Path:
    """Return the file of a checkpoint: that of a model that ships for `cracklab:NAME` or its bare name, else the path.

    Raises:
        ConfigError: if no model that ships is called so.

    Example:
        >>> checkpoint_file("cracklab:cracks").name, checkpoint_file("RUN/checkpoints/best.ckpt").name
        ('cracks.ckpt', 'best.ckpt')
    """
    known = shipped()
    wanted = str(name).removeprefix(SHIPPED)
    if wanted in known and not Path(name).exists():
        return known[wanted]
    if str(name).startswith(SHIPPED):
        raise ConfigError(f"no model that ships is called {wanted!r}{nearest(wanted, known)}")
    return Path(name)


def graph_file(checkpoint: Path) -> Path:
    """Return the graph of a model that ships, for ONNX Runtime; its weights are those in the checkpoint beside it."""
    return checkpoint.with_suffix(".onnx")
