"""What lies outside, by missing values or by a region, has no vessels and changes nothing inside."""

import warnings
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import tifffile
import zarr

from napari_darl import (
    Model,
    SegmentOptions,
    Windows,
    assess,
    lazy_probability,
    open_image,
    segment,
    segment_probability,
)
from napari_darl.darl.config import ModelConfig
from napari_darl.errors import DarlWarning, InputError
from napari_darl.evaluation.metrics import score
from napari_darl.frames import normalisation
from napari_darl.frames.missing import filled
from napari_darl.samples import sample_angiogram

FRAME = sample_angiogram()[100:228, 60:220]
OPTIONS = SegmentOptions(resize=1)


def bordered(frame: np.ndarray, width: int = 16) -> np.ndarray:
    """Return a frame as floats with NaN along its edges."""
    inside = np.full(frame.shape, np.nan, np.float32)
    core = (slice(width, -width),) * 2
    inside[core] = frame[core]
    return inside


def with_holes(frame: np.ndarray) -> np.ndarray:
    """Return a frame as floats with NaN in a corner and in scattered pixels."""
    holed = frame.astype(np.float32)
    holed[110:, 180:] = np.nan
    holed[np.random.default_rng(0).random(frame.shape) < 0.01] = np.inf
    return holed


@pytest.fixture(scope="module")
def wide() -> np.ndarray:
    return sample_angiogram()[100:260, 100:350]


def test_a_border_of_nan_has_no_vessels_and_the_rest_its_own() -> None:
    frame = sample_angiogram()
    with pytest.warns(DarlWarning, match=r"The image has 75,520 of 262,144 pixels without a value \(NaN"):
        mask = segment(bordered(frame, 40))
    inside = np.isfinite(bordered(frame, 40))
    assert not mask[~inside].any()
    assert score(mask, segment(frame), fov=inside).dice > 0.97


@pytest.mark.filterwarnings("ignore::napari_darl.DarlWarning")
def test_missing_values_are_those_of_the_nearest_pixels(untrained: Model) -> None:
    frame = bordered(FRAME)
    frame[40, 50] = np.inf
    missing = ~np.isfinite(frame)
    found = segment_probability(frame, untrained, resize=1)
    assert not found[missing].any()
    core = FRAME[16:-16, 16:-16]
    limits = np.percentile(np.delete(core.ravel(), 24 * core.shape[1] + 34), [0.1, 99.9])
    clipped = np.clip(filled(frame), *limits)
    np.testing.assert_allclose(found[~missing], segment_probability(clipped, untrained, resize=1)[~missing], atol=1e-2)


@pytest.mark.filterwarnings("ignore::napari_darl.DarlWarning")
def test_masked_integers_are_missing_like_nan(untrained: Model) -> None:
    frame = bordered(FRAME)
    masked = np.ma.array(FRAME, mask=np.isnan(frame))
    wanted = segment_probability(frame, untrained, resize=1)
    np.testing.assert_allclose(segment_probability(masked, untrained, resize=1), wanted, atol=1e-5)
    lazy = lazy_probability(Windows(da.from_array(masked, chunks=50), untrained, OPTIONS))
    np.testing.assert_allclose(lazy.compute(scheduler="synchronous"), wanted, atol=1e-5)
    colours = np.ma.stack([masked * 0, masked, masked * 0], axis=-1)
    np.testing.assert_allclose(segment_probability(colours, untrained, rgb=True, resize=1), wanted, atol=1e-5)


