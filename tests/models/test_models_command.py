"""`cracklab models`: figures of nets, and errors for wrong calls."""

import io
from contextlib import redirect_stdout

import pytest
import yaml
from support import ROOT

from cracklab.cli import main
from cracklab.weights import WEIGHTS

pytestmark = pytest.mark.slow  # every net is built


@pytest.fixture(scope="module")
def everything():
    """What the command prints without names."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        assert main(["models", "--size", "64"]) == 0
    return printed.getvalue()


def rows(capsys, *arguments):
    assert main(["models", *arguments]) == 0
    return read(capsys.readouterr().out)


def read(printed):
    lines = printed.splitlines()
    table = lines[next(i for i, line in enumerate(lines) if line.startswith("net ")) + 1 :]
    return {line.split()[0]: line.split()[1:] for line in table if line.count("  ") > 3}, lines


def test_multiply_adds_and_parameters_are_those_of_the_formulas(capsys):
    """Multiply-adds of a convolution: pixels x kernel x channels in x channels out; transposed: pixels that come in."""
    side = 64
    layers = [
        (1, 64, 1),
        (64, 64, 1),
        (64, 64, 2),
        (64, 64, 2),
        (64, 128, 4),
        (128, 128, 4),
        (128, 256, 8),
        (256, 128, 8),
    ]
    layers += [(128, 128, 8), (256, 128, 4), (128, 64, 4), (64, 64, 4), (128, 64, 2), (64, 64, 2)]
    layers += [(64, 64, 2), (128, 64, 1), (64, 64, 1), (64, 1, 1)]
    expected = sum(9 * before * after * (side // scale) ** 2 for before, after, scale in layers)
    found, lines = rows(capsys, "pipe_unet", "unet_resnet34", "--size", str(side))
    assert found["pipe_unet"] == ["cracklab.models.PipeUNet", "1", "1,735,361", f"{expected / 1e9:.2f}"]
    assert found["unet_resnet34"][2] == "24,436,369"  # what segmentation-models-pytorch documents
    assert "half of the FLOPs" in "\n".join(lines)


def test_every_net_with_a_configuration_is_listed(everything):
    found, _ = read(everything)
    assert set(found) == {path.stem for path in (ROOT / "configs/model").glob("*.yaml")}
    assert all(float(row[-1]) > 0 for row in found.values())


def test_models_that_ship_are_listed_and_their_names_print_their_cards(everything, capsys):
    assert everything.splitlines()[1] == f"  cracklab:cracks  {(WEIGHTS / 'cracks.ckpt').stat().st_size / 1e6:.1f} MB"
    assert "unet_resnet34" in everything
    section = (WEIGHTS / "README.md").read_text().partition("\n## cracks\n")[2].strip()
    for name in ("cracks", "cracklab:cracks"):
        assert main(["models", name]) == 0
        said = capsys.readouterr().out
        assert said.startswith("## cracks\n\n" + section)
        assert "unet_resnet34" not in said
    found, _ = rows(capsys, "cracks", "unet_resnet34", "--size", "64")
    assert "unet_resnet34" in found


def test_a_configuration_may_have_overlays_and_other_channels(capsys, tmp_path):
    overlay = {"model": {"net": {"init_args": {"encoder_name": "resnet34"}}}, "data": {"channels": 1}}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(overlay))
    arguments = ["--config", "cracklab:base", "--config", str(tmp_path / "mine.yaml"), "--size", "64"]
    found, _ = rows(capsys, *arguments)
    # the first convolution, 7 x 7 with 64 filters, has two input channels fewer
    assert found["mine"][1:3] == ["1", f"{24_436_369 - 2 * 64 * 49:,}"]
    found, _ = rows(capsys, *arguments, "--channels", "3")
    assert found["mine"][1:3] == ["3", "24,436,369"]


def test_an_image_size_that_a_net_rejects_is_reported(capsys):
    found, lines = rows(capsys, "manet", "unet_resnet34", "--size", "50")
    assert found["manet"][-1] == "-"
    assert float(found["unet_resnet34"][-1]) > 0
    assert any(line.startswith("manet: ") and "divisible by 32" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["unet_plusplus"], "did you mean 'unetplusplus'?"),
        (["craks"], "did you mean 'cracks'?"),
        (["--config", "cracklab:data/folders"], "has no model.net"),
        (["--config", "no.yaml"], "no.yaml does not exist"),
        (["unet", "--size", "0"], "--size is 0: give a number of at least 1"),
        (["unet", "--channels", "-1"], "--channels is -1: give a number of at least 1"),
        (["unet", "--size", "big"], "invalid int value: 'big'"),
        (["unet", "--sise", "64"], "no option is called '--sise'; did you mean '--size'?"),
        (["--config", "cracklab:model/unett"], "did you mean 'model/unet'?"),
    ],
)
def test_a_wrong_call_is_one_message(capsys, arguments, message):
    with pytest.raises(SystemExit) as raised:
        main(["models", *arguments])
    assert raised.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line


def test_a_net_that_cannot_be_built_is_named(capsys, tmp_path):
    (tmp_path / "wrong.yaml").write_text("model: {net: {class_path: cracklab.models.UNet, init_args: {width: 3}}}")
    with pytest.raises(SystemExit):
        main(["models", "--config", str(tmp_path / "wrong.yaml")])
    error = capsys.readouterr().err
    assert "wrong.yaml: the net cannot be built" in error
    assert "width" in error
