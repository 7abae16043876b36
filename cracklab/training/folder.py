"""The folder of a run: chosen, refused if another run is in it, locked while a fit writes, and released."""

import tempfile
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from jsonargparse import Namespace

from cracklab import run_folder
from cracklab.callbacks.run_ends import RunFolderGuard
from cracklab.files import remove_leftovers
from cracklab.run_lock import RunLock
from cracklab.training.trainer import is_first_process


class FolderOfRun:
    """The folder that one command works in. The first process chooses it and tells the others; see `RunStart`.

    Args:
        command: `fit`, `validate` or `test`.
    """

    def __init__(self, command: str) -> None:
        self.command = command
        self.guard = RunFolderGuard()
        """The callback that stops training if the folder is removed."""
        self.path = Path.cwd()
        """The folder; until it is chosen, and on other processes, the working folder."""
        self._config: Namespace
        self._text: str
        self._temporary: tempfile.TemporaryDirectory[str] | None = None

    @property
    def is_temporary(self) -> bool:
        """Whether `trainer.fast_dev_run` keeps nothing."""
        return self._temporary is not None

    def choose(self, config: Namespace, text: str) -> AbstractContextManager[None]:
        """Choose the folder; return a context that removes it if this process makes it and an error ends the block.

        Args:
            config: the resolved configuration of the command.
            text: the same as config.yaml has it.

        Raises:
            RunError: if a fit would write into the folder of another run.
        """
        self._config, self._text = config, text
        if not is_first_process():
            return nullcontext()
        if config.trainer.fast_dev_run:
            self._temporary = tempfile.TemporaryDirectory(prefix="cracklab-", ignore_cleanup_errors=True)
            self.path = Path(self._temporary.name)
        else:
            self.path = run_folder.folder_for(self.command, config.out, config.ckpt_path, config.name)
            self._refuse_used()
        makes = config.out is None or not self.path.exists()
        return run_folder.removed_on_error(self.path) if makes else nullcontext()

    def claim(self) -> None:
        """Lock the folder of a fit, and remove leftovers of killed processes."""
        if self.command != "fit" or not is_first_process():
            return
        self.guard.lock = RunLock(self.path)
        self._refuse_used()  # another process may have trained here until now
        for place in ("", run_folder.CHECKPOINTS, run_folder.PANELS, run_folder.EXAMPLES):
            remove_leftovers(self.path / place)

    def close(self) -> None:
        """Let other processes train in the folder; remove that of `trainer.fast_dev_run`."""
        if self.guard.lock is not None:
            self.guard.lock.release()
        if self._temporary is not None:
            self._temporary.cleanup()

    def _refuse_used(self) -> None:
        """Refuse to fit in a folder that holds another run."""
        if self.command == "fit":
            writes_checkpoints = self._config.trainer.enable_checkpointing is not False
            run_folder.refuse_used(self.path, self._config.ckpt_path, self._text if writes_checkpoints else None)
