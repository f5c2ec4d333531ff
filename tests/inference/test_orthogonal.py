"""Volumes segmented along all three axes: the mean of three stacks of frames, whatever the parts and the spacing."""

import pickle
from dataclasses import replace
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import tifffile
import zarr
from scipy.ndimage import gaussian_filter

from napari_darl import (
    DarlWarning,
    ImageData,
    InputError,
    Model,
    SegmentOptions,
    Windows,
    iter_probability,
    lazy_probability,
    open_image,
    segment_probability,
    windows_for,
    write_zarr,
)
from napari_darl.darl.config import LITE
from napari_darl.darl.model import build
from napari_darl.frames.normalisation import Normalisation
from napari_darl.inference import orthogonal
from napari_darl.io.images import read_image

ORTHOGONAL = SegmentOptions(orthogonal=True, resize=1.0)


@pytest.fixture(scope="module")
def model() -> Model:
    """A small model that isn't trained, for which -1 and 1 are 0 and 255 in every frame."""
    generator = LITE.generator.updated(widths=(4, 6), blocks=1, spade_channels=4)
    denoiser = LITE.denoiser.updated(channels=4, multipliers=(1, 2), blocks=1)
    config = LITE.updated(
        denoiser=denoiser, generator=generator, normalisation=Normalisation(kind="bits"), tile=64, overlap=16
    )
    network, _ = build(config, seed=0)
    return Model(network.eval().requires_grad_(False), "small", "0" * 64, {})


@pytest.fixture(scope="module")
def volume() -> np.ndarray:
    """Noise and a bright box, of three different lengths."""
    volume = np.random.default_rng(0).integers(0, 60, (34, 48, 44)).astype(np.uint8)
    volume[10:30, 30:50, 8:20] += 150
    return volume


def test_the_result_is_the_mean_along_three_axes(model: Model, volume: np.ndarray) -> None:
    expected = segment_probability(volume, model, resize=1.0)
    for axis in (1, 2):
        side = segment_probability(np.moveaxis(volume, axis, 0), model, resize=1.0)
        expected = expected + np.moveaxis(side, 0, axis)
    found = segment_probability(volume, model, resize=1.0, orthogonal=True)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected / 3, atol=1e-6)
    assert np.abs(found - segment_probability(volume, model, resize=1.0)).mean() > 1e-3


def test_slices_that_lie_apart_are_brought_to_square_pixels(model: Model) -> None:
    fine = gaussian_filter(np.random.default_rng(0).normal(0, 1, (64, 40, 48)), 3)
    fine = 255 * (fine - fine.min()) / np.ptp(fine)
    isotropic = pairs(segment_probability(fine.astype(np.uint8), model, resize=1.0, orthogonal=True))
    volume = pairs(fine).astype(np.uint8)
    errors = [
        np.abs(segment_probability(volume, model, resize=1.0, orthogonal=True, slice_distance=it) - isotropic).mean()
        for it in (1.0, 2.0)
    ]
    assert errors[1] < 0.2 * errors[0]


def pairs(volume: np.ndarray) -> np.ndarray:
    return (volume[::2] + volume[1::2]) / 2


def test_chunks_of_any_size_are_those_of_the_whole_to_the_bit(
    model: Model, volume: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ORTHOGONAL.updated(slice_distance=1.3)
    whole = windows_for(volume, model, options).compute()
    assert windows_for(volume, model, options).chunk_shape == volume.shape
    monkeypatch.setattr(orthogonal, "_VOXELS", 40_000)
    monkeypatch.setattr(orthogonal, "_DEEPEST", 24)
    windows = pickle.loads(pickle.dumps(windows_for(volume, model, options)))
    assert windows.chunk_shape == (24, 40, 40)
    found = np.full(volume.shape, np.nan, np.float32)
    for chunk in windows.chunks():
        found[chunk.slices] = windows(chunk)
    np.testing.assert_array_equal(found, whole)
    frames = dict(iter_probability(volume, model, options, first=(7,)))
    assert next(iter(frames)) == (7,)
    np.testing.assert_array_equal(np.stack([frames[z,] for z in range(34)]), whole)


def test_zarr_and_dask_hold_the_same(
    tmp_path: Path, model: Model, volume: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = volume[..., :32]  # two parts; the test above has more
    whole = windows_for(volume, model, ORTHOGONAL).compute()
    stored = zarr.create_array(tmp_path / "volume.zarr", shape=volume.shape, chunks=(8, 32, 32), dtype=volume.dtype)
    stored[:] = volume
    monkeypatch.setattr(orthogonal, "_VOXELS", 40_000)
    windows = windows_for(open_image(tmp_path / "volume.zarr", lazy=True), model, ORTHOGONAL)
    write_zarr(windows, tmp_path / "mask.ome.zarr", tmp_path / "probability.ome.zarr")
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "probability.ome.zarr" / "0")[:], whole)
    lazy = lazy_probability(windows_for(da.from_array(volume, chunks=20), model, ORTHOGONAL))
    assert len(lazy.chunks[1]) > 1
    np.testing.assert_array_equal(lazy.compute(scheduler="sync"), whole)


