"""The model that ships answers on real photos that it never saw, without a checkpoint of the user."""

import shutil
import subprocess
import sys

import cv2
import numpy as np
import onnx
import pytest
import torch
from scipy import ndimage

import cracklab
from cracklab.checkpoint import read_checkpoint
from cracklab.cli import main
from cracklab.errors import ConfigError, RunError
from cracklab.predict import load as loading
from cracklab.predict.deployed_model import DeployedModel
from cracklab.predict.trained_model import TrainedModel, restore
from cracklab.synthetic.draw import draw
from cracklab.weights import WEIGHTS, checkpoint_file, graph_file


def test_cracks_of_real_photos_are_found_without_a_checkpoint(deepcrack, tmp_path):
    found = [file for file in sorted((deepcrack / "train_img").glob("*.jpg"))[10::100]]
    assert main(["predict", "--images", *map(str, found), "--out", str(tmp_path)]) == 0
    near, crack = 0, 0
    for file in found:
        mask = cv2.imread(str(tmp_path / f"{file.stem}.png"), cv2.IMREAD_GRAYSCALE) > 127
        truth = cv2.imread(str(deepcrack / "train_lab" / f"{file.stem}.png"), cv2.IMREAD_GRAYSCALE) > 127
        close = [ndimage.distance_transform_edt(~one) <= 2 for one in (truth, mask)]
        near += (mask & close[0]).sum() + (truth & close[1]).sum()
        crack += mask.sum() + truth.sum()
    assert near / crack > 0.8  # 0.89 over 40 images; a net of random weights has less than 0.2


def test_a_wall_without_a_crack_has_next_to_none():
    grain = np.random.default_rng(0).normal(150, 12, (256, 256, 3))
    photo = np.clip(ndimage.gaussian_filter(grain, (1, 1, 0)), 0, 255).astype(np.uint8)
    assert cracklab.load("cracks").predict(photo).mask.mean() / 255 < 0.002


def test_a_model_that_ships_has_a_name_a_file_and_a_card():
    assert checkpoint_file("cracklab:cracks") == checkpoint_file("cracks") == WEIGHTS / "cracks.ckpt"
    assert checkpoint_file("cracklab:cracks").stat().st_size < 12e6
    assert "## cracks" in (WEIGHTS / "README.md").read_text()
    assert "Copyright (c) 2020,\nML Illustrated" in (WEIGHTS / "NOTICE").read_text(), "its licence asks for this notice"
    assert all(value.isfinite().all() for value in read_checkpoint("cracklab:cracks")["state_dict"].values())
    with pytest.raises(ConfigError, match=r"no model that ships is called 'craks'; did you mean 'cracks'"):
        checkpoint_file("cracklab:craks")


@pytest.fixture(scope="module")
def both():
    """The model that ships, by ONNX Runtime and by PyTorch."""
    return DeployedModel(checkpoint_file("cracks")), restore("cracks")


def test_onnx_runtime_gives_the_probabilities_of_pytorch_on_real_photos(both, deepcrack):
    for file in sorted((deepcrack / "test_img").glob("*.jpg"))[5::100]:
        photo = cv2.imread(str(file))[None, :, :, ::-1]
        scores = [model.score(np.ascontiguousarray(photo[:, : 32 * (photo.shape[1] // 32)])) for model in both]
        np.testing.assert_allclose(*scores, atol=1e-4)  # 6e-6 measured
        assert scores[0].max() > 0.9


def test_the_graph_has_the_settings_of_the_checkpoint(both):
    graph, checkpoint = both
    for name in ("path", "class_names", "threshold", "scale", "interpolation", "reach", "provenance"):
        assert getattr(graph, name) == getattr(checkpoint, name), name
    assert set(graph.seen) == set(checkpoint.seen)
    assert len(checkpoint.seen) > 100


def test_the_weights_of_the_graph_are_those_in_the_checkpoint():
    """The graph holds no copy of them: it refers to bytes of the checkpoint, each of a stored tensor."""
    graph = onnx.load(str(graph_file(checkpoint_file("cracks"))), load_external_data=False).graph
    content = checkpoint_file("cracks").read_bytes()
    state = read_checkpoint("cracks")["state_dict"]
    stored = {bytes(tensor.contiguous().view(torch.uint8).numpy()) for tensor in state.values() if tensor.ndim}
    linked = [
        dict((one.key, one.value) for one in tensor.external_data)
        for tensor in graph.initializer
        if tensor.external_data
    ]
    assert {one["location"] for one in linked} == {"cracks.ckpt"}
    for one in linked:
        assert content[int(one["offset"]) : int(one["offset"]) + int(one["length"])] in stored
    assert sum(int(one["length"]) for one in linked) > 0.99 * sum(map(len, stored)) - 8 * len(state)
    assert graph_file(checkpoint_file("cracks")).stat().st_size < 0.3e6


def test_a_graph_of_another_checkpoint_is_refused(tmp_path):
    file = checkpoint_file("cracks")
    shutil.copy(graph_file(file), tmp_path)
    (tmp_path / "cracks.ckpt").write_bytes(file.read_bytes() + b" ")
    with pytest.raises(RunError, match=r"was made from another file than .*cracks.ckpt: install cracklab again"):
        DeployedModel(tmp_path / "cracks.ckpt")


def test_a_missing_graph_and_a_cut_checkpoint_are_one_message(tmp_path):
    file = checkpoint_file("cracks")
    (tmp_path / "cracks.ckpt").write_bytes(file.read_bytes()[:100_000])
    with pytest.raises(RunError, match=r"cracks.onnx does not exist: install cracklab again"):
        DeployedModel(tmp_path / "cracks.ckpt")
    shutil.copy(graph_file(file), tmp_path)
    with pytest.raises(RunError, match=r"cracks.onnx cannot be loaded: .*: install cracklab again"):
        DeployedModel(tmp_path / "cracks.ckpt")


def test_pytorch_is_imported_only_where_there_may_be_a_gpu(monkeypatch):
    assert isinstance(cracklab.load("cracks", "cpu").models[0], DeployedModel)
    for there, kind in ((True, TrainedModel), (False, DeployedModel)):
        monkeypatch.setattr(loading, "gpu_may_be_there", lambda there=there: there)
        assert isinstance(cracklab.load("cracks").models[0], kind)


def test_the_first_mask_needs_no_pytorch(tmp_path):
    cv2.imwrite(str(tmp_path / "wall.png"), draw(0, (64, 96))[0])
    program = (
        "import sys\nfrom cracklab.cli import main\nmain(sys.argv[1:])\n"
        "print([name for name in ('torch', 'lightning', 'timm', 'pandas', 'scipy', 'numba') if name in sys.modules])"
    )
    call = ["predict", "--images", str(tmp_path / "wall.png"), "--out", str(tmp_path / "out"), "--device", "cpu"]
    done = subprocess.run([sys.executable, "-c", program, *call], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert cv2.imread(str(tmp_path / "out" / "wall.png"), cv2.IMREAD_UNCHANGED).shape == (64, 96)


def test_a_file_of_the_name_of_a_model_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cracks").touch()
    assert checkpoint_file("cracks").absolute() == tmp_path / "cracks"
