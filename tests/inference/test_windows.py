"""Parts of images that may be larger than memory: the same values whatever the parts, chunks and workers."""

import pickle
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import tifffile
import torch
import torch.nn.functional as F
import zarr

from napari_darl import (
    InputError,
    Model,
    SegmentOptions,
    Windows,
    lazy_mask,
    lazy_probability,
    segment,
    segment_probability,
)
from napari_darl.inference.axes import Axis
from napari_darl.inference.predictor import Predictor
from napari_darl.inference.resampling import Resampling, resample
from napari_darl.io.lazy import open_lazily
from napari_darl.samples import sample_angiogram

FULL = SegmentOptions(resize=1)
TILED = SegmentOptions(resize=1, tile=128)


@pytest.fixture(scope="module")
def wide() -> np.ndarray:
    """A frame of several tiles of 128 px, no multiple of anything."""
    return sample_angiogram()[100:300, 100:430]


@pytest.fixture(scope="module")
def whole(wide: np.ndarray) -> np.ndarray:
    return segment_probability(wide, resize=1.0, tile=128)


def put_together(windows: Windows) -> np.ndarray:
    found = np.full(windows.shape, np.nan, np.float32)
    for chunk in windows.chunks():
        assert np.isnan(found[chunk.slices]).all()
        found[chunk.slices] = windows(chunk)
    assert not np.isnan(found).any()
    return found


