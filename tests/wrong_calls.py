"""A grammar of wrong calls, derived from the parsers and signatures of cracklab."""

import math
from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin

from hypothesis import strategies as st
from support import QUICKSTART, TINY

from cracklab.bounds import Ge, Gt, Le, Lt, bounded_hints
from cracklab.callbacks import Checkpoints, Panels
from cracklab.data.augment import Flips
from cracklab.data.datamodule import CrackDataModule
from cracklab.data.layouts.synthetic import Synthetic
from cracklab.export.command import parser as export_parser
from cracklab.measure.command import parser as measure_parser
from cracklab.metrics.options import EvaluationOptions
from cracklab.module import CrackModule
from cracklab.predict.command import parser as predict_parser
from cracklab.rank.command import parser as rank_parser
from cracklab.schedules import OneCycle
from cracklab.study.command import parser as study_parser

FIT = ["--config", str(QUICKSTART), *TINY]
GROUPS = {
    "data": CrackDataModule,
    "model": CrackModule,
    "model.evaluation": EvaluationOptions,
    "model.schedule": OneCycle,
    "data.layout": Synthetic,
    "data.augment": Flips,
    "checkpoint": Checkpoints,
    "panels": Panels,
}
"""Prefix of keys of fit -> the class that declares them."""
PARSERS = {
    "predict": predict_parser(),
    "export": export_parser(),
    "measure": measure_parser(),
    "rank": rank_parser(),
    "kfold": study_parser("kfold"),
    "study": study_parser("study"),
}
COMMANDS = {
    "fit": FIT,
    "kfold": [*FIT, "--folds", "2", "--out", "out"],
    "check": ["--config", str(QUICKSTART)],
}
"""Commands that take the keys of fit, with arguments that work."""


def outside(hint: Any) -> Iterator[str]:
    """Yield values outside the bounds of a type."""
    inner = get_args(hint)
    if get_origin(hint) is not Annotated:
        for part in inner:
            yield from outside(part)
        return
    for bound in inner[1:]:
        if isinstance(bound, Ge):
            yield str(bound.ge - 1)
        elif isinstance(bound, Gt) and bound.gt > -math.inf:
            yield str(bound.gt)
        elif isinstance(bound, Le):
            yield str(bound.le + 1)
        elif isinstance(bound, Lt) and bound.lt < math.inf:
            yield str(bound.lt)
    if inner[0] is float:
        yield "nan"


def listed(hint: Any, value: str) -> str:
    """Return a value in the form that a type has, a list or a number."""
    lists = [part for part in (hint, *get_args(hint)) if get_origin(part) in (tuple, list)]
    plain = get_origin(hint) is Annotated or any(get_origin(part) is Annotated for part in get_args(hint))
    if not lists or (plain and get_origin(hint) not in (tuple, list)):
        return value
    return f"[{', '.join([value] * (len(get_args(lists[0])) if get_origin(lists[0]) is tuple else 1))}]"


BOUNDED = [
    (f"--{prefix}.{name}", listed(hint, value))
    for prefix, cls in GROUPS.items()
    for name, hint in bounded_hints(cls.__init__).items()
    for value in (*outside(hint), "x")
]
"""Options of fit with values outside of their bounds, and of another type."""


def misspelt(name: str) -> st.SearchStrategy[str]:
    """Return a name with a letter left out, doubled or exchanged."""
    start = name.rindex(".") + 1 if "." in name else 2

    def change(place: int, kind: str) -> str:
        before, letter, after = name[:place], name[place], name[place + 1 :]
        return before + {"drop": "", "double": letter * 2, "exchange": "q"}[kind] + after

    return st.builds(change, st.integers(start, len(name) - 1), st.sampled_from(["drop", "double", "exchange"]))


def wrong_options(command: str) -> st.SearchStrategy[list[str]]:
    """Return options of a command that is parsed by argparse, one of them wrong."""
    parser = PARSERS[command]
    actions = [action for action in parser._actions if action.option_strings and action.dest != "help"]

    def spoil(action: Any) -> st.SearchStrategy[list[str]]:
        name = next(option for option in action.option_strings if option.startswith("--"))
        ways = [misspelt(name).filter(lambda other: other not in parser.option_names()).map(lambda other: [other, "1"])]
        if action.nargs == 0:
            ways.append(st.just([f"{name}=x"]))
        else:
            ways.append(st.just([name]))
        if action.choices:
            ways.append(st.sampled_from(["", "x", "Flips"]).map(lambda value: [name, value]))
        if getattr(action.type, "__name__", "") in ("int", "float", "_positive", "_folds", "_shard"):
            ways.append(st.sampled_from(["x", "", "1.2.3"]).map(lambda value: [name, value]))
        if name == "--out":
            ways.append(st.sampled_from(["", " ", str(QUICKSTART), f"{QUICKSTART}/x"]).map(lambda value: [name, value]))
        return st.one_of(ways)

    fixed = {"predict": ["--images", "nowhere"], "export": ["--ckpt_path", "nowhere"]}
    fixed |= {"measure": ["nowhere"], "rank": ["nowhere"]}
    more = fixed.get(command, ["--config", str(QUICKSTART)])
    return st.sampled_from(actions).flatmap(spoil).map(lambda wrong: [command, *more, *wrong])


