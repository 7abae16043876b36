"""Ranking of unlabelled photos: which to label next."""
