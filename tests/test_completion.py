"""Completion of the command line, by a real bash."""

import ast
import inspect
import re
import subprocess
import sys

import pytest

from cracklab.cli import COMMANDS, main
from cracklab.completion import TYPED
from cracklab.data.datamodule import CrackDataModule
from cracklab.measure.command import parser as measure_parser
from cracklab.module import CrackModule


@pytest.fixture(scope="module")
def script():
    """What the command prints; it must not wait for PyTorch."""
    program = (
        "import sys\nfrom cracklab.cli import main\nmain(['--print-completion', 'bash'])\n"
        "print([name for name in ('torch', 'lightning', 'pandas', 'matplotlib') if name in sys.modules])"
    )
    text = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    *lines, heavy = text.splitlines()
    assert ast.literal_eval(heavy) == []
    return "\n".join(lines)


def complete(script, *words):
    """Return the completions of the last word."""
    typed = " ".join(f"'{word}'" for word in ("cracklab", *words))
    call = f"{script}\nCOMP_WORDS=({typed}); COMP_CWORD={len(words)}; _cracklab; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    return subprocess.run(["bash", "-c", call], capture_output=True, text=True, check=True).stdout.split()


def test_bash_completes_commands_options_and_their_values(script):
    assert complete(script, "m") == ["measure", "models"]
    assert set(COMMANDS) < set(complete(script, ""))
    options = [name for name in measure_parser().option_names() if name.startswith("--m")]
    assert "--min_length_mm" in options
    assert complete(script, "measure", "masks", "--m") == options
    assert complete(script, "measure", "--min-length") == ["--min_length_px", "--min_length_mm"]
    assert complete(script, "predict", "--tta", "") == ["none", "flips"]
    assert complete(script, "predict", "--images", "wa") == [], "bash completes files"
    assert {"--folds", "--data.root", "--config"} < set(complete(script, "kfold", "--"))
    assert complete(script, "fit", "--model.l") == ["--model.loss"]
    assert subprocess.run(["bash", "-n", "-c", script], check=True).returncode == 0
    asked = subprocess.run(
        ["bash", "-c", f"{script}\ncomplete -p cracklab"], capture_output=True, text=True, check=True
    )
    assert asked.stdout == "complete -o default -F _cracklab cracklab\n"


def test_options_that_are_listed_by_hand_exist():
    known = {"data": inspect.signature(CrackDataModule).parameters, "model": inspect.signature(CrackModule).parameters}
    for names in TYPED.values():
        for name in names:
            section, _, key = name.removeprefix("--").partition(".")
            assert section not in known or key in known[section], name
    assert set(TYPED) < set(COMMANDS)


def test_another_shell_is_refused_and_zsh_loads_the_completion_of_bash(capsys):
    assert main(["--print_completion", "zsh"]) == 0
    assert re.match(r"autoload .*bashcompinit\n_cracklab\(\) \{", capsys.readouterr().out)
    for shell in (["fish"], []):
        with pytest.raises(SystemExit) as end:
            main(["--print_completion", *shell])
        assert end.value.code == 2
        assert "known are bash, zsh" in capsys.readouterr().err
