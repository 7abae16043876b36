"""Runs on this machine: one after another, or several at once."""

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from queue import SimpleQueue

from cracklab.study.folder import PlannedRun, Study
from cracklab.study.worker import Outcome, perform


class Local:
    """`jobs` processes at once; each gets its share of the cores, and one of the GPUs.

    One job at a time has the whole machine, so that a run may use several GPUs by itself.

    Args:
        jobs: so many runs at once.
    """

    def __init__(self, jobs: int = 1) -> None:
        self.jobs = jobs

    def __call__(self, study: Study, runs: Sequence[PlannedRun]) -> Iterator[Outcome]:
        """Work on runs; outcomes come as runs end."""
        stop = threading.Event()
        slots: SimpleQueue[dict[str, str]] = SimpleQueue()
        for slot in environments(self.jobs):
            slots.put(slot)

        def work(run: PlannedRun) -> Outcome:
            if stop.is_set():
                return Outcome(run.name, "stopped")
            slot = slots.get()
            try:
                return perform(str(study.folder), run.name, slot, stop)
            finally:
                slots.put(slot)

        with ThreadPoolExecutor(self.jobs) as pool:
            try:
                for future in as_completed([pool.submit(work, run) for run in runs]):
                    yield future.result()
            finally:  # whoever asks no further, or presses Ctrl-C, ends the runs at once
                stop.set()


def environments(jobs: int) -> list[dict[str, str]]:
    """What each of several jobs at once finds in its environment: threads, and a GPU; nothing where there is one job."""
    if jobs == 1:
        return [{}]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = {} if "OMP_NUM_THREADS" in os.environ else {"OMP_NUM_THREADS": str(max(1, cores // jobs))}
    devices = gpus()
    return [
        threads | ({"CUDA_VISIBLE_DEVICES": devices[number % len(devices)]} if devices else {})
        for number in range(jobs)
    ]


def gpus() -> list[str]:
    """The GPUs that CUDA_VISIBLE_DEVICES leaves, as it names them; all that the driver lists where it is not set."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [device.strip() for device in visible.split(",") if device.strip()]
    if shutil.which("nvidia-smi") is None:
        return []
    listed = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, check=False).stdout
    return [str(number) for number, line in enumerate(listed.splitlines()) if line.startswith("GPU ")]
