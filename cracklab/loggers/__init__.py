"""Loggers beside the run folder: Weights & Biases, TensorBoard. Importing this package registers what each can show."""

from cracklab.loggers import tensorboard, wandb_media
from cracklab.loggers.tensorboard import TensorBoard

__all__ = ["TensorBoard", "tensorboard", "wandb_media"]
