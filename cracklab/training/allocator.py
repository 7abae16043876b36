"""The memory allocator of the C library in training on a CPU."""

import ctypes
import sys

MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1
"""Parameters of glibc's mallopt."""
LARGEST = 32 << 20
"""Largest value of the first one, bytes."""


def keep_freed_memory() -> None:
    """Let the process keep freed memory up to 32 MiB a piece for its next step.

    By default, glibc returns such pieces to the system, which gives them back page by page, cleared, in the next step. A step of the
    ResNet-18 U-Net takes a tenth longer because of that ([figures](../../tests/benchmarks/README.md)). Elsewhere nothing is changed.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(MMAP_THRESHOLD, LARGEST)
        mallopt(TRIM_THRESHOLD, 2**31 - 1)
