"""Prediction of photos from checkpoints."""
