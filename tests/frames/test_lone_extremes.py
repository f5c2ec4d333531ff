"""Lone extremes, such as padding and burnt-in text, don't decide the range of intensities."""

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_darl.errors import DarlWarning
from napari_darl.frames.normalisation import Normalisation, intensity_range

PERCENTILES = Normalisation(kind="percentiles")


@pytest.fixture
def frame() -> NDArray[np.uint16]:
    """A 12-bit frame whose values fill the range without gaps."""
    return np.random.default_rng(0).normal(2000, 400, (256, 256)).clip(0, 4095).astype(np.uint16)


def with_text(frame: NDArray[np.uint16], value: int, share: float) -> NDArray[np.uint16]:
    marked = frame.copy()
    marked.flat[: round(share * frame.size)] = value
    return marked


def plain(frame: NDArray[np.uint16]) -> tuple[float, float]:
    low, high = np.percentile(frame, [0.1, 99.9])
    return float(low), float(high)


def test_a_frame_without_lone_extremes_has_plain_percentiles(frame: NDArray[np.uint16]) -> None:
    assert intensity_range(frame, PERCENTILES) == plain(frame)
    for surround in (0, 65535):  # as wide as the collimators of a usual frame leave it, and close to it
        lit = (frame * 8 + 3000).astype(np.uint16)
        lit[:40] = surround
        assert intensity_range(lit, PERCENTILES) == plain(lit)
    vessels = np.zeros((256, 256))
    vessels[100:105] = 1
    assert intensity_range(vessels, PERCENTILES) == (0, 1)


@pytest.mark.parametrize("share", [0.0015, 0.0037, 0.01, 0.2, 0.45])
@pytest.mark.parametrize("value", [65535, 20000])
def test_burnt_in_text_stays_out(frame: NDArray[np.uint16], value: int, share: float) -> None:
    marked = with_text(frame, value, share)
    assert intensity_range(marked, PERCENTILES) == plain(marked[marked != value])


def test_padding_and_text_stay_out_together(frame: NDArray[np.uint16]) -> None:
    marked = with_text(frame, 30000, 0.004).astype(np.int32)
    marked[-20:] = -32768
    rest = marked[(marked != 30000) & (marked >= 0)]
    assert intensity_range(marked, PERCENTILES) == plain(rest)
    floats = marked.astype(np.float32) / 4095
    floats[-20:] = -1e30
    assert intensity_range(floats, PERCENTILES) == pytest.approx([end / 4095 for end in plain(rest)])


def test_hot_pixels_of_several_values_stay_out(frame: NDArray[np.uint16]) -> None:
    hot = np.random.default_rng(1).choice(frame.size, 300, replace=False)
    frame.flat[hot] = np.random.default_rng(2).integers(50_000, 65_535, 300)
    low, high = intensity_range(frame, PERCENTILES)
    assert low >= 0
    assert high < 4096


def test_full_ranges_keep_all_values() -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[:2], mask[2:4] = 255, 1
    assert intensity_range(mask, Normalisation(kind="percentiles", low=0, high=100)) == (0, 255)


def test_values_that_are_not_finite_stay_out(frame: NDArray[np.uint16]) -> None:
    floats = frame.astype(np.float32)
    floats[:50] = np.nan
    floats[50, :9] = np.inf
    assert intensity_range(floats, PERCENTILES) == plain(frame[np.isfinite(floats)])
    assert intensity_range(np.full((64, 64), np.nan), PERCENTILES) == (0, 0)


def test_a_range_that_nearly_all_pixels_leave_empty_gives_a_warning(frame: NDArray[np.uint16]) -> None:
    frame.flat[:1000] = np.linspace(4096, 200_000, 1000).astype(np.uint32).clip(0, 65535)
    frame.flat[1000:] //= 8
    with pytest.warns(DarlWarning, match="vessels may be missed"):
        intensity_range(frame.astype(np.float64) ** 2, PERCENTILES)
