"""Synthetic photos of cracked walls with exact masks, drawn from a seed."""
