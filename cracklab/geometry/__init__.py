"""Geometry of masks: distances, centre lines, widths. Imports nothing else of cracklab."""
