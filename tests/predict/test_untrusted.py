"""A checkpoint is data: crafted files run nothing, reach no server, take no memory, and end in one message."""

import json
import socket
import sys

import pytest
import torch
import yaml
from jsonargparse import ArgumentParser
from predict_cases import exit_code
from support import ROOT, TinyNet
from test_configs import FILES, shrink_net
from torch import nn

import cracklab
from cracklab import plain_yaml
from cracklab.checkpoint import Payload, read_checkpoint
from cracklab.checkpoint_checks import check_resumable
from cracklab.errors import ConfigError, RunError
from cracklab.export.card import model_card
from cracklab.models.rebuild import rebuild
from cracklab.predict.trained_model import restore

OLD = ROOT / "tests" / "fixtures" / "release_0_1"
UNET = "segmentation_models_pytorch.Unet"


@pytest.fixture
def craft(tmp_path):
    """Return a function that changes the checkpoint of a release, and writes it to a file."""

    def craft(change):
        content = torch.load(OLD / "run" / "checkpoints" / "last.ckpt", weights_only=True)
        change(content)
        torch.save(content, tmp_path / "crafted.ckpt")
        return tmp_path / "crafted.ckpt"

    return craft


def with_net(path, arguments):
    """Return a change of the net that the checkpoint's text names."""

    def change(content):
        config = yaml.safe_load(content["cracklab"]["config"])
        config["model"]["net"] = {"class_path": path, "init_args": arguments}
        content["cracklab"]["config"] = yaml.safe_dump(config)

    return change


def calls(checkpoint, out):
    """Return a call of every command that reads a checkpoint."""
    config = ["--config", str(OLD / "run" / "config.yaml"), "--out", str(out)]
    return {
        "predict": ["predict", "--ckpt_path", str(checkpoint), "--images", str(OLD / "wall.png"), "--out", str(out)],
        "export": ["export", "--ckpt_path", str(checkpoint), "--out", str(out)],
        "test": ["test", *config, "--ckpt_path", str(checkpoint)],
        "fit": ["fit", *config, "--ckpt_path", str(checkpoint), "--trainer.max_epochs=3"],
        "weights": ["fit", *config, f"--model.weights={checkpoint}"],
    }


def assert_refused(call, out, capsys, expected):
    """Check that a call ends in one message with exit code 2, and writes nothing."""
    assert exit_code(call) == 2, call
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(said) == 1
    assert expected in said[0]
    assert not out.exists()


@pytest.fixture
def connections(monkeypatch):
    """Addresses that anything tried to reach."""
    tried = []

    def refuse(self, address):
        tried.append(address)
        raise OSError("no network here")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: refuse(None, host))
    return tried


def test_a_callable_in_the_arguments_of_a_net_does_not_run_a_program(craft, tmp_path, capsys):
    program, marker = tmp_path / "program", tmp_path / "marker"
    program.write_text(f"#!/bin/sh\ntouch {marker}\n")
    program.chmod(0o755)
    launch = {"min_nodes": 1, "max_nodes": 1, "nproc_per_node": 1, "rdzv_backend": "c10d", "run_id": "x"}
    config = {"class_path": "torch.distributed.launcher.api.LaunchConfig", "init_args": launch}
    attack = {"config": config, "entrypoint": str(program)}
    attack = {"class_path": "torch.distributed.launcher.api.elastic_launch", "init_args": attack}
    checkpoint = craft(with_net(UNET, {"encoder_name": "resnet18", "encoder_weights": None, "activation": attack}))
    for command in ("predict", "export"):
        assert_refused(calls(checkpoint, tmp_path / "out")[command], tmp_path / "out", capsys, "plain values only")
    assert not marker.exists()


def test_a_module_that_loads_code_from_a_folder_beside_it_is_refused(craft, tmp_path, capsys, connections):
    marker, hub = tmp_path / "marker", tmp_path / "cache" / "Project-MONAI_perceptual-models_main"
    hub.mkdir(parents=True)
    (hub / "hubconf.py").write_text(f"open({str(marker)!r}, 'w')\n")
    arguments = {"spatial_dims": 2, "network_type": "radimagenet_resnet50", "cache_dir": str(tmp_path / "cache")}
    arguments["is_fake_3d"] = False
    checkpoint = craft(with_net("monai.losses.PerceptualLoss", arguments))
    for command in ("predict", "export"):
        assert_refused(calls(checkpoint, tmp_path / "out")[command], tmp_path / "out", capsys, "a checkpoint may")
    assert not marker.exists()
    assert not connections


