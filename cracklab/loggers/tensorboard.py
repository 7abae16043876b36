"""TensorBoard in the run folder."""

from pathlib import Path

from lightning.pytorch.loggers import TensorBoardLogger

from cracklab.errors import ConfigError


class TensorBoard(TensorBoardLogger):
    """TensorBoard in the run folder: `--trainer.logger TensorBoard`; needs the package tensorboard or tensorboardX.

    Args:
        save_dir: another folder.
        log_graph: whether the net's graph is drawn.
    """

    def __init__(self, save_dir: str | None = None, log_graph: bool = False) -> None:
        try:
            super().__init__(save_dir or "", name="tensorboard", version="", log_graph=log_graph)
        except ModuleNotFoundError as error:
            raise ConfigError(
                "the logger TensorBoard needs the package tensorboard: pip install tensorboard"
            ) from error

    def settle(self, folder: Path) -> None:
        """Write into the run folder, unless a folder was given."""
        self._root_dir = self._root_dir or str(folder)
