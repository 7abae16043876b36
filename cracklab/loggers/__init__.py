"""Where runs are logged beside the run folder: Weights & Biases, TensorBoard."""
