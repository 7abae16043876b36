"""The data frame of a measurement, compared with cracks.csv."""

import cv2
import numpy as np
import pandas as pd
import pytest
from crack_shapes import strip

from cracklab.cli import main
from cracklab.measure import measure_mask


def test_the_data_frame_has_the_columns_types_and_values_of_cracks_csv(tmp_path):
    mask = np.zeros((160, 140), bool)
    mask[:124, :124] = strip(100, 4, 20)[:124, :124]
    mask[130:136, 20:80] = True
    cv2.imwrite(str(tmp_path / "wall.png"), mask.astype(np.uint8) * 255)
    options = ["--mm_per_px", "0.5", "--no_pictures", "--out", str(tmp_path / "out")]
    assert main(["measure", str(tmp_path / "wall.png"), *options]) == 0
    expected = pd.read_csv(tmp_path / "out/cracks.csv")
    assert len(expected) == 2
    frame = measure_mask(mask, mm_per_px=0.5).to_frame("wall")
    pd.testing.assert_frame_equal(frame, expected, rtol=0, atol=1e-4, check_dtype=True)
    pd.testing.assert_frame_equal(measure_mask(mask, mm_per_px=0.5).to_frame(), frame.drop(columns="id"))


def test_values_in_mm_are_nan_without_a_scale():
    frame = measure_mask(strip(60, 3, 10)).to_frame()
    assert frame["length_px"].item() == pytest.approx(60, rel=0.02)
    assert frame["length_mm"].isna().all()


def test_the_data_frame_of_no_crack_is_empty_and_has_the_same_columns_and_types():
    empty, frame = measure_mask(np.zeros((30, 40), bool)).to_frame("a"), measure_mask(strip(60, 3, 10)).to_frame("a")
    assert len(empty) == 0
    assert list(empty.columns) == list(frame.columns)
    numbers = [name for name in frame.columns if name != "id"]
    assert empty[numbers].dtypes.equals(frame[numbers].dtypes)
