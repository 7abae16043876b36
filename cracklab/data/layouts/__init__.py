"""Layouts: how published and your own data sets store images and masks. `--data.layout deepcrack` selects one by name.

A file holds one layout or several related ones; `../README.md` says how to add one.
"""

from cracklab.data.layouts.base import LAYOUTS, Layout, class_names_of, register

__all__ = ["LAYOUTS", "Layout", "class_names_of", "register"]
