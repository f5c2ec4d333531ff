"""Smoothing over time, of movies that stand still, move, and are cut."""

from typing import Any

import numpy as np
import pytest

from napari_darl.errors import InputError
from napari_darl.frames.smoothing import smooth_over_time
from napari_darl.samples import sample_angiogram


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def noisy(frame: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """So many frames that differ by their noise alone."""
    return np.clip(frame + rng.normal(0, 8, (count, *frame.shape)), 0, 255).astype(np.uint8)


def test_noise_is_averaged_where_nothing_moves(rng: np.random.Generator) -> None:
    frame = sample_angiogram()
    movie = noisy(frame, 3, rng)
    smooth = smooth_over_time(movie)
    assert smooth.dtype == movie.dtype
    inside = (frame > 20) & (frame < 235)
    noise = [float(np.std((one[1].astype(float) - frame)[inside])) for one in (movie, smooth)]
    assert noise[1] < 0.65 * noise[0]  # a third of the variance would be .58


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_moving_vessel_leaves_no_trail(dtype: Any) -> None:
    movie = np.full((3, 64, 64), 200, dtype)
    for t in range(3):
        movie[t, :, 10 + 20 * t : 14 + 20 * t] = 80
    np.testing.assert_allclose(smooth_over_time(movie), movie, atol=1)


def test_a_hot_pixel_takes_no_protection_from_what_moves() -> None:
    movie = np.full((3, 64, 64), 1000, np.uint16)
    for t in range(3):
        movie[t, :, 10 + 15 * t : 14 + 15 * t] = 600
    movie[:, 0, 0] = 65535
    np.testing.assert_allclose(smooth_over_time(movie)[:, 8:], movie[:, 8:], atol=4)


def test_nothing_crosses_a_cut(rng: np.random.Generator) -> None:
    scenes = [noisy(sample_angiogram(name), 3, rng) for name in ("angiogram", "angiogram_2")]
    for scene in scenes:
        scene[:, 0], scene[:, 1] = 0, 255  # the same range, hence the same weights
    whole = smooth_over_time(np.concatenate(scenes))
    np.testing.assert_array_equal(whole, np.concatenate([smooth_over_time(scene) for scene in scenes]))


def test_what_there_is_nothing_to_smooth_in(rng: np.random.Generator) -> None:
    black = np.zeros((2, 32, 32), np.uint8)
    np.testing.assert_array_equal(smooth_over_time(black), black)
    one = noisy(sample_angiogram(), 1, rng)
    np.testing.assert_array_equal(smooth_over_time(one), one)
    with pytest.raises(InputError, match="Only movies"):
        smooth_over_time(one[0])
