"""Every shipped configuration resolves over base.yaml with the real parser and trains for two steps."""

from contextlib import closing

import layout_data
import pytest
import yaml
from support import ROOT

from cracklab.module import CrackModule
from cracklab.study.inputs import read_inputs
from cracklab.study.plan import as_arguments, axes_of, fold_axis
from cracklab.training.command import CrackCLI
from cracklab.weights import SHIPPED

CONFIGS = ROOT / "configs"
BASE = CONFIGS / "base.yaml"
COMPLETE = {"base", "quickstart", "pretrained/cracks"}
"""Configurations that are complete by themselves."""
FILES = sorted(CONFIGS.rglob("*.yaml"))
SMALL = {"resnet": "resnet18", "efficientnet": "efficientnet-b0", "mit_": "mit_b0", "tu-convnext": "tu-convnext_atto"}
"""Prefix of an encoder's name -> the smallest encoder of its family."""


class TwoSteps(CrackCLI):
    """`cracklab fit` whose parsed configuration is changed to small images, and optionally to small nets.

    Args:
        folder: an unused folder.
    """

    def __init__(self, folder):
        self.root, self.small = folder, True
        super().__init__("fit", [f"--config={CONFIGS / 'quickstart.yaml'}"])

    def build_in(self, folder, arguments, small=True):
        """Parse arguments, and build net, loss and data; data and results are written to a folder."""
        self.root, self.small = folder / "data", small
        self.build([*arguments, f"--out={folder / 'run'}", "--wandb.mode=disabled"])

    def before_instantiate_classes(self):
        config = self.config["fit"]
        data, net, trainer = config.data, config.model.net.get("init_args") or {}, config.trainer
        layout_data.shrink(data.layout)
        layout_data.write(self.root, data.layout.as_dict())
        data.root, data.cache, data.num_workers, data.batch_size, data.eval_batch_size = str(self.root), "none", 0, 2, 2
        if data.resize is not None:
            data.resize = (layout_data.SIDE, layout_data.SIDE)
        for key in ("crop", "train_crop", "pad"):
            if data.get(key) is not None:
                data[key] = layout_data.SIDE
        if data.get("train_images") is not None:
            data.train_images = 8
        if "encoder_weights" in net:
            net["encoder_weights"] = None
        if self.small:
            shrink_net(net, keep_decoder=bool(config.model.weights))
            config.model.compile, trainer.precision = False, "32-true"  # half precision is slow on most processors
        trainer.accelerator, trainer.devices, trainer.max_steps, trainer.num_sanity_val_steps = "cpu", 1, 2, 0
        trainer.limit_train_batches, trainer.limit_val_batches, trainer.check_val_every_n_epoch = 2, 1, 1
        trainer.enable_progress_bar = trainer.enable_model_summary = trainer.enable_checkpointing = False
        trainer.precision = (
            "bf16-mixed" if trainer.precision == "16-mixed" else trainer.precision
        )  # float16 needs a GPU
        super().before_instantiate_classes()


def shrink_net(options, keep_decoder=False):
    """Take the smallest encoder of the same family, one transformer layer, and few channels; weights need their decoder."""
    for family, smallest in SMALL.items():
        if str(options.get("encoder_name")).startswith(family):
            options["encoder_name"] = smallest
    if "layers" in options:  # of TransUNet
        options["layers"] = 1
    for key in ("widths", "channels", "filters", "decoder_channels"):
        if isinstance(options.get(key), list | tuple) and not (keep_decoder and key == "decoder_channels"):
            options[key] = [8] * len(options[key])


def name_of(path):
    return path.relative_to(CONFIGS).with_suffix("").as_posix()


def calls(path, folder):
    """Return the arguments of fit for a configuration; for a study or a sweep, sets that use every label and value once."""
    content = yaml.safe_load(path.read_text())
    if "study" in content:
        inputs = read_inputs("study", ["--config", str(path)])
        for name, text in inputs.configs.items():
            (folder / name).write_text(text)
        common = [argument.replace("--config=", f"--config={folder}/") for argument in inputs.arguments]
        axes = axes_of(inputs.grid) | ({"fold": fold_axis(int(inputs.folds), False)} if inputs.folds else {})
        overlays = [list(labels.values()) for labels in axes.values()]
    elif "program" in content:
        common = [argument.replace("${args}", "") for argument in content["command"][2:-1]]
        overlays = [
            [{key: value} for value in axis.get("values", [axis.get("min")])]
            for key, axis in content["parameters"].items()
        ]
    else:
        common = [f"--config={one}" for one in ([path] if name_of(path) in COMPLETE else [BASE, path])]
        overlays = [[{}]]
    for i in range(max(map(len, overlays))):
        cell = {key: value for axis in overlays for key, value in axis[i % len(axis)].items()}
        if cell.get("model.weights") and not cell["model.weights"].startswith(SHIPPED):  # another run makes it first
            cell["model.weights"] = None
        yield [*common, *as_arguments(cell)]


@pytest.fixture(scope="module")
def cli(tmp_path_factory):
    """One for all configurations, since building a parser takes as long as two steps."""
    return TwoSteps(tmp_path_factory.mktemp("unused"))


def train(cli, arguments, folder, small):
    cli.build_in(folder, arguments, small)
    with closing(cli.folder):
        cli.run()
    assert cli.trainer.global_step == 2
    assert cli.model.result.metrics["val/iou"] is not None


LARGE = ("ade20k", "trans_unet", "upernet", "unetplusplus")
"""Configurations whose nets take ten seconds for two steps."""


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=pytest.mark.slow if path.stem in LARGE else ())
        for path in FILES
        if path.parent.name != "studies"
    ],
    ids=name_of,
)
def test_every_configuration_trains_two_steps(cli, path, tmp_path):
    """A configuration that leaves the net to base.yaml trains a tiny one; base.yaml trains its own."""
    arguments = next(calls(path, tmp_path))
    if path != BASE and "net" not in (yaml.safe_load(path.read_text()).get("model") or {}):
        arguments.append("--model.net=support.TinyNet")
    train(cli, arguments, tmp_path, small=True)


@pytest.mark.parametrize("path", [path for path in FILES if path.parent.name == "studies"], ids=name_of)
def test_the_first_cell_of_every_study_can_be_built(cli, path, tmp_path):
    """Its training, like that of all other cells, is a slow test."""
    cli.build_in(tmp_path, next(calls(path, tmp_path)))
    assert isinstance(cli.model, CrackModule)
    assert cli.datamodule.root == tmp_path / "data"


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_cell_of_a_study_trains_two_steps(cli, path, tmp_path):
    """The nets at full size, and every label of a study."""
    for i, arguments in enumerate(calls(path, tmp_path)):
        (tmp_path / str(i)).mkdir()
        train(cli, arguments, tmp_path / str(i), small=False)


def test_the_short_name_of_a_configuration_is_its_file():
    """`cracklab:NAME` finds every file of the folder, and no other."""
    from cracklab import config_files

    assert config_files.names() == [name_of(path) for path in FILES]
    assert {config_files.find(f"cracklab:{name}") for name in config_files.names()} == set(FILES)
