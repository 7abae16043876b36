"""From a command to a plan, or to one error message."""

from pathlib import Path

import pytest
import yaml

from cracklab.errors import ConfigError, RunError
from cracklab.study.command import parser, select_shard
from cracklab.study.folder import PlannedRun, Study, StudyPlan
from cracklab.study.inputs import read_inputs, refuse_changes
from cracklab.study.plan import as_arguments, axes_of, cells_of, fold_axis, runs_of

GRID = {
    "model.net.encoder_name": ["resnet18", "resnet34"],
    "loss": {"bce": {"model.loss": "bce"}, "tversky 0.3": {"model.loss": "tversky", "model.loss.alpha": 0.3}},
    "seed_everything": [1, 2, 3],
}

LOSSES = {"model.loss": ["bce", "dice"], "seed_everything": [1, 2]}


def write(path: Path, **content) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content))
    return str(path)


def test_a_grid_is_the_product_of_its_axes_the_last_fastest():
    runs = runs_of("study", axes_of(GRID) | {"fold": fold_axis(5, False)})
    assert len(runs) == 2 * 2 * 3 * 5
    assert [run.name for run in runs[:2]] == [
        f"model.net.encoder_name=resnet18,loss=bce,seed_everything=1,fold={fold}" for fold in (0, 1)
    ]
    assert runs[-1].labels == {
        "model.net.encoder_name": "resnet34",
        "loss": "tversky 0.3",
        "seed_everything": 3,
        "fold": 4,
    }
    assert runs[-1].folder == "runs/model.net.encoder_name=resnet34,loss=tversky_0.3,seed_everything=3,fold=4"
    assert runs[-1].overrides == {
        "model.net.encoder_name": "resnet34",
        "model.loss": "tversky",
        "model.loss.alpha": 0.3,
        "seed_everything": 3,
        "data.fold": 4,
        "data.folds": 5,
    }
    assert len({run.folder for run in runs}) == len(runs)


def test_a_cell_is_all_runs_that_differ_only_in_fold_repeat_and_seed():
    runs = runs_of("study", axes_of(GRID) | {"fold": fold_axis(5, False)})
    assert len({run.cell for run in runs}) == 4  # 2 encoders x 2 losses


def test_kfold_names_run_folders_by_repeat_and_fold():
    axes = {"repeat": {0: {"data.split_seed": 0}, 1: {"data.split_seed": 1}}, "fold": fold_axis(2, False)}
    assert [run.folder for run in runs_of("kfold", axes)] == [
        "repeat_0/fold_0",
        "repeat_0/fold_1",
        "repeat_1/fold_0",
        "repeat_1/fold_1",
    ]
    assert [run.folder for run in runs_of("kfold", {"fold": fold_axis(2, True)})] == ["fold_0", "fold_1"]


def test_overrides_become_arguments_of_fit():
    overrides = {
        "model.loss": "bce",
        "trainer.max_time": None,
        "data.layout.size": [32, 32],
        "data.pool": True,
        "x.lr": 1e-4,
    }
    assert as_arguments(overrides) == [
        "--model.loss=bce",
        "--trainer.max_time=null",
        "--data.layout.size=[32, 32]",
        "--data.pool=true",
        "--x.lr=0.0001",
    ]


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"model.loss": "bce"}, r"study\.grid\.model\.loss is 'bce': give a list"),
        ({"model.loss": []}, "give a list of values"),
        ({"loss": {"bce": "model.loss"}}, r"study\.grid\.loss\.bce"),
        ({"seed_everything": [1, 1]}, "two values of the same label"),
        ({"loss": {"a": {"model.loss": "bce"}}, "model.loss": ["dice"]}, r"study\.grid\.model\.loss sets model\.loss"),
        ({"data.group": ["(.+)", "(.+)_", "[.+]"]}, "two values of the same label"),
        ({"model.loss": ["x" * 250]}, "longer than 200 bytes"),
    ],
)
def test_an_invalid_grid_is_refused(grid, message):
    with pytest.raises(ConfigError, match=message):
        runs_of("study", axes_of(grid))


