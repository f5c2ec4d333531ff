"""Morphology agrees with SciPy's."""

import numpy as np
import pytest
from scipy import ndimage

from napari_darl.frames.morphology import filtered, shrunk


@pytest.mark.parametrize("size", [1, 3, 7, 13, 31])
@pytest.mark.parametrize("shape", [(9, 40), (33, 8), (64, 64)])
def test_extremes_are_those_of_scipy(shape: tuple[int, int], size: int) -> None:
    values = np.random.default_rng(0).normal(size=shape)
    np.testing.assert_array_equal(filtered(values, size, np.maximum), ndimage.maximum_filter(values, size))
    np.testing.assert_array_equal(filtered(values, size, np.minimum), ndimage.minimum_filter(values, size))


@pytest.mark.parametrize("margin", [0, 0.5, 1, 2.9, 3, 12.4])
def test_shrinking_takes_off_what_is_near_the_outside(margin: float) -> None:
    y, x = np.mgrid[:50, :70]
    mask = np.hypot(y - 20, x - 40) < 28  # it reaches the upper edge
    mask[20, 40] = False
    np.testing.assert_array_equal(shrunk(mask, margin), mask & (ndimage.distance_transform_edt(mask) > margin))


def test_nothing_is_taken_off_a_whole_frame() -> None:
    assert shrunk(np.ones((5, 6), np.bool_), 3).all()
