"""From folders of photos and masks to batches: index, splits by photo, cache, augmentation, target maps."""
