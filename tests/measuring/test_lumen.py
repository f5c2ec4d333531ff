"""Widths of straightened vessels in images."""

import numpy as np
import numpy.typing as npt
import pytest
from scipy.ndimage import gaussian_filter

from napari_darl.measuring.lumen import FULL_WIDTH, chords, lumen_widths

ACROSS = np.arange(-60, 61) * 0.5
POSITION = np.arange(100.0)
RADIUS = 8 * (1 - 0.5 * np.exp(-(((POSITION - 50) / 8) ** 2)))


def drawn(radius: float, blur: float) -> npt.NDArray[np.float64]:
    """Chords of a round vessel across `ACROSS`, blurred by a normal distribution."""
    fine = np.linspace(-radius, radius, 201)
    middle = (fine[1:] + fine[:-1]) / 2
    spread = np.exp(-(((ACROSS[:, None] - middle) / blur) ** 2) / 2) / (blur * np.sqrt(2 * np.pi))
    return spread @ (2 * np.sqrt(radius**2 - middle**2)) * (fine[1] - fine[0])


@pytest.mark.parametrize(("radius", "blur"), [(1.0, 0.8), (4.0, 0.8), (9.0, 2.0)])
def test_blurred_chords_are_those_of_a_circle(radius: float, blur: float) -> None:
    expected = drawn(radius, blur) / (2 * radius)
    assert chords(ACROSS, np.array(radius), blur) == pytest.approx(expected, abs=0.03)
    assert chords(ACROSS, np.array(radius), blur).sum() == pytest.approx(expected.sum(), rel=0.01)


@pytest.mark.parametrize("blur", [0.7, 1.5])
def test_widths_are_those_before_the_blur(blur: float) -> None:
    rows = np.stack([drawn(radius, blur) for radius in RADIUS])
    found = lumen_widths(3 * rows + 0.1 * ACROSS - 7, ACROSS, POSITION, np.full(100, 13.0))
    assert found == pytest.approx(2 * FULL_WIDTH * RADIUS, abs=0.3)


def test_noise_and_a_branch_hardly_count() -> None:
    rows = np.stack([drawn(radius, 0.8) for radius in RADIUS])
    rows[70:76, 60:] += 12  # leaves to one side
    rows += gaussian_filter(np.random.default_rng(0).normal(0, 4, rows.shape), (0, 1))
    found = lumen_widths(rows, ACROSS, POSITION, np.full(100, 13.0))
    assert np.abs(found / (2 * FULL_WIDTH * RADIUS) - 1)[:65].max() < 0.15
    assert np.abs(found / (2 * FULL_WIDTH * RADIUS) - 1).max() < 0.35


def test_height_may_be_independent_of_the_width() -> None:
    rows = np.stack([gaussian_filter((np.abs(ACROSS) < radius) * 1.0, 2) for radius in RADIUS])
    found = lumen_widths(rows, ACROSS, POSITION, np.full(100, 13.0))
    assert found.min() / np.median(found) == pytest.approx(RADIUS.min() / np.median(RADIUS), abs=0.06)