def keys_of_fit() -> list[str]:
    """Return options of fit, from the signatures."""
    import inspect

    return [
        f"--{prefix}.{name}"
        for prefix, cls in GROUPS.items()
        for name in inspect.signature(cls).parameters
        if name not in ("net", "loss", "layout", "augment", "schedule", "evaluation", "optimizer")
    ]


KEYS = keys_of_fit()
FILES = ["nowhere", "", str(QUICKSTART), str(QUICKSTART.parent)]
"""No checkpoints."""


def calls_of_fit() -> st.SearchStrategy[list[str]]:
    """Return calls of commands that take the keys of fit."""
    out_of_bounds = st.sampled_from(BOUNDED).map(lambda pair: [f"{pair[0]}={pair[1]}"])
    typo = st.sampled_from(KEYS).flatmap(misspelt).filter(lambda name: name not in KEYS).map(lambda name: [name, "1"])
    missing = st.sampled_from(FILES).map(lambda path: [f"--ckpt_path={path}"])
    out = st.sampled_from(["", str(QUICKSTART), f"{QUICKSTART}/x"]).map(lambda path: [f"--out={path}"])
    odd = st.sampled_from(
        [
            ["--data.val_fraction=0.6", "--data.test_fraction=0.5"],
            ["--data.fold=7"],
            ["--data.split=folds"],
            ["--data.layout=folders"],
            ["--data.train_images=100000"],
            ["--model.loss=dicee"],
            ["--model.net=torch.nn.Identity"],
            ["--model.net=nowhere.Net"],
            ["--model.optimizer.lr=-1"],
            ["--model.encoder_lr_factor=0.5", "--model.net=torch.nn.Identity"],
            ["--seed_everything=-1"],
            ["--seed_everything=4294967296"],
            ["--trainer.max_epochs=-2"],
            ["--trainer.accumulate_grad_batches=0"],
            ["--trainer.precision=7"],
            ["--trainer.accelerator=abacus"],
            ["--early_stopping.monitor=val/iuo"],
            ["--checkpoint.monitor=val/iuo"],
            ["--panels.by=iuo"],
        ]
    )
    fit = st.one_of(out_of_bounds, out_of_bounds, typo, missing, out, odd).map(lambda wrong: ["fit", *FIT, *wrong])
    kfold = st.one_of(out_of_bounds, typo).filter(lambda wrong: not wrong[0].startswith("--data.fold"))
    data = st.sampled_from([pair for pair in BOUNDED if pair[0].startswith("--data.")])
    return st.one_of(
        fit,
        kfold.map(lambda wrong: ["kfold", *COMMANDS["kfold"], *wrong]),
        data.map(lambda pair: ["check", *COMMANDS["check"], f"{pair[0]}={pair[1]}"]),
        st.sampled_from(FILES).map(lambda path: ["test", *FIT, f"--ckpt_path={path}"]),
        st.sampled_from(FILES[:2]).map(lambda path: ["validate", f"--config={path}"]),
    )


def plain_calls() -> st.SearchStrategy[list[str]]:
    """Return calls of commands that are parsed by argparse."""
    others = st.sampled_from(
        [
            ["report", "nowhere"],
            ["report", "."],
            ["report", "nowhere", "--out", ""],
            ["report", "nowhere", "--target", "x"],
            ["report", "nowhere", "--metric", "iuo"],
            ["losses", "dicee"],
            ["losses", "--healthy"],
            ["models", "nowhere"],
            ["models", "unet", "--size", "0"],
            ["models", "unet", "--channels", "x"],
            ["models", "--config", "nowhere"],
            ["measure", "nowhere", "--mm_per_px", "-1"],
            ["measure", "nowhere", "--mm_per_px", "1", "--distance_mm", "2"],
            ["study", "--config", str(QUICKSTART), "--out", "out"],
            ["predict"],
            ["export"],
            ["measure"],
            ["fitt"],
            ["--hepl"],
            [""],
        ]
    )
    return st.one_of(*(wrong_options(command) for command in PARSERS), others)


WRONG_CALLS = st.one_of(plain_calls(), plain_calls(), calls_of_fit())
