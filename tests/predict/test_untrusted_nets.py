"""A net that a checkpoint names is built only if it is known: crafted files run nothing and reach no server."""

import json
import socket
import sys

import pytest
import torch
import yaml
from crafted import assert_refused, calls, with_net
from jsonargparse import ArgumentParser
from support import TinyNet
from test_configs import FILES, shrink_net
from torch import nn

from cracklab.errors import RunError
from cracklab.models.rebuild import rebuild
from cracklab.predict.trained_model import restore

UNET = "segmentation_models_pytorch.Unet"


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
    with pytest.raises(RunError, match=r"the class support.TinyNet is not one of the nets .* --trust"):
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