def test_configurations_are_copied_in_order_without_the_study_section(tmp_path):
    base = write(tmp_path / "base.yaml", trainer={"max_epochs": 3})
    more = write(tmp_path / "more.yaml", data={"batch_size": 4})
    study = {"base": ["../base.yaml", "cracklab:quickstart"], "grid": GRID, "folds": 5}
    path = write(tmp_path / "studies" / "x.yaml", study=study, name="x")
    inputs = read_inputs("study", ["--config", path, "--data.root", "/d", f"--config={more}", "--model.loss=dice"])
    assert inputs.arguments == [
        "--config=0_base.yaml",
        "--config=1_quickstart.yaml",
        "--config=2_x.yaml",
        "--data.root",
        "/d",
        "--config=3_more.yaml",
        "--model.loss=dice",
    ]
    contents = {name: yaml.safe_load(text) for name, text in inputs.configs.items()}
    assert contents["0_base.yaml"] == yaml.safe_load(Path(base).read_text())
    assert contents["1_quickstart.yaml"]["name"] == "quickstart"
    assert contents["2_x.yaml"] == {"name": "x"}
    assert (inputs.grid, inputs.folds) == (GRID, 5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"study": {"gird": {}}}, r"`study` has no key 'gird'; did you mean 'grid'"),
        ({"study": {"grid": ["a"]}}, r"`study\.grid` a mapping of axes"),
        ({"study": {"grid": GRID, "folds": 1}}, r"study\.folds is 1"),
        ({"study": {"grid": GRID, "folds": "source"}}, r"study\.folds is 'source'"),
        ({"study": {"grid": GRID, "base": ["missing.yaml"]}}, r"missing\.yaml does not exist"),
        ({"study": {"grid": LOSSES, "pairs": "dice:bce"}}, r"study\.pairs is 'dice:bce': give a list"),
        ({"study": {"grid": LOSSES, "pairs": ["dice"]}}, r"study\.pairs is \['dice'\]: give a list"),
        (
            {"study": {"grid": LOSSES, "pairs": ["dice:bec"]}},
            r"'dice:bec', which is not a pair of labels of model\.loss; did you mean 'dice:bce'",
        ),
        ({"study": {"grid": LOSSES, "pairs": ["bce:dice", "dice:bce"]}}, "the same two methods twice"),
        ({"study": {"grid": LOSSES, "pairs": ["bce:bce"]}}, "'bce:bce', which is not a pair of labels"),
        ({"study": {"grid": {"model.loss": 3}, "pairs": ["bce:bce"]}}, r"study\.grid\.model\.loss is 3"),
        ({"trainer": {}}, "no configuration has a `study` section"),
        ({"study": {"grid": {}}}, r"study\.grid is empty"),
        ({"study": {"grid": None}}, r"study\.grid is empty"),
        ({"study": {"base": []}}, r"study\.grid is empty"),
    ],
)
def test_an_invalid_study_file_is_refused(tmp_path, content, message):
    with pytest.raises(ConfigError, match=message):
        read_inputs("study", ["--config", write(tmp_path / "x.yaml", **content)])


def test_planned_comparisons_are_kept_in_the_plan_and_are_part_of_the_study(tmp_path):
    made = {}
    for pairs in (["dice:bce"], ["bce:dice"], []):
        section = {"grid": LOSSES, **({"pairs": pairs} if pairs else {})}
        made[str(pairs)] = read_inputs("study", ["--config", write(tmp_path / "x.yaml", study=section)])
    assert [one.request.get("pairs") for one in made.values()] == [["dice:bce"], ["bce:dice"], None]
    study = Study(tmp_path / "study")
    study.write_plan(StudyPlan("study", made["['dice:bce']"].request, {}, []), made["['dice:bce']"].configs)
    refuse_changes(study, made["['dice:bce']"])
    with pytest.raises(RunError, match=r"-pairs: \['dice:bce'\]\n  \+pairs: \['bce:dice'\]"):
        refuse_changes(study, made["['bce:dice']"])


