"""From a checkpoint to masks of photos."""