@pytest.mark.parametrize(("length", "resized"), [(100, 37), (37, 100), (512, 683), (300, 299), (64, 64)])
def test_parts_are_resampled_as_torch_resamples_the_whole(length: int, resized: int) -> None:
    frame = np.random.default_rng(0).random((length, length), np.float32)
    whole = F.interpolate(torch.from_numpy(frame)[None, None], (resized, resized), mode="bilinear", antialias=True)
    rows, columns = slice(resized // 3, resized // 2), slice(resized // 2, resized)
    down, across = (Resampling(length, resized, part.start, part.stop) for part in (rows, columns))
    [part] = resample(frame[None, down.source, across.source], down, across)
    np.testing.assert_allclose(part, whole[0, 0].numpy()[rows, columns], atol=1e-4)
    everything = Resampling(length, resized, 0, resized)
    [complete] = resample(frame[None], everything, everything)
    np.testing.assert_array_equal(part, complete[rows, columns])


def test_parts_at_full_size_are_those_of_the_whole_to_the_bit(wide: np.ndarray, whole: np.ndarray) -> None:
    windows = Windows(wide, options=TILED)
    assert len(windows.chunks()) > 4
    np.testing.assert_array_equal(put_together(windows), whole)
    odd = Windows(wide, options=TILED).probability((), slice(33, 191), slice(5, 7))
    np.testing.assert_array_equal(odd, whole[33:191, 5:7])


def test_a_tile_is_computed_once(wide: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    windows = Windows(wide, options=TILED)
    seen: list[tuple[int, ...]] = []

    def noted(self: Predictor, tiles: torch.Tensor, wanted: object = None) -> torch.Tensor:
        seen.append(tuple(tiles.shape))
        return torch.zeros_like(tiles)

    monkeypatch.setattr(Predictor, "__call__", noted)
    put_together(windows)
    assert len(seen) == 4 * 6  # tiles of 128 px with margins of 32 px: cells of 64 px


def test_resized_tiles_are_computed_once_too(wide: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    windows = Windows(wide, options=TILED.updated(resize=0.7))
    seen: list[tuple[int, ...]] = []

    def noted(self: Predictor, tiles: torch.Tensor, wanted: object = None) -> torch.Tensor:
        seen.append(tuple(tiles.shape[2:]))
        return torch.zeros_like(tiles)

    monkeypatch.setattr(Predictor, "__call__", noted)
    put_together(windows)
    step = windows.pipeline.rows.step
    assert len(seen) == -(-200 // step) * -(-330 // step)
    assert max(max(shape) for shape in seen) <= 128


def test_tiles_see_a_margin_on_the_grid_of_the_network() -> None:
    axis = Axis(length=3000, resize=0.7, tile=512, margin=64, stride=16)
    cells = list(axis.cells(slice(0, 3000)))
    assert [cell.pixels.start for cell in cells] == list(range(0, 3000, axis.step))
    for cell in cells:
        first, last = (0.7 * end for end in (cell.pixels.start, cell.pixels.stop))
        assert cell.tile.start % 16 == 0
        assert cell.tile.start <= max(first - 64, 0)
        assert cell.tile.stop >= min(last + 64, axis.resized)
        assert cell.tile.stop - cell.tile.start <= 512


@pytest.mark.parametrize("resize", [0.05, 0.3, 1.0, 3.0])
def test_chunks_are_whole_cells_of_a_bounded_size(resize: float) -> None:
    class Huge:
        shape, dtype = (30_000, 40_000), np.dtype(np.uint8)

    windows = Windows(Huge(), options=SegmentOptions(resize=resize))
    for length, axis in zip(windows.chunk_shape, (windows.pipeline.rows, windows.pipeline.columns), strict=True):
        assert length % axis.step == 0
        assert 32 <= length <= 4096


@pytest.mark.parametrize("resize", [0.7, 1.4])
def test_resized_parts_are_those_of_the_whole(wide: np.ndarray, resize: float) -> None:
    part = wide[:160, :250]
    whole = segment_probability(part, resize=resize, tile=128)
    np.testing.assert_array_equal(put_together(Windows(part, options=TILED.updated(resize=resize))), whole)


def test_movies_colours_and_bright_vessels(untrained: Model) -> None:
    movie = np.stack([np.roll(sample_angiogram()[:96, :128], 8 * t, 1) for t in range(5)])
    movie[0] = 7  # before contrast comes, and before anything does
    windows = Windows(movie, untrained, FULL.updated(bright=True))
    assert windows.chunk_shape == (5, 96, 128)
    found = put_together(windows)
    np.testing.assert_allclose(found, segment_probability(movie, untrained, resize=1.0, bright=True), atol=1e-5)
    assert not found[0].any()
    colours = np.stack([movie[1]] * 3, -1)
    coloured = put_together(Windows(colours, untrained, FULL.updated(rgb=True)))
    np.testing.assert_allclose(coloured, segment_probability(movie[1], untrained, resize=1.0), atol=1e-5)


@pytest.mark.parametrize("chunks", [(200, 330), (64, 64), (97, 233)])
def test_dask_images_become_dask_masks_whatever_their_chunks(
    wide: np.ndarray, whole: np.ndarray, chunks: tuple[int, int]
) -> None:
    windows = Windows(da.from_array(wide, chunks=chunks), options=TILED)
    lazy = lazy_probability(windows)
    assert lazy.shape == wide.shape
    np.testing.assert_array_equal(lazy.compute(scheduler="threads"), whole)
    np.testing.assert_array_equal(lazy_mask(windows)[100:150, 280:].compute(), (whole > 0.5)[100:150, 280:])


@pytest.mark.parametrize("kind", ["zarr", "tif"])
def test_lazy_results_of_files(tmp_path: Path, untrained: Model, kind: str) -> None:
    movie = np.stack([sample_angiogram()[:100, :120]] * 2)
    path = tmp_path / f"movie.{kind}"
    if kind == "zarr":
        zarr.create_array(path, shape=movie.shape, chunks=(1, 50, 50), dtype=movie.dtype)[:] = movie
    else:
        tifffile.imwrite(path, movie, photometric="minisblack", tile=(32, 32), compression="zlib")
    lazy = lazy_mask(Windows(open_lazily(path), untrained, FULL))
    np.testing.assert_array_equal(lazy.compute(), segment(movie, untrained, resize=1.0))


def test_lazy_stacks_keep_their_leading_axes(untrained: Model) -> None:
    stack = np.stack([sample_angiogram()[:64, i : i + 64] for i in range(6)]).reshape(2, 3, 64, 64)
    lazy = lazy_mask(Windows(stack, untrained, FULL))
    assert lazy.dtype == np.uint8
    np.testing.assert_array_equal(lazy.compute(), segment(stack, untrained, resize=1.0))


def test_only_what_a_part_needs_is_read(wide: np.ndarray) -> None:
    asked = []

    class Watched:
        shape, dtype = wide.shape, wide.dtype

        def __getitem__(self, index: tuple[slice, slice]) -> np.ndarray:
            asked.append(wide[index].size)
            return wide[index]

    windows = Windows(Watched(), options=TILED)
    windows.context(())
    asked.clear()
    windows.probability((), slice(0, 50), slice(0, 50))
    assert asked == [96 * 96]  # a cell of 64 px and its margin


def test_windows_travel_to_other_processes(tmp_path: Path, wide: np.ndarray) -> None:
    array = zarr.create_array(tmp_path / "wide.zarr", shape=wide.shape, chunks=(100, 100), dtype=wide.dtype)
    array[:] = wide
    windows = Windows(array, options=TILED)
    part = (), slice(0, 60), slice(200, 300)
    first = windows.probability(*part)
    copy = pickle.loads(pickle.dumps(windows))
    np.testing.assert_array_equal(copy.probability(*part), first)


def test_bad_parts_say_so(wide: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"0\.05.*200 x 330"):
        Windows(wide, options=SegmentOptions(resize=0.05))
    with pytest.raises(InputError, match="100 pixels"):
        Windows(wide, options=SegmentOptions(tile=100))
    with pytest.raises(InputError, match="threshold"):
        lazy_mask(Windows(wide), 1.5)
