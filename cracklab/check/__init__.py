"""`cracklab check`: find the faults of a data set before training on it."""
