"""Runs on a Ray cluster: Ray places them, counts GPUs in fractions, and starts them again where a node dies.

All nodes see the study's folder under the same path.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cracklab.errors import ConfigError
from cracklab.study.folder import PlannedRun, Study
from cracklab.study.worker import Outcome, perform

RETRIES = 5
"""So often Ray starts a run again whose node or worker died; the run goes on from its last epoch."""

FORWARDED = ("PYTHONPATH", "WANDB_")
"""Beginnings of the variables that workers get from whoever starts the study; all else is the node's own."""


class OnRay:
    """An executor on Ray.

    Args:
        address: of a running cluster; None: one on this machine, for as long as the study takes.
        cpus: cores a run.
        gpus: GPUs a run; 0.5 puts two on one.

    Raises:
        ConfigError: where Ray is not installed, or the cluster does not answer.
    """

    def __init__(self, address: str | None, cpus: float, gpus: float) -> None:
        # under `uv run`, Ray would make a fresh environment for every worker
        os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
        try:
            import ray
        except ImportError:
            raise ConfigError("--executor ray needs the package ray: pip install 'cracklab[ray]'") from None
        self.ray: Any = ray
        self.address, self.cpus, self.gpus = address, cpus, gpus

    def __call__(self, study: Study, runs: Sequence[PlannedRun]) -> Iterator[Outcome]:
        """Work on runs; outcomes come as runs end."""
        ray = self.ray
        if not ray.is_initialized():
            try:
                ray.init(
                    address=self.address, log_to_driver=False, include_dashboard=False if self.address is None else None
                )
            except (ConnectionError, OSError, RuntimeError, ValueError) as error:
                raise ConfigError(f"--address {self.address}: the Ray cluster does not answer ({error})") from None
        own = {name: value for name, value in os.environ.items() if name.startswith(FORWARDED)}
        one = ray.remote(num_cpus=self.cpus, num_gpus=self.gpus, max_retries=RETRIES)(_perform)
        pending = {one.remote(str(study.folder), run.name, os.getcwd(), own): run for run in runs}
        try:
            while pending:
                done, _ = ray.wait(list(pending), num_returns=1)
                for reference in done:
                    yield self._outcome(reference, pending.pop(reference))
        finally:
            for reference in pending:
                ray.cancel(reference, force=True)

    def _outcome(self, reference: Any, run: PlannedRun) -> Outcome:
        try:
            outcome: Outcome = self.ray.get(reference)
        except self.ray.exceptions.RayError as error:
            return Outcome(run.name, "failed", lines=[f"Ray: {line}" for line in str(error).strip().splitlines()[-5:]])
        return outcome


def _perform(folder: str, name: str, cwd: str, environment: Mapping[str, str]) -> Outcome:
    """What a worker does, on the GPUs that Ray gave it."""
    os.chdir(cwd)
    return perform(folder, name, environment)
