"""Runs on a Ray cluster: Ray places them, shares GPUs by fractions, and restarts a run if its node dies.

All nodes must see the study's folder under the same path.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cracklab.errors import ConfigError
from cracklab.study.folder import PlannedRun, Study
from cracklab.study.worker import RunOutcome, perform

MAX_RETRIES = 5
"""How often Ray restarts a run whose node or worker died; the run resumes from its last epoch."""

FORWARDED_PREFIXES = ("PYTHONPATH", "WANDB_")
"""Prefixes of the environment variables that are forwarded to workers; all others are the node's own."""


class RayExecutor:
    """An executor on a Ray cluster.

    Args:
        address: address of a running cluster; None starts one on this machine for the duration of the study.
        cpus: cores per run.
        gpus: GPUs per run; with 0.5, two runs share one.

    Raises:
        ConfigError: if Ray is not installed, or the cluster does not answer.
    """

    def __init__(self, address: str | None, cpus: float, gpus: float) -> None:
        # under `uv run`, Ray would create a new environment for every worker
        os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
        try:
            import ray
        except ImportError:
            raise ConfigError(
                "--executor ray needs the package ray: uv sync --extra ray, or, without uv, pip install -e '.[ray]'"
            ) from None
        self.ray: Any = ray
        self.address, self.cpus, self.gpus = address, cpus, gpus

    def __call__(self, study: Study, runs: Sequence[PlannedRun]) -> Iterator[RunOutcome]:
        """Perform runs; yield each outcome as its run ends."""
        ray = self.ray
        if not ray.is_initialized():
            try:
                ray.init(
                    address=self.address, log_to_driver=False, include_dashboard=False if self.address is None else None
                )
            except (ConnectionError, OSError, RuntimeError, ValueError) as error:
                raise ConfigError(
                    f"--address {self.address}: the Ray cluster does not answer ({error}): check the address"
                ) from None
        forwarded = {name: value for name, value in os.environ.items() if name.startswith(FORWARDED_PREFIXES)}
        task = ray.remote(num_cpus=self.cpus, num_gpus=self.gpus, max_retries=MAX_RETRIES)(_perform)
        pending = {task.remote(str(study.folder), run.name, os.getcwd(), forwarded): run for run in runs}
        try:
            while pending:
                done, _ = ray.wait(list(pending), num_returns=1)
                for reference in done:
                    yield self._outcome(reference, pending.pop(reference))
        finally:
            for reference in pending:
                ray.cancel(reference, force=True)

    def _outcome(self, reference: Any, run: PlannedRun) -> RunOutcome:
        try:
            outcome: RunOutcome = self.ray.get(reference)
        except self.ray.exceptions.RayError as error:
            lines = [f"Ray: {line}" for line in str(error).strip().splitlines()[-5:]]
            return RunOutcome(run.name, "failed", lines=lines)
        return outcome


def _perform(folder: str, name: str, cwd: str, environment: Mapping[str, str]) -> RunOutcome:
    """Perform a run in a worker, on the GPUs that Ray assigned to it."""
    os.chdir(cwd)
    return perform(folder, name, environment)
