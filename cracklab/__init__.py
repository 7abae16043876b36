"""Segmentation of thin cracks on PyTorch Lightning: losses, distance maps, folds and metrics that can be believed."""

__version__ = "0.1.0"