@pytest.mark.parametrize(
    ("path", "arguments"),
    [
        ("subprocess.Popen", {"args": ["touch", "{marker}"]}),
        ("os.system", {"command": "touch {marker}"}),
        ("pathlib.Path.touch", {"self": "{marker}"}),
        ("builtins.open", {"file": "{marker}", "mode": "w"}),
        ("torchvision.models.get_model", {"name": "resnet18", "weights": "DEFAULT"}),
        ("torchvision.models.segmentation.get_model", {"name": "resnet18", "weights": "DEFAULT"}),
        ("timm.create_model", {"model_name": "hf_hub:timm/resnet18.a1_in1k", "pretrained": True}),
        ("timm.create_model", {"model_name": "hf_hub", "pretrained": True}),
        ("timm.create_model", {"model_name": "resnet18", "checkpoint_path": "weights.pth"}),
        ("monai.networks.nets.resnet18", {"pretrained": True, "spatial_dims": 2}),
        (UNET, {"encoder_name": "tu-hf_hub:timm/resnet18.a1_in1k"}),
        (UNET, {"encoder_name": "resnet18", "classes": {"class_path": "os.system", "init_args": {"command": "ls"}}}),
        (f"{UNET}.from_pretrained", {"pretrained_model_name_or_path": "smp-hub_unet"}),
        ("segmentation_models_pytorch.base.model.torch.nn.Identity", {}),
        ("cracklab.models.unet.nn.Sequential", {}),
        ("cracklab.models.pretrained.load_file", {"filename": "weights"}),
        ("cracklab.models.__init__.import_module", {"name": "antigravity"}),
        ("support.TinyNet", {}),
        ("no.such.Class", {}),
        ("", {}),
        (["cracklab.models.UNet"], {}),
        ("cracklab.models.UNet", ["widths"]),
        ("cracklab.models.UNet", {"widths": "../x"}),
        ("cracklab.models.UNet", {"widths": [4, 10**6]}),
        ("cracklab.models.UNet", {"widths": [4] * 2000}),
        ("cracklab.models.UNet", {"dropout": float("nan")}),
        ("cracklab.models.UNet", {"dropout": 10**400}),
        ("cracklab.models.UNet", {"unknown": 1}),
        ("cracklab.models.UNet", {"widths": [100_000, 100_000]}),
        ("monai.networks.nets.Transchex", {}),
    ],
)
def test_a_checkpoint_that_names_anything_but_a_plain_net_is_refused(craft, tmp_path, path, arguments, connections):
    """Within seconds and without memory; `{marker}` is a file that an attack would create."""
    marker = tmp_path / "marker"
    if isinstance(arguments, dict):
        arguments = json.loads(json.dumps(arguments).replace("{marker}", str(marker)))
    checkpoint = craft(with_net(path, arguments))
    modules = set(sys.modules)
    with pytest.raises(RunError, match=r"cannot be rebuilt here") as refused:
        restore(checkpoint)
    assert isinstance(path, list) or path in str(refused.value) or "init_args" in str(refused.value)
    assert not marker.exists()
    assert not connections
    assert "antigravity" not in set(sys.modules) - modules


def test_a_class_is_imported_only_if_it_is_trusted(craft):
    def change(content):
        net = TinyNet()
        content["state_dict"] = {f"net.{name}": value for name, value in net.state_dict().items()}
        with_net("support.TinyNet", {"width": 8})(content)

    checkpoint = craft(change)
    with pytest.raises(RunError, match=r"the class support.TinyNet is none of the nets .* --trust"):
        restore(checkpoint, trust=["support.Other"])
    assert isinstance(restore(checkpoint, trust=["support.TinyNet"]).net, TinyNet)
    with pytest.raises(RunError, match=r"threading\.Lock (makes|cannot)"):
        rebuild({"class_path": "threading.Lock"}, 0, trust=["threading.Lock"])


def test_a_net_that_reaches_for_the_network_by_itself_is_stopped(monkeypatch):
    """Also a net of a known package whose arguments do not show it."""

    class Calling(nn.Module):
        def __init__(self):
            super().__init__()
            socket.create_connection(("127.0.0.1", 9), timeout=1)

    Calling.__module__ = "monai.networks.nets.calling"
    import monai.networks.nets

    monkeypatch.setattr(monai.networks.nets, "Calling", Calling, raising=False)
    with pytest.raises(RunError, match="would need socket"):
        rebuild("monai.networks.nets.Calling", 10)


@pytest.mark.parametrize("path", ["torchvision.models.segmentation.lraspp_mobilenet_v3_large", "timm.create_model"])
def test_functions_of_torchvision_and_timm_make_local_nets(path, connections):
    arguments = {"model_name": "resnet18", "pretrained": True} if path.startswith("timm") else {"num_classes": 1}
    assert isinstance(rebuild({"class_path": path, "init_args": arguments}, 20_000_000), nn.Module)
    assert not connections


def nets():
    """Yield each net of the configurations once, as small as it goes."""
    seen = set()
    for file in FILES:
        net = (yaml.safe_load(file.read_text()).get("model") or {}).get("net")
        if net is None:
            continue
        net = {"class_path": net} if isinstance(net, str) else net
        shrink_net(net.get("init_args", {}))
        if (text := json.dumps(net)) not in seen:
            seen.add(text)
            marks = [pytest.mark.slow] if file.stem == "trans_unet" else []
            yield pytest.param(net, id=f"{file.stem}-{net['class_path'].rpartition('.')[2]}", marks=marks)


@pytest.mark.parametrize("net", list(nets()))
def test_every_net_of_the_configurations_is_restored_with_its_weights(craft, net):
    """The resolved description, as `fit` writes it, gives the same class with the same tensors."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(nn.Module, "net")
    init = {name: None if name == "encoder_weights" else value for name, value in net.get("init_args", {}).items()}
    parsed = parser.parse_object({"net": {**net, "init_args": init}})
    trained = parser.instantiate(parsed).net
    described = yaml.safe_load(parser.dump(parsed, skip_none=False))["net"]
    if "encoder_weights" in described.get("init_args", {}):
        described["init_args"]["encoder_weights"] = "/home/me/weights.pth"  # needed no more

    def change(content):
        content["state_dict"] = {f"net.{name}": value for name, value in trained.state_dict().items()}
        with_net(described["class_path"], described.get("init_args", {}))(content)

    restored = restore(craft(change)).net
    assert type(restored) is type(trained)
    ours, theirs = restored.state_dict(), trained.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


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
    with pytest.raises(RunError, match="cannot be rebuilt here"):
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


@pytest.mark.parametrize("change", [*ODD.values(), *SEEN_BY_RESTORE.values()], ids=[*ODD, *SEEN_BY_RESTORE])
def test_odd_metadata_is_one_message(craft, tmp_path, capsys, change):
    assert_refused(calls(craft(change), tmp_path / "out")["predict"], tmp_path / "out", capsys, "checkpoint")


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
