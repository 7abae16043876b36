"""What a run does beside training: seeds, checkpoints, tables, pictures, progress."""

from cracklab.callbacks.checkpoints import Checkpoints
from cracklab.callbacks.panels import Panels
from cracklab.callbacks.progress import Progress
from cracklab.callbacks.resume import ExactResume
from cracklab.callbacks.seed import SeedSteps
from cracklab.callbacks.tables import Tables

__all__ = ["Checkpoints", "ExactResume", "Panels", "Progress", "SeedSteps", "Tables"]
