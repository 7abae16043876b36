"""Metrics: pure functions of one image, and an evaluator that collects a row per image and aggregates the rows.

The torchmetrics classes are in `cracklab.metrics.torchmetrics`, because torchmetrics takes seconds to import.
"""

from cracklab.metrics.boundary import boundary_iou
from cracklab.metrics.curves import best_threshold
from cracklab.metrics.evaluator import Evaluator
from cracklab.metrics.image_scores import register_score
from cracklab.metrics.protocols import PROTOCOLS, run_protocol, run_protocols
from cracklab.metrics.surface import hausdorff95

__all__ = [
    "PROTOCOLS",
    "Evaluator",
    "best_threshold",
    "boundary_iou",
    "hausdorff95",
    "register_score",
    "run_protocol",
    "run_protocols",
]
