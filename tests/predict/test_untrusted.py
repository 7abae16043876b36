"""A checkpoint is data: damaged and odd files take no memory, and end in one message."""

import pytest
import torch
import yaml
from crafted import OLD, assert_refused, calls
from predict_cases import exit_code

import cracklab
from cracklab import plain_yaml
from cracklab.checkpoint import Payload, read_checkpoint
from cracklab.checkpoint_checks import check_resumable
from cracklab.errors import ConfigError, RunError
from cracklab.export.card import model_card
from cracklab.predict.trained_model import restore

BOMB = "\n".join(["a0: &a0 [x]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12))])

TEXTS = {
    "alias bomb": BOMB,
    "deep": "[" * 200_000,
    "deeper": "a: " + "{a: " * 3000,
    "cycle": "a: &a [*a]",
    "long": "#" * 20_000_000,
    "python": "!!python/object/apply:os.system [ls]",
    "date": "a: 2020-99-99",
    "digits": "a: " + "1" * 10_000,
    "list": "[1, 2]",
    "number": "3",
    "no groups": "model: 3\ndata: {}",
    "no net": "model: {}\ndata: {}",
    "two": "a: 1\n---\nb: 2",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_configuration_that_is_no_configuration_is_refused(craft, text):
    checkpoint = craft(lambda content: content["cracklab"].update(config=text))
    with pytest.raises(RunError, match=r"is damaged: |cannot be rebuilt here"):
        restore(checkpoint)


def test_aliases_and_long_texts_that_expand_to_little_are_read(monkeypatch):
    monkeypatch.setattr(plain_yaml, "MAX_NODES", 10)
    assert plain_yaml.load("a: &a [1, 2]\nb: *a\nc: {<<: {d: 3}}") == {"a": [1, 2], "b": [1, 2], "c": {"d": 3}}
    assert len(plain_yaml.load("- 1\n" * 50)) == 50


def in_config(**values):
    def change(content):
        config = yaml.safe_load(content["cracklab"]["config"])
        config["data"].update(values)
        content["cracklab"]["config"] = yaml.safe_dump(config)

    return change


def in_groups(**values):
    def change(content):
        config = yaml.safe_load(content["cracklab"]["config"])
        content["cracklab"]["config"] = yaml.safe_dump(config | values)

    return change


def entry(**values):
    return lambda content: content["cracklab"].update(values)


def shared(levels=60):
    """Return lists in lists, of which a printout would have 2^levels items."""
    value = []
    for _ in range(levels):
        value = [value, value]
    return value


def bare(content):
    state = dict(content["state_dict"])
    content.clear()
    content.update(state)


def narrow(content):
    content["state_dict"]["net.head.bias"] = torch.zeros(3)


ODD = {
    "entry a list": lambda content: content.update(cracklab=[1]),
    "entry text": lambda content: content.update(cracklab="x"),
    "entry empty": lambda content: content.update(cracklab={}),
    "entry shared": lambda content: content.update(cracklab=shared()),
    "foreign": lambda content: content.pop("cracklab"),
    "version text": entry(version="abc"),
    "version number": entry(version=0.1),
    "version long": entry(version="1" * 5000 + ".0"),
    "version missing": lambda content: content["cracklab"].pop("version"),
    "config missing": lambda content: content["cracklab"].pop("config"),
    "config a list": entry(config=["x"]),
    "threshold text": entry(threshold="x"),
    "threshold nan": entry(threshold=float("nan")),
    "threshold 2": entry(threshold=2),
    "threshold huge": entry(threshold=10**6000),
    "threshold a tensor": entry(threshold=torch.zeros(3)),
    "data cut": entry(data="{"),
    "data a list": entry(data="[1]"),
    "data none": entry(data=None),
    "data deep": entry(data="[" * 100_000),
    "seen a number": entry(data='{"seen": 3}'),
    "scale text": entry(data='{"scale": ["x", 1]}'),
    "scale zero": entry(data='{"scale": [0, 1]}'),
    "names a number": entry(class_names=3),
    "names numbers": entry(class_names=[1]),
    "weights a list": lambda content: content.update(state_dict=[1]),
    "weights numbers": lambda content: content.update(state_dict={"net.a": 1}),
    "weights sparse": lambda content: content["state_dict"].update({"net.head.bias": torch.zeros(1).to_sparse()}),
    "weights missing": lambda content: content.pop("state_dict"),
    "shapes differ": narrow,
    "bare weights": bare,
}
"""Changes of a checkpoint that every command refuses."""
SEEN_BY_RESTORE = {
    "crop text": in_config(crop="x"),
    "crop negative": in_config(crop=-1),
    "scale absurd": in_config(crop=1, resize=90_000),
    "channels 7": in_config(channels=7),
    "mean a class": in_config(mean={"class_path": "os.system"}),
    "mean none": in_config(mean=[0.4, None, 0.4]),
    "std zero": in_config(std=[0.0, 0.2, 0.2]),
    "resize none": in_config(resize=[None, 3]),
    "layout unknown": in_config(layout="elsewhere.Layout"),
    "layout a list": in_config(layout=["folders"]),
    "classes of another number": entry(class_names=["a", "b"]),
    "layout of a class": in_config(layout={"class_path": "folders", "init_args": {"num_classes": 10**9}}),
}


DAMAGED = {
    "a list": entry(config="- a"),
    "a word": entry(config="hello"),
    "broken": entry(config="a: ["),
    "data a number": entry(config="{model: {}, data: 3}"),
    "data empty": entry(config="{model: {}, data: }"),
    "mean a number": in_config(mean=5),
    "mean of two": in_config(mean=[0.1, 0.2]),
    "std zero": in_config(std=[0.0, 0.0, 0.0]),
    "seed a list": in_groups(seed_everything=[1]),
    "seed a word": in_groups(seed_everything="abc"),
    "seed negative": in_groups(seed_everything=-4),
}
"""Changes of the configuration that a training refuses before it builds anything."""


@pytest.mark.parametrize("change", [*ODD.values(), *SEEN_BY_RESTORE.values()], ids=[*ODD, *SEEN_BY_RESTORE])
def test_odd_metadata_is_one_message(craft, tmp_path, capsys, change):
    assert_refused(calls(craft(change), tmp_path / "out")["predict"], tmp_path / "out", capsys, "checkpoint")


@pytest.mark.parametrize("name", [*DAMAGED])
def test_a_damaged_configuration_is_one_message_of_a_training_too(craft, tmp_path, capsys, name):
    """Some are damaged where predict does not look."""
    checkpoint, out = craft(DAMAGED[name]), tmp_path / "out"
    both = calls(checkpoint, out)
    if "seed" in name:
        del both["weights"]
    for call in (both[command] for command in ("fit", "weights") if command in both):
        assert_refused([*call, "--seed_everything=true", "--data.mean=null"], out, capsys, "crafted.ckpt is damaged: ")


@pytest.mark.parametrize("name", ["entry a list", "shapes differ", "bare weights"])
def test_every_command_refuses_odd_checkpoints(craft, tmp_path, capsys, name):
    """A selection, since each call of fit takes a second; all use the same functions."""
    checkpoint = craft(ODD[name])
    for call in calls(checkpoint, tmp_path / "out").values():
        assert_refused(call, tmp_path / "out", capsys, "crafted.ckpt")


def not_finite(value):
    def change(content):
        content["state_dict"]["net.head.bias"] = torch.full_like(content["state_dict"]["net.head.bias"], value)

    return change


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_every_command_refuses_weights_that_are_not_finite(craft, tmp_path, capsys, value):
    checkpoint = craft(not_finite(value))
    for call in calls(checkpoint, tmp_path / "out").values():
        assert_refused(call, tmp_path / "out", capsys, "weights that are not finite (net.head.bias)")
    with pytest.raises(RunError, match="not finite"):
        cracklab.load(checkpoint)


def test_weights_of_nan_that_repeat_one_number_are_refused_without_memory(craft):
    def change(content):
        content["state_dict"]["net.head.bias"] = torch.full((1,), torch.nan).expand(10**12)

    with pytest.raises(RunError, match="not finite"):
        read_checkpoint(craft(change))


def test_the_format_of_pytorch_before_archives_is_refused(tmp_path):
    """Nothing bounds the memory that reading it takes; an archive behind it does not hide it."""
    torch.save({"x": torch.zeros(3)}, tmp_path / "old.ckpt", _use_new_zipfile_serialization=False)
    torch.save({"x": torch.zeros(3)}, tmp_path / "new.ckpt")
    both = (tmp_path / "old.ckpt").read_bytes() + (tmp_path / "new.ckpt").read_bytes()
    (tmp_path / "both.ckpt").write_bytes(both)
    for name in ("old", "both"):
        with pytest.raises(RunError, match=r"PyTorch before 1\.6"):
            read_checkpoint(tmp_path / f"{name}.ckpt")


def scheduled(**values):
    return lambda content: content["lr_schedulers"][0].update(values)


@pytest.mark.parametrize(
    "change",
    [scheduled(step=3), scheduled(last_epoch="x"), scheduled(base_lrs=[]), scheduled(_last_lr=[float("nan")])],
    ids=["a method", "text", "no rates", "nan"],
)
def test_an_odd_state_of_a_schedule_is_one_message_and_writes_nothing(craft, tmp_path, capsys, change):
    assert_refused(calls(craft(change), tmp_path / "out")["fit"], tmp_path / "out", capsys, "lr_schedulers.0")


def test_a_file_without_content_a_folder_and_an_inflated_archive_are_refused(tmp_path):
    import zipfile

    (tmp_path / "empty.ckpt").touch()
    (tmp_path / "folder.ckpt").mkdir()
    torch.save({"x": torch.zeros(1_000_000)}, tmp_path / "plain.ckpt")
    with (
        zipfile.ZipFile(tmp_path / "plain.ckpt") as plain,
        zipfile.ZipFile(tmp_path / "small.ckpt", "w", zipfile.ZIP_DEFLATED) as small,
    ):
        for member in plain.namelist():
            small.writestr(member, plain.read(member))
    for name, expected in (("empty", "damaged"), ("folder", "is a folder"), ("small", "is compressed")):
        with pytest.raises(RunError, match=expected):
            read_checkpoint(tmp_path / f"{name}.ckpt")


def without(name):
    return lambda content: content.pop(name)


def ready(value):
    return lambda content: content["loops"]["fit_loop"]["epoch_progress"]["current"].update(ready=value)


@pytest.mark.parametrize(
    "change",
    [
        *map(
            without, ["pytorch-lightning_version", "epoch", "global_step", "loops", "optimizer_states", "lr_schedulers"]
        ),
        *(lambda content, name=name: content.update({name: "x"}) for name in ("loops", "callbacks", "epoch")),
        lambda content: content.update({"pytorch-lightning_version": "abc"}),
        lambda content: content.update(callbacks={"Checkpoints": 3}),
        lambda content: content.update(optimizer_states=[3]),
    ],
)
def test_a_run_is_not_resumed_without_what_lightning_reads(craft, change):
    checkpoint = craft(change)
    with pytest.raises(RunError, match="is damaged"):
        check_resumable(read_checkpoint(checkpoint), checkpoint, "fit")


@pytest.mark.parametrize("change", [without("loops"), ready("x")], ids=["no loops", "odd counter"])
def test_resuming_from_damaged_counters_is_one_message_and_writes_nothing(craft, tmp_path, capsys, change):
    assert_refused(calls(craft(change), tmp_path / "out")["fit"], tmp_path / "out", capsys, "loops")


def test_the_card_of_a_bundle_is_written_whatever_the_rest_of_the_configuration_is(tmp_path):
    settings = {"classes": 1, "threshold": 0.5, "scale": [1, 1], "channels": 3, "opset": 18, "tile": 512, "overlap": 6}
    settings["scales"] = [1.0]
    origin = {"cracklab": "0.1.0", "epoch": None, "data": {}}
    training = {"model": {"net": "cracklab.models.UNet", "loss": [1]}, "data": {"layout": {}}}
    text = model_card({**settings, "reach": 3}, origin, training, tmp_path / "a.ckpt", 0)
    assert "UNet" in text


def test_an_odd_state_of_an_optimizer_is_one_message(craft, tmp_path, capsys):
    checkpoint = craft(lambda content: content.update(optimizer_states=[{"state": {}, "param_groups": [{}]}]))
    assert exit_code(calls(checkpoint, tmp_path / "out")["fit"]) == 2
    assert "cannot be resumed" in capsys.readouterr().err


def test_class_names_are_written_and_those_of_old_checkpoints_follow_from_the_layout(craft):
    assert restore(OLD / "run" / "checkpoints" / "best.ckpt").class_names == ("crack",)
    assert Payload("", 0.5, class_names=("a", "b")).to_entry()["class_names"] == ["a", "b"]
    assert restore(craft(entry(class_names=["wall"]))).class_names == ("wall",)
    layout = {"class_path": "folders", "init_args": {"num_classes": 3, "class_names": ["a", "b", "c"]}}
    for nested in (layout, {"class_path": "tiles", "init_args": {"layout": layout}}):
        assert restore(craft(in_config(layout=nested))).class_names == ("a", "b", "c")
    sources = {"class_path": "sources", "init_args": {"sources": [{"name": "x", "layout": "camvid"}]}}
    assert len(restore(craft(in_config(layout=sources))).class_names) == 11


def test_a_configuration_file_that_expands_without_bound_is_refused(tmp_path, capsys):
    (tmp_path / "bomb.yaml").write_text(BOMB)
    from cracklab import config_files

    with pytest.raises(ConfigError, match="aliases stand for more than"):
        config_files.read(tmp_path / "bomb.yaml")
