"""Pixels without a value: found, filled, and left out of what is computed from a frame."""

import numpy as np
import pytest

from napari_darl.frames.field_of_view import find_field_of_view
from napari_darl.frames.missing import filled, known_values, missing_pixels
from napari_darl.frames.smoothing import smooth_over_time
from napari_darl.samples import sample_angiogram


def test_masked_and_infinite_values_are_missing() -> None:
    frame = np.arange(12.0).reshape(3, 4)
    assert missing_pixels(frame) is None
    assert filled(frame) is frame
    frame[0, 1], frame[2, 3] = np.nan, -np.inf
    both = np.ma.masked_equal(frame, 4)
    missing = missing_pixels(both)
    assert missing is not None
    assert [tuple(at) for at in np.argwhere(missing)] == [(0, 1), (1, 0), (2, 3)]
    assert sorted(known_values(both)) == [0, 2, 3, 5, 6, 7, 8, 9, 10]
    assert missing_pixels(np.ma.masked_equal(np.arange(4).reshape(2, 2), 9)) is None


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_missing_values_take_the_nearest_one(dtype: type) -> None:
    frame = np.ma.array(np.tile(np.arange(8, dtype=dtype), (6, 1)))
    frame[:, :2] = np.ma.masked
    frame[:, 6:] = np.ma.masked
    complete = filled(frame)
    assert complete.dtype == dtype
    assert not isinstance(complete, np.ma.MaskedArray)
    np.testing.assert_array_equal(complete, np.tile(np.array([2, 2, 2, 3, 4, 5, 5, 5], dtype), (6, 1)))
    assert not filled(np.ma.array(frame.data, mask=True)).any()


def test_the_field_of_view_leaves_out_what_was_not_recorded() -> None:
    frame = sample_angiogram().astype(np.float32) + 50
    y, x = np.indices(frame.shape)
    lit = (y - 256) ** 2 + (x - 256) ** 2 < 240**2
    frame[~lit] = np.nan
    found = find_field_of_view(frame, margin=0)
    assert (found == lit).mean() > 0.99


def test_missing_values_are_not_smoothed_into_other_frames() -> None:
    movie = np.full((3, 64, 64), 100.0) + np.indices((3, 64, 64))[2]
    movie[1, :20] = np.nan
    smooth = smooth_over_time(movie)
    np.testing.assert_array_equal(np.ma.getmaskarray(smooth), np.isnan(movie))
    np.testing.assert_allclose(smooth[0], movie[0], atol=0.01)
    masked = np.ma.masked_invalid(movie)
    np.testing.assert_array_equal(smooth_over_time(masked).filled(-1), smooth.filled(-1))
