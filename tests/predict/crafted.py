"""Changes of a checkpoint, the calls that read one, and the check that they refuse it."""

import yaml
from predict_cases import exit_code
from support import ROOT

OLD = ROOT / "tests" / "fixtures" / "release_0_1"


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