@pytest.mark.parametrize("argument", ["--data.fold", "--data.folds=3", "--data.folds_file=x", "--ckpt_path"])
def test_arguments_that_the_command_sets_itself_are_refused(argument):
    with pytest.raises(ConfigError, match=argument.partition("=")[0]):
        read_inputs("kfold", [argument, "1"], 5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--out"),
        (["--out", "x", "--folds", "1"], "'1' is neither a number of at least 2"),
        (["--out", "x", "--jobs", "0"], "'0' is not a positive number"),
        (["--out", "x", "--shard", "3/2"], "'3/2' is not one of 1/N"),
        (["--out", "x", "--executor", "rai"], "rai"),
    ],
)
def test_an_invalid_value_of_an_own_option_is_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        parser("kfold").parse_known_args(arguments)


def test_shards_partition_the_runs():
    runs = runs_of("study", axes_of(GRID))
    shards = [select_shard(runs, (i, 5)) for i in range(1, 6)]
    assert sorted(run.name for shard in shards for run in shard) == sorted(run.name for run in runs)
    assert {len(shard) for shard in shards} == {2, 3}  # 12 runs over 5 shards
    assert select_shard(runs, None) == runs


def test_a_plan_is_read_as_it_was_written(tmp_path):
    axes = axes_of(GRID) | {"fold": fold_axis(2, False)}
    plan = StudyPlan(
        "study", {"arguments": []}, {axis: list(labels) for axis, labels in axes.items()}, runs_of("study", axes)
    )
    Study(tmp_path).write_plan(plan, {"0_a.yaml": "name: a\n"})
    assert Study(tmp_path).plan == plan
    assert Study(tmp_path).configs() == {"0_a.yaml": "name: a\n"}
    with pytest.raises(RunError, match=r"holds no study\.yaml"):
        _ = Study(tmp_path / "other").plan


def test_study_yaml_keeps_its_keys_and_has_no_aliases(tmp_path):
    """Other tools read the file, and so do later versions of this one."""
    shared = {"data.layout.size": [32, 32]}
    runs = [PlannedRun(f"loss={name}", f"runs/loss={name}", {"loss": name}, shared) for name in ("bce", "dice")]
    Study(tmp_path).write_plan(StudyPlan("study", {"arguments": ["--a=1"]}, {"loss": ["bce", "dice"]}, runs), {})
    assert (
        (tmp_path / "study.yaml").read_text()
        == """\
command: study
asked:
  arguments:
  - --a=1
axes:
  loss:
  - bce
  - dice
runs:
- name: loss=bce
  folder: runs/loss=bce
  labels:
    loss: bce
  overlay:
    data.layout.size:
    - 32
    - 32
- name: loss=dice
  folder: runs/loss=dice
  labels:
    loss: dice
  overlay:
    data.layout.size:
    - 32
    - 32
"""
    )


def test_other_inputs_for_the_same_folder_are_refused_with_the_differences(tmp_path):
    config = tmp_path / "c.yaml"

    def request(*arguments: str, lr: float, loss: str = "bce"):
        write(config, model={"loss": loss, "lr": lr}, study={"grid": GRID})
        return read_inputs("study", ["--config", str(config), *arguments])

    first = request("--data.batch_size=4", lr=0.1)
    Study(tmp_path).write_plan(
        StudyPlan("study", first.request, {}, [PlannedRun("a", "runs/a", {}, {})]), first.configs
    )
    refuse_changes(Study(tmp_path), request("--data.batch_size=4", lr=0.1))
    config.write_text(f"# a comment\n{config.read_text()}")
    refuse_changes(Study(tmp_path), read_inputs("study", ["--config", str(config), "--data.batch_size=4"]))
    with pytest.raises(RunError) as error:
        refuse_changes(Study(tmp_path), request("--data.batch_size=8", lr=0.2))
    lines = str(error.value).splitlines()
    assert len(lines) == 5
    assert {line.strip() for line in lines[1:]} == {
        "-arguments: 1: --data.batch_size=4",
        "+arguments: 1: --data.batch_size=8",
        "-configurations: 0_c.yaml: model: lr: 0.1",
        "+configurations: 0_c.yaml: model: lr: 0.2",
    }


def test_cells_are_all_combinations_of_labels():
    assert len(cells_of(axes_of(GRID))) == 12  # 2 encoders x 2 losses x 3 seeds
    assert cells_of({}) == [({}, {})]
