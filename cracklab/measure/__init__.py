"""Length, width, direction, tips and branch points of cracks, from masks."""

from cracklab.measure.measurement import Crack, Line, Measurement, summarize
from cracklab.measure.trace import measure_mask

__all__ = ["Crack", "Line", "Measurement", "measure_mask", "summarize"]
