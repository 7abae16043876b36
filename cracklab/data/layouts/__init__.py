"""Conventions of folders, by name: `--data.layout deepcrack`. One a file or a few; how to add one is in ../README.md."""

from cracklab.data.layouts.base import LAYOUTS, Layout, register

__all__ = ["LAYOUTS", "Layout", "register"]
