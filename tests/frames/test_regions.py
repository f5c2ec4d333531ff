"""Regions: masks of one frame and of stacks, and fields of view."""

import pickle

import numpy as np
import pytest

from napari_darl.errors import InputError
from napari_darl.frames import normalisation, regions
from napari_darl.frames.field_of_view import find_field_of_view
from napari_darl.frames.regions import EVERYTHING, Region, as_region, field_of_view
from napari_darl.io.arrays import ImageData
from napari_darl.samples import sample_angiogram


def test_masks_become_regions() -> None:
    stack = np.zeros((2, 40, 50), np.uint8)
    stack[0, :10], stack[1, 30:] = 255, 7
    region = as_region(stack, (2, 40, 50))
    for index in range(2):
        np.testing.assert_array_equal(region.mask_of((index,)), stack[index] > 0)
    one = as_region(stack[0], (5, 40, 50))
    np.testing.assert_array_equal(one.mask_of((3,)), stack[0] > 0)
    assert as_region(None, (40, 50)) == EVERYTHING != one
    assert as_region(one, (40, 50)) is one
    assert as_region(stack[0] > 0, (40, 50)) == as_region(stack[0] // 3, (40, 50)) != as_region(stack[1], (40, 50))


def test_masks_that_select_nothing_or_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match=r"\(40, 51\).*\(40, 50\) or \(2, 40, 50\)"):
        as_region(np.ones((40, 51)), (2, 40, 50))
    with pytest.raises(InputError, match="empty"):
        as_region(np.zeros((40, 50)), (40, 50))


@pytest.fixture
def collimated() -> np.ndarray:
    frame = sample_angiogram()[:400, :420] + 40
    frame[:60], frame[:, :80] = 5, 5
    return frame


def test_the_field_of_view_is_found_in_each_frame(collimated: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    movie = np.stack([collimated, collimated[::-1]])
    region = field_of_view(ImageData(movie))
    for index in range(2):
        np.testing.assert_array_equal(region.mask_of((index,)), find_field_of_view(movie[index]))
    coloured = field_of_view(ImageData(np.stack([collimated] * 3, -1), rgb=True))
    np.testing.assert_array_equal(coloured.mask_of(()), find_field_of_view(collimated))
    monkeypatch.setattr(normalisation, "_MAX_SAMPLES", 200 * 210)
    assert regions.sampling_step((400, 420)) == 2
    rough = region.mask_of((0,))
    assert rough is not None
    assert (rough == find_field_of_view(collimated)).mean() > 0.98


def test_regions_travel_to_other_processes(collimated: np.ndarray) -> None:
    for region in (EVERYTHING, as_region(collimated > 5, collimated.shape), field_of_view(ImageData(collimated))):
        copy: Region = pickle.loads(pickle.dumps(region))
        assert copy == region
        np.testing.assert_array_equal(copy.mask_of(()), region.mask_of(()))
