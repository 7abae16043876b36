"""TensorBoard in the run folder."""

from pathlib import Path

from lightning.pytorch.loggers import TensorBoardLogger

from cracklab import pictures
from cracklab.errors import ConfigError
from cracklab.loggers.media import log_picture


class TensorBoard(TensorBoardLogger):
    """TensorBoard in the run folder: `--trainer.logger TensorBoard`; needs the package tensorboard or tensorboardX.

    Args:
        save_dir: another folder than the run folder.
        log_graph: whether the net's graph is drawn.
    """

    def __init__(self, save_dir: str | None = None, log_graph: bool = False) -> None:
        try:
            super().__init__(save_dir or "", name="tensorboard", version="", log_graph=log_graph)
        except ModuleNotFoundError as error:
            raise ConfigError(
                "the logger TensorBoard needs the package tensorboard: pip install tensorboard"
            ) from error

    def use_run_folder(self, folder: Path) -> None:
        """Write into the run folder, unless `save_dir` was given; the command line calls this of every logger that has it."""
        self._root_dir = self._root_dir or str(folder)


@log_picture.register
def _(logger: TensorBoardLogger, name: str, picture: pictures.Image, step: int) -> None:
    logger.experiment.add_image(name, picture, step, dataformats="HWC")