@pytest.mark.filterwarnings("ignore::napari_darl.DarlWarning")
@pytest.mark.parametrize(("resize", "samples"), [(0.7, 40_000), (1.0, 4_000_000), (1.0, 40_000), (1.4, 40_000)])
def test_windows_are_those_of_the_whole(
    wide: np.ndarray, untrained: Model, resize: float, samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(normalisation, "_MAX_SAMPLES", samples)
    holed = with_holes(wide)
    options = SegmentOptions(resize=resize, tile=128)
    whole = segment_probability(holed, untrained, resize=resize, tile=128)
    assert not whole[~np.isfinite(holed)].any()
    windows = Windows(holed, untrained, options)
    found = np.zeros_like(whole)
    for chunk in windows.chunks():
        found[chunk.slices] = windows(chunk)
    np.testing.assert_array_equal(found, whole)
    lazy = lazy_probability(Windows(da.from_array(holed, chunks=150), untrained, options))
    np.testing.assert_array_equal(lazy.compute(scheduler="synchronous"), whole)


@pytest.mark.filterwarnings("ignore::napari_darl.DarlWarning")
def test_files_of_floats(tmp_path: Path, untrained: Model) -> None:
    frame = bordered(FRAME)
    tifffile.imwrite(tmp_path / "a.tif", frame)
    np.save(tmp_path / "a.npy", frame)
    zarr.create_array(tmp_path / "a.zarr", data=frame, chunks=(50, 50))
    wanted = segment_probability(frame, untrained, resize=1)
    for name in ("a.tif", "a.npy", "a.zarr"):
        np.testing.assert_array_equal(segment_probability(open_image(tmp_path / name), untrained, resize=1), wanted)


def test_a_movie_tells_of_missing_values_once(untrained: Model) -> None:
    movie = np.stack([FRAME.astype(np.float32), bordered(FRAME), bordered(FRAME, 20), np.full(FRAME.shape, np.nan)])
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = segment_probability(movie, untrained, resize=1)
    [one] = [warning for warning in told if issubclass(warning.category, DarlWarning)]
    assert str(one.message).startswith(
        "The image: frame (1,), and perhaps others, has 8,192 of 20,480 pixels without a value"
    )
    assert found[0].all()
    assert found[2].any()
    assert not found[3].any()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        trust = assess(movie[1], untrained, OPTIONS)
    assert len(told) == 1
    assert not trust.uncertainty[np.isnan(movie[1])].any()
    assert trust.uncertainty[np.isfinite(movie[1])].any()


def test_text_outside_a_region_changes_nothing_far_inside(untrained: Model) -> None:
    """The network sees a little beyond the region's border, and nothing further away."""
    region = np.zeros((270, 350), bool)
    region[150:, 200:] = True
    frame = sample_angiogram()[:270, :350].astype(np.uint16) * 8
    marked = frame.copy()
    marked[:60, :100] = np.linspace(3000, 65535, 100)
    clean, changed = (segment_probability(one, untrained, resize=1, region=region) for one in (frame, marked))
    np.testing.assert_array_equal(clean, changed)
    assert not clean[~region].any()
    assert clean[region].all()
    assert not np.array_equal(segment_probability(marked, untrained, resize=1)[region], clean[region])
    windows = Windows(marked, untrained, SegmentOptions(resize=1, tile=128), region=region)
    whole = windows.compute()
    for chunk in windows.chunks():
        np.testing.assert_array_equal(windows(chunk), whole[chunk.slices])
    lazy = lazy_probability(windows)
    np.testing.assert_array_equal(lazy.compute(scheduler="synchronous"), whole)


def test_regions_and_missing_values_meet(untrained: Model) -> None:
    region = np.zeros(FRAME.shape, bool)
    region[:40] = True
    frame = FRAME.astype(np.float32)
    frame[:40] = np.nan
    with pytest.raises(InputError, match="region 'mask' has no finite"):
        segment(frame, untrained, region=region)
    frame[:40] = 7
    with pytest.raises(InputError, match="region 'mask' has the value 7"):
        segment(frame, untrained, region=region)
    assert Windows(frame, untrained, region=region).fingerprint() != Windows(frame, untrained).fingerprint()


def test_models_that_take_the_range_of_the_bits_keep_it(untrained: Model) -> None:
    config: ModelConfig = untrained.network.config
    untrained.network.config = config.updated(normalisation=config.normalisation.updated(kind="bits"))
    masked = np.ma.array(FRAME, mask=np.isnan(bordered(FRAME)))
    with pytest.warns(DarlWarning, match="8,192 of"):
        context = Windows(masked, untrained, OPTIONS).context(())
    assert (context.low, context.high) == (0, 255)


@pytest.mark.parametrize("step", [1, 2])
def test_a_dark_surround_has_no_vessels(untrained: Model, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    monkeypatch.setattr(normalisation, "_MAX_SAMPLES", 256 * 256 / step**2)
    frame = sample_angiogram()[100:356, 100:356].copy()
    frame[-24:] = frame[:, :16] = 20  # as a collimator leaves it
    wanted = segment_probability(frame, untrained, resize=1, region=np.ones(frame.shape))
    found = segment_probability(frame, untrained, resize=1)
    lit = np.zeros(frame.shape, bool)
    lit[:-24, 16:] = True
    assert wanted[~lit].max() > 0.5
    assert not found[~lit].any()
    inside = np.zeros(frame.shape, bool)
    inside[: -24 - 6, 16 + 6 :] = True  # without the rim
    np.testing.assert_array_equal(found[inside], wanted[inside])
    windows = Windows(frame, untrained, OPTIONS)
    np.testing.assert_array_equal(lazy_probability(windows).compute(), found)
    bright = segment_probability(frame, untrained, resize=1, bright=True)
    assert bright[~lit].max() > 0


def test_a_dim_corner_is_no_surround(untrained: Model) -> None:
    frame = sample_angiogram()[100:356, 100:356].copy()
    frame[np.add.outer(np.arange(256), np.arange(256)) < 90] = 20
    everything = segment_probability(frame, untrained, resize=1, region=np.ones(frame.shape))
    np.testing.assert_array_equal(segment_probability(frame, untrained, resize=1), everything)
