"""Batches: keyed draws, unpaired stacks of all sorts, backgrounds made of angiograms, and the teacher's labels."""

import numpy as np
import pytest

from napari_darl.data.backgrounds import suppress_vessels
from napari_darl.data.batches import DrawConfig, Sampler
from napari_darl.data.masks import draw_trees
from napari_darl.data.phantom import phantom_angiogram, render
from napari_darl.data.samples import sample_angiogram
from napari_darl.data.teacher import TeacherConfig, sure_labels
from napari_darl.normalisation import Normalisation

NORMALISATION = Normalisation(kind="percentiles", log_offset=0.05)
CONFIG = DrawConfig(size=64, zoom=(0.7, 1.8), grounded=0.5, gamma=1.4, noise=0.05, blur=0.7, teacher=TeacherConfig())


def frames(count: int = 4) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [phantom_angiogram((100 + 20 * i, 120), rng)[0] for i in range(count)]


def test_draws_are_keyed() -> None:
    first, second = (Sampler(CONFIG, NORMALISATION, frames(), seed=5) for _ in range(2))
    first.draw(0, 3)
    for one, other in zip(first.draw(7, 3), second.draw(7, 3), strict=True):
        np.testing.assert_array_equal(one, other)
    bigger = second.draw(7, 5)
    np.testing.assert_array_equal(bigger.angiogram[:3], first.draw(7, 3).angiogram)
    assert not np.array_equal(first.draw(8, 3).angiogram, first.draw(7, 3).angiogram)


def test_what_a_draw_holds() -> None:
    draw = Sampler(CONFIG, NORMALISATION, frames()).draw(0, 16)
    for part in (draw.angiogram, draw.background, draw.rendered):
        assert part.shape == (16, 64, 64)
        assert part.dtype == np.float32
        assert part.min() >= -1
        assert part.max() <= 1
    assert set(np.unique(draw.mask)) == {-1, 1}
    assert set(np.unique(draw.labels)) == {-1, 0, 1}
    assert draw.free == 8


def test_rendered_vessels_are_darker_than_their_background() -> None:
    config = DrawConfig(size=128, transmission=(0.3, 0.5))
    draw = Sampler(config, Normalisation(kind="percentiles"), frames()).draw(0, 8)
    change = draw.rendered - draw.background
    assert change[draw.mask > 0].mean() < -0.1
    assert abs(change[draw.mask < 0].mean()) < 0.02


def test_c_darl_draws_one_frame_for_both() -> None:
    config = DrawConfig(size=64)
    draw = Sampler(config, NORMALISATION, frames(), same=True).draw(0, 3)
    np.testing.assert_array_equal(draw.angiogram, draw.background)


def test_small_frames_are_enlarged() -> None:
    small = [frame[:40, :50] for frame in frames()]
    assert Sampler(CONFIG, NORMALISATION, small).draw(0, 2).angiogram.shape == (2, 64, 64)


def test_masks_of_the_user_are_cropped() -> None:
    stripes = np.zeros((128, 128), np.uint8)
    stripes[:, ::16] = stripes[:, 1::16] = stripes[:, 2::16] = 255
    draw = Sampler(CONFIG, NORMALISATION, frames(), masks=[stripes]).draw(0, 4)
    assert 0.05 < (draw.mask > 0).mean() < 0.4


def test_suppressing_fills_vessels_and_keeps_the_rest() -> None:
    rng = np.random.default_rng(1)
    background = np.full((256, 256), 0.4, np.float32) + rng.normal(0, 0.02, (256, 256)).astype(np.float32)
    tree = max((draw_trees((256, 256), rng) for _ in range(5)), key=lambda drawn: drawn.mask.sum())
    angiogram = render(background, tree.thickness, absorption=0.06)
    filled = suppress_vessels(angiogram, 25)
    inside = tree.radius > 1
    assert np.abs(filled - background)[inside].mean() < 0.3 * np.abs(angiogram - background)[inside].mean()
    assert np.abs(filled - angiogram)[~tree.mask].mean() < 0.03
    half = suppress_vessels(angiogram, 25, strength=0.5)
    np.testing.assert_allclose(half, (filled + angiogram) / 2, atol=1e-5)


def test_the_teacher_is_sure_of_little_and_unsure_of_some() -> None:
    frame = sample_angiogram().astype(np.float32) / 127.5 - 1
    labels = sure_labels(frame)
    assert labels.shape == (300, 300)
    assert (labels == 1).mean() == pytest.approx(0.035, abs=0.005)
    assert (labels == 0).mean() == pytest.approx(0.065, abs=0.01)
