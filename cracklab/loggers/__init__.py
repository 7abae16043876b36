"""Loggers beside the run folder: Weights & Biases, TensorBoard. Importing this package registers what each can show."""

from cracklab.loggers import tensorboard, wandb_media

__all__ = ["tensorboard", "wandb_media"]