def test_results_of_other_distances_are_not_resumed(model: Model, volume: np.ndarray) -> None:
    options = (SegmentOptions(resize=1.0), ORTHOGONAL, ORTHOGONAL.updated(slice_distance=2.0))
    assert len({windows_for(volume, model, each).fingerprint() for each in options}) == 3


def test_colours_become_grey_along_all_axes(model: Model, volume: np.ndarray) -> None:
    coloured = np.stack([volume * 0, volume, volume * 0], axis=-1)
    green = segment_probability(coloured, model, rgb=True, resize=1.0, orthogonal=True)
    np.testing.assert_array_equal(green, segment_probability(volume, model, resize=1.0, orthogonal=True))


def test_vessels_are_inside_the_region_and_where_values_are(model: Model, volume: np.ndarray) -> None:
    holes = volume.astype(np.float32)
    holes[3:20, 10:30, 5:9] = np.nan
    region = np.zeros(volume.shape[1:], bool)
    region[8:40, 4:38] = True
    with pytest.warns(DarlWarning, match="have no value|has"):
        found = windows_for(holes, model, ORTHOGONAL, region=region).compute()
    assert not found[:, ~region].any()
    assert not found[np.isnan(holes)].any()
    seen = np.broadcast_to(region, volume.shape) & ~np.isnan(holes)
    assert (found[seen] > 0).all()


def distance(image: object, model: Model, **changes: object) -> float | None:
    return windows_for(image, model, ORTHOGONAL.updated(**changes)).options.slice_distance


def test_the_distance_comes_from_the_option_the_file_or_is_one_pixel(
    tmp_path: Path, model: Model, volume: np.ndarray
) -> None:
    assert distance(volume, model) == 1.0
    ome, imagej, ours = (tmp_path / name for name in ("ome.ome.tif", "imagej.tif", "ours.zarr"))
    size = {"PhysicalSizeX": 500, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 500, "PhysicalSizeYUnit": "nm"}
    metadata = {"axes": "ZYX", **size, "PhysicalSizeZ": 1.5, "PhysicalSizeZUnit": "µm"}
    tifffile.imwrite(ome, volume, ome=True, metadata=metadata)
    tifffile.imwrite(
        imagej, volume, imagej=True, resolution=(2, 2), metadata={"axes": "ZYX", "spacing": 2.0, "unit": "um"}
    )
    group = zarr.open_group(ours, mode="w")
    group.create_array("0", shape=volume.shape, chunks=(8, 32, 32), dtype=volume.dtype)[:] = volume
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
    scale = [{"type": "scale", "scale": [0.8, 0.4, 0.4]}]
    group.attrs["multiscales"] = [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}]
    for path, expected in ((ome, 3.0), (imagej, 4.0), (ours, 2.0)):
        assert distance(open_image(path, lazy=True), model) == pytest.approx(expected)
        assert distance(open_image(path, lazy=True), model, slice_distance=1.5) == 1.5
    assert distance(read_image(ome), model) == pytest.approx(3.0)
    assert distance(read_image(imagej), model) == pytest.approx(4.0)


def test_only_volumes_have_three_axes(model: Model, volume: np.ndarray) -> None:
    movie = ImageData(volume, axes="TYX")
    for image, words in (
        (volume[0], "only a volume"),
        (volume[None], "only a volume"),
        (movie, "axes are TYX"),
        (volume[:20], "20 slices, which are 20 pixels high"),
    ):
        with pytest.raises(InputError, match=words):
            windows_for(image, model, ORTHOGONAL)
    assert windows_for(replace(movie, axes="ZYX"), model, ORTHOGONAL).shape == volume.shape
    assert windows_for(volume[:20], model, ORTHOGONAL.updated(slice_distance=1.7)).shape == (20, 48, 44)
    with pytest.raises(InputError, match="call windows_for"):
        Windows(volume, model, ORTHOGONAL)
    with pytest.raises(InputError, match="slice_distance"):
        ORTHOGONAL.updated(slice_distance=0)
