"""Synthetic photos of cracked surfaces with exact masks."""
