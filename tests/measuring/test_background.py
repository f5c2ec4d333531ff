"""Distances block by block beside SciPy's of the whole, and pinholes."""

import numpy as np
import pytest
from drawings import straight, vessel
from scipy.ndimage import distance_transform_edt, gaussian_filter

from napari_darl import measure
from napari_darl.measuring.background import edge_distances, nearest_background
from napari_darl.measuring.pinholes import without_pinholes


@pytest.mark.parametrize(
    ("shape", "scale", "coarse"),
    [((520, 900), (1, 1), 2), ((520, 900), (2.5, 1), 40), ((70, 90, 80), (2, 1, 1), 2)],
)
def test_blocks_give_the_distances_of_the_whole(
    shape: tuple[int, ...], scale: tuple[float, ...], coarse: float
) -> None:
    noise = gaussian_filter(np.random.default_rng(0).normal(size=shape), coarse)
    mask = np.pad(noise > 0, 1)
    whole = distance_transform_edt(mask, sampling=scale)
    labels = np.arange(mask.size).reshape(mask.shape)
    distance, label = nearest_background(mask, np.array(scale, float), labels)
    assert np.array_equal(distance, whole)
    apart = (np.stack(np.unravel_index(label[mask], mask.shape)) - np.argwhere(mask).T) * np.array(scale)[:, None]
    assert np.linalg.norm(apart, axis=0) == pytest.approx(whole[mask])


def test_a_blob_larger_than_a_block() -> None:
    mask = np.pad(np.ones((700, 900), bool), 1)
    assert np.array_equal(edge_distances(mask, np.ones(2)), distance_transform_edt(mask))


def test_pinholes_are_filled() -> None:
    mask = vessel(straight(0.2, 120, 80.3), 8, (160, 160)).mask
    mask[80:83, 79:82] = False
    found = measure(mask)
    assert (len(found.paths), len(found.branch_points["y"])) == (1, 0)
    assert found.segments["diameter"] == pytest.approx([16], abs=0.2)
    assert found.summary["area"] == mask.sum()


@pytest.mark.parametrize(("inner", "filled"), [(3, True), (8, False)])
def test_holes_wider_than_what_is_around_them_stay(inner: float, filled: bool) -> None:
    apart = np.hypot(*np.mgrid[-20:21, -20:21])
    ring = (apart < 12) & (apart > inner)
    assert np.array_equal(without_pinholes(ring, np.ones(2))[0], apart < 12 if filled else ring)


def test_cavities_of_volumes() -> None:
    ball = np.linalg.norm(np.mgrid[-12:13, -12:13, -12:13], axis=0) < 10
    hollow = ball.copy()
    hollow[12, 12, 12:14] = False
    filled, distance = without_pinholes(hollow, np.ones(3))
    assert np.array_equal(filled, ball)
    assert np.array_equal(distance, distance_transform_edt(ball))
    hollow = ball & (np.linalg.norm(np.mgrid[-12:13, -12:13, -12:13], axis=0) > 8)
    assert without_pinholes(hollow, np.ones(3))[0] is hollow
