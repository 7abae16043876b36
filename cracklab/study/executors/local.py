"""Runs on this machine, one or several at once."""

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from queue import SimpleQueue

from cracklab.study.folder import PlannedRun, Study
from cracklab.study.worker import RunOutcome, perform


class LocalExecutor:
    """An executor on this machine; each of several jobs gets its share of the cores, and one of the GPUs.

    A single job has the whole machine, so that its run may use several GPUs.

    Args:
        jobs: number of runs at once.
    """

    def __init__(self, jobs: int = 1) -> None:
        self.jobs = jobs

    def __call__(self, study: Study, runs: Sequence[PlannedRun]) -> Iterator[RunOutcome]:
        """Perform runs; yield each outcome as its run ends."""
        stop = threading.Event()
        free: SimpleQueue[dict[str, str]] = SimpleQueue()
        for environment in job_environments(self.jobs):
            free.put(environment)

        def work(run: PlannedRun) -> RunOutcome:
            if stop.is_set():
                return RunOutcome(run.name, "stopped")
            environment = free.get()
            try:
                return perform(str(study.folder), run.name, environment, stop)
            finally:
                free.put(environment)

        with ThreadPoolExecutor(self.jobs) as pool:
            try:
                for future in as_completed([pool.submit(work, run) for run in runs]):
                    yield future.result()
            finally:  # the iterator was closed, or Ctrl-C was pressed: end all runs at once
                stop.set()


def job_environments(jobs: int) -> list[dict[str, str]]:
    """Return the environment variables of each of several jobs, which set threads and GPU; none for a single job."""
    if jobs == 1:
        return [{}]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = {} if "OMP_NUM_THREADS" in os.environ else {"OMP_NUM_THREADS": str(max(1, cores // jobs))}
    gpus = visible_gpus()
    return [threads | ({"CUDA_VISIBLE_DEVICES": gpus[job % len(gpus)]} if gpus else {}) for job in range(jobs)]


def visible_gpus() -> list[str]:
    """Return the GPUs named in CUDA_VISIBLE_DEVICES; if it is not set, all that the driver lists."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [device.strip() for device in visible.split(",") if device.strip()]
    if shutil.which("nvidia-smi") is None:
        return []
    listed = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, check=False).stdout
    return [str(number) for number, line in enumerate(listed.splitlines()) if line.startswith("GPU ")]
