"""Metrics: pure functions per image, and one evaluator that collects their rows and aggregates them."""

from cracklab.metrics.boundary import boundary_iou
from cracklab.metrics.evaluator import Evaluator
from cracklab.metrics.surface import hausdorff95

__all__ = ["Evaluator", "boundary_iou", "hausdorff95"]
