"""Callbacks of a run: seeds, checkpoints, resume, tables, pictures, logging, progress."""

from cracklab.callbacks.checkpoints import Checkpoints
from cracklab.callbacks.curves import Curves
from cracklab.callbacks.dashboard import Dashboard
from cracklab.callbacks.divergence import Divergence
from cracklab.callbacks.kfold import KFold
from cracklab.callbacks.panels import Panels
from cracklab.callbacks.probabilities import Probabilities
from cracklab.callbacks.progress import Progress
from cracklab.callbacks.resources import Resources
from cracklab.callbacks.resume import ExactResume
from cracklab.callbacks.seed import SeedSteps
from cracklab.callbacks.tables import Tables

__all__ = [
    "Checkpoints",
    "Curves",
    "Dashboard",
    "Divergence",
    "ExactResume",
    "KFold",
    "Panels",
    "Probabilities",
    "Progress",
    "Resources",
    "SeedSteps",
    "Tables",
]
