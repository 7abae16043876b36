"""Export of a checkpoint to a folder that predicts without PyTorch."""
