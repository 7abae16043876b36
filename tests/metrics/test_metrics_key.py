"""The grammar of metric names, there and back."""

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from metric_cases import case, make_evaluator

from cracklab.metrics.bands import BANDS
from cracklab.metrics.key import MetricKey
from cracklab.metrics.scores import SCORES

NAMES = st.sampled_from([*SCORES, "loss", "n_line", "average_precision", "crack_share"])
LABELS = st.text(st.characters(exclude_categories=["Cs"]))
KEYS = st.builds(
    MetricKey,
    name=NAMES,
    image=st.booleans(),
    band=st.none() | st.sampled_from(list(BANDS)),
    threshold=st.none() | st.floats(0, 1).map("{:g}".format),
    label=st.none() | LABELS,
)


@given(KEYS)
def test_a_key_survives_its_text(key):
    assert MetricKey.parse(str(key)) == key


@given(KEYS, st.sampled_from(["test", "val", "krasniqi2026", ""]))
def test_a_key_with_a_stage_survives_its_text(key, stage):
    staged = replace(key, stage=stage)
    assert MetricKey.parse(str(staged), staged=True) == staged


@given(st.text() | st.text("iou_mage@/w1.5"), st.booleans())
@example("iou_image_w1_2@0.5/a/b@c", False)
@example("_image", False)
@example("test/", True)
@example("@", False)
@example("/", True)
def test_a_text_survives_its_key(text, staged):
    assert str(MetricKey.parse(text, staged=staged)) == text


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("iou", MetricKey("iou")),
        ("iou_image@0.5", MetricKey("iou", image=True, threshold="0.5")),
        ("cl_dice_w1_2", MetricKey("cl_dice", band="w1_2")),
        ("recall_w11", MetricKey("recall", band="w11")),
        ("hd95_px/joint", MetricKey("hd95_px", label="joint")),
        ("iou/left/upper@x", MetricKey("iou", label="left/upper@x")),  # names of classes are free
        ("n_w1_2_tp", MetricKey("n_w1_2_tp")),  # a band is the end of the name
        ("cl_iou_4px/crack500", MetricKey("cl_iou_4px", label="crack500")),
    ],
)
def test_parts_of_a_column(text, key):
    assert MetricKey.parse(text) == key
    assert MetricKey.parse(f"test/{text}", staged=True) == replace(key, stage="test")


def test_every_name_of_an_evaluation_has_a_known_quantity(rng):
    evaluator = make_evaluator(thresholds=[0.25], surface_thresholds=[0.1], curves=True, boundary_width_px=2)
    evaluator.update(*case(rng, 3))
    result = evaluator.compute(evaluator.rows())
    others = {"images", "crack_share", "width_px", "boundary_share", "hd95_px_empty", "average_precision"}
    others |= {"empty_truth", "empty_pred", "false_positive_px"}
    assert {MetricKey.parse(name).name for name in result} - set(SCORES) == others
