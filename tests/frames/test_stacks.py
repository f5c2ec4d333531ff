"""Stacks of frames, series by series."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_darl.frames.stacks import read_stack, split_series
from napari_darl.io.arrays import ImageData

HYPERSTACK = np.arange(2 * 3 * 40 * 50, dtype=np.uint16).reshape(2, 3, 40, 50)


@pytest.mark.parametrize(("axes", "lengths"), [("TZYX", [2, 2, 2]), ("TCYX", [2, 2, 2]), ("ZTYX", [3, 3])])
def test_series_run_along_time(tmp_path: Path, axes: str, lengths: list[int]) -> None:
    tifffile.imwrite(tmp_path / "a.ome.tif", HYPERSTACK, metadata={"axes": axes})
    series = read_stack(tmp_path / "a.ome.tif").series
    assert [len(one) for one in series] == lengths
    second = HYPERSTACK[1, 0] if axes[0] == "T" else HYPERSTACK[0, 1]
    np.testing.assert_array_equal(series[0][1], second)


def test_series_of_unnamed_axes_run_along_the_last() -> None:
    assert [len(one) for one in split_series(ImageData(HYPERSTACK))] == [3, 3]
    assert [len(one) for one in split_series(ImageData(HYPERSTACK[0, 0]))] == [1]
