"""Where runs are performed: on this machine, on a Ray cluster, on SLURM."""

from collections.abc import Callable, Iterator, Sequence

from cracklab.study.folder import PlannedRun, Study
from cracklab.study.worker import RunOutcome

Executor = Callable[[Study, Sequence[PlannedRun]], Iterator[RunOutcome]]
"""Performs runs and yields each outcome as its run ends; closing the iterator cancels the remaining runs."""
