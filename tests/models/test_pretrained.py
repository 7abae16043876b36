"""Weights of encoders: a file gives the weights that the hub gives; a missing source is one clear error."""

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
import segmentation_models_pytorch as smp
import timm
import torch
import torchvision
from huggingface_hub import constants
from safetensors.torch import save_file
from support import QUICKSTART, TINY, fit

from cracklab.cli import main
from cracklab.errors import ConfigError
from cracklab.models import CrackSeg, TransUNet
from cracklab.models.pretrained import _is_reachable, build, without_downloads
from cracklab.predict.trained_model import restore

NOWHERE = "http://127.0.0.1:9"
"""An address without a server: the port of `discard`."""


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Yield a function that puts weights into the cache of a hub that does not answer."""
    folder = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", NOWHERE)

    def put(repository, state, revision="0" * 40):
        place = folder / f"models--{repository.replace('/', '--')}"
        snapshot = place / "snapshots" / revision
        snapshot.mkdir(parents=True)
        (place / "refs").mkdir()
        (place / "refs/main").write_text(revision)
        (snapshot / "config.json").write_text(json.dumps({}))
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, snapshot / "model.safetensors")

    return put


def same(first, second):
    first, second = first.state_dict(), second.state_dict()
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        if not name.endswith("num_batches_tracked"):
            torch.testing.assert_close(tensor, second[name], rtol=0, atol=0)


@pytest.mark.parametrize("make", [smp.Unet, CrackSeg])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_file_gives_the_encoder_that_the_hub_gives(hub, tmp_path, make, channels):
    state = torchvision.models.resnet18().state_dict()  # with a classifier, as in the published files
    settings = smp.encoders.encoders["resnet18"]["pretrained_settings"]["imagenet"]
    hub(settings["repo_id"], state, settings["revision"])
    torch.save(state, tmp_path / "r18.pth")
    options = {"encoder_name": "resnet18", "in_channels": channels}
    from_hub = build(make, **options, encoder_weights="imagenet")
    same(build(make, **options, encoder_weights=str(tmp_path / "r18.pth")).encoder, from_hub.encoder)
    if channels == 3:
        torch.testing.assert_close(from_hub.encoder.layer4[1].conv2.weight, state["layer4.1.conv2.weight"])


@pytest.mark.parametrize("channels", [1, 3])
def test_encoders_of_timm_take_a_file_as_timm_does(hub, tmp_path, channels):
    net = timm.create_model("convnext_atto")
    hub("timm/convnext_atto.d2_in1k", net.state_dict())
    save_file(net.state_dict(), tmp_path / "atto.safetensors")
    options = {"encoder_name": "tu-convnext_atto", "in_channels": channels}
    from_file = build(smp.Unet, **options, encoder_weights=str(tmp_path / "atto.safetensors"))
    same(from_file.encoder, build(smp.Unet, **options, encoder_weights="imagenet").encoder)


@pytest.mark.parametrize("channels", [1, 3])
def test_trans_unet_takes_a_file_as_timm_does(hub, tmp_path, channels):
    state = timm.create_model("vit_base_r50_s16_224", depth=1).state_dict()
    hub("timm/vit_base_r50_s16_224.orig_in21k", {k: v for k, v in state.items() if not k.startswith("head.")})
    torch.save(state, tmp_path / "hybrid.pth")
    from_file = build(TransUNet, layers=1, in_channels=channels, encoder_weights=str(tmp_path / "hybrid.pth"))
    same(from_file.encoder, build(TransUNet, layers=1, in_channels=channels, encoder_weights="imagenet").encoder)


@pytest.mark.parametrize("encoder", ["mobilenet_v2", "densenet121"])
def test_a_file_of_torchvision_fits(tmp_path, encoder):
    state = getattr(torchvision.models, encoder)().state_dict()
    torch.save(state, tmp_path / "weights.pth")
    net = build(smp.Unet, encoder_name=encoder, encoder_weights=str(tmp_path / "weights.pth"))
    own = net.encoder.state_dict()
    common = [name for name in own if name in state and own[name].ndim == 4]
    assert len(common) > 7
    assert all(torch.equal(own[name], state[name]) for name in common)


def test_the_encoder_of_a_whole_net_or_of_a_checkpoint_fits(tmp_path):
    net = smp.Unet("resnet18", encoder_weights=None)
    torch.save(net.state_dict(), tmp_path / "net.pth")
    checkpoint = {"state_dict": {f"net.{name}": value for name, value in net.state_dict().items()}, "epoch": 3}
    torch.save(checkpoint, tmp_path / "best.ckpt")
    for file in ("net.pth", "best.ckpt"):
        same(build(CrackSeg, encoder_name="resnet18", encoder_weights=str(tmp_path / file)).encoder, net.encoder)


def test_files_that_do_not_fit_are_one_clear_error(tmp_path):
    def refused(path, match, cls=smp.Unet, **options):
        with pytest.raises(ConfigError, match=match):
            build(cls, **options, encoder_weights=str(path))

    torch.save(torchvision.models.resnet18().state_dict(), tmp_path / "r18.pth")
    (tmp_path / "text.pth").write_text("no weights")
    (tmp_path / "text.safetensors").write_text("no weights")
    torch.save({"epoch": 3}, tmp_path / "empty.pth")
    torch.save(smp.Unet("resnet18", encoder_weights=None), tmp_path / "pickled.pth")
    small = {"encoder_name": "resnet18"}
    refused(
        tmp_path / "r18.pth",
        r"r18\.pth does not fit the encoder of Unet .*set model\.net\.encoder_name",
        encoder_name="resnet34",
    )
    refused(tmp_path / "r18.pth", r"does not fit", encoder_name="efficientnet-b0")
    refused(tmp_path / "no.pth", r"no\.pth is not a file: give a file by --model\.net\.encoder_weights PATH", **small)
    refused(tmp_path / "text.pth", r"text\.pth cannot be read", **small)
    refused(tmp_path / "text.safetensors", r"text\.safetensors cannot be read", **small)
    refused(tmp_path / "empty.pth", r"empty\.pth holds no state dict", **small)
    refused(tmp_path / "pickled.pth", r"pickled\.pth cannot be read", **small)
    with pytest.raises(KeyError, match="imagenett"):  # smp names the misspelt word itself
        build(smp.Unet, **small, encoder_weights="imagenett")


def test_a_hub_that_does_not_answer_is_one_error_and_nothing_is_written(hub, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as raised:
        main(["fit", "--config", str(QUICKSTART), *TINY, "--model.net.encoder_weights=imagenet", "--out", "run"])
    assert raised.value.code == 2
    printed = capsys.readouterr()
    assert f"{NOWHERE} does not answer" in printed.out
    assert constants.HF_HUB_OFFLINE  # else its library retries for a minute
    (line,) = printed.err.strip().splitlines()
    assert line.startswith("error: encoder_weights 'imagenet' cannot be downloaded from the hub")
    assert "--model.net.encoder_weights PATH" in line
    assert not list(tmp_path.glob("run*"))


@pytest.mark.parametrize("status", [200, 404, 503])
def test_a_server_is_reachable_whatever_it_answers(status):
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(status)
            self.end_headers()

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        assert _is_reachable(f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
    assert not _is_reachable(NOWHERE)


def test_a_net_whose_weights_a_checkpoint_holds_needs_neither_hub_nor_file(hub):
    for weights in ("imagenet", "gone.pth"):
        net = build(smp.Unet, fresh=False, encoder_name="resnet18", encoder_weights=weights)
        assert net.encoder is not None
    assert not constants.HF_HUB_OFFLINE  # the hub was not even asked


def test_downloads_are_switched_off_in_nested_nets_too():
    inner = {"class_path": "Inner", "init_args": {"pretrained": True, "depth": 3}}
    config = {"class_path": "Outer", "init_args": {"encoder_weights": "imagenet", "inner": inner, "classes": [1]}}
    assert without_downloads(config) == {
        "class_path": "Outer",
        "init_args": {
            "encoder_weights": None,
            "inner": {"class_path": "Inner", "init_args": {"pretrained": False, "depth": 3}},
            "classes": [1],
        },
    }
    assert config["init_args"]["encoder_weights"] == "imagenet"  # the configuration itself is unchanged


@pytest.mark.slow
def test_the_file_is_needed_only_to_start_a_run(tmp_path, hub):
    """A resumed run, a test and a rebuilt net take their weights from the checkpoint."""
    file = tmp_path / "r18.pth"
    torch.save(torchvision.models.resnet18().state_dict(), file)
    more = ["--data.channels=1", "--model.schedule=cracklab.schedules.Constant", "--model.encoder_lr_factor=0"]
    more += ["--data.layout.train=8", "--data.layout.size=[32,32]"]
    out = fit(tmp_path / "run", f"--model.net.encoder_weights={file}", "--trainer.max_epochs=1", *more)
    assert f"encoder_weights: {file}" in (out / "config.yaml").read_text()
    wanted = build(smp.Unet, encoder_name="resnet18", in_channels=1, encoder_weights=str(file))
    file.unlink()
    last, config = str(out / "checkpoints/last.ckpt"), str(out / "config.yaml")
    assert main(["fit", "--config", config, "--ckpt_path", last, "--trainer.max_epochs=2", "--out", str(out)]) == 0
    assert main(["test", "--config", config, "--ckpt_path", last]) == 0
    weights = restore(last).net.encoder.layer4[1].conv2.weight  # frozen, hence equal to the file
    torch.testing.assert_close(weights, wanted.encoder.layer4[1].conv2.weight)
    with pytest.raises(SystemExit):
        main(["fit", "--config", config, "--out", str(tmp_path / "other")])  # a new run needs the file
