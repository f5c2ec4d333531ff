"""Path A on any part of an image, read only when it is asked for: the same values whatever the parts."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from itertools import product
from pathlib import Path
from threading import Lock
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_darl.errors import InputError
from napari_darl.frames.arrays import MIN_SIZE, check_image, to_grey
from napari_darl.frames.normalisation import encode, intensity_range, normalise, sampling_step
from napari_darl.inference.loading import Model, as_model
from napari_darl.inference.resampling import Resampling, resample, resampling
from napari_darl.inference.scale import checked_resize
from napari_darl.inference.segment import Predictor
from napari_darl.inference.tiling import Span, Tile, apply_tiled, crossed, spans
from napari_darl.io.arrays import ImageArray

Place = tuple[int, ...]
Limits = tuple[float, float]
Frame = npt.NDArray[np.float32]

_STEPS = 2  # tiles, less what they share, along the side of a chunk
_LONGEST = 4096  # px, of a chunk's side
_PIXELS = 2**22  # of a chunk of several frames
_STRIP = 4  # parts side by side that are made row by row, before those to their right
_KEPT = 2**25  # pixels of tiles that are kept for the chunks beside: 128 MiB


class Chunk(NamedTuple):
    """A part of an image: frames that follow each other on the last leading axis, and a window of them."""

    places: tuple[Place, ...]
    rows: slice
    columns: slice

    @property
    def slices(self) -> tuple[int | slice, ...]:
        """Where it lies in an array of the image's shape."""
        if not self.places[0]:
            return (self.rows, self.columns)
        *leading, first = self.places[0]
        return (*leading, slice(first, first + len(self.places)), self.rows, self.columns)


class Windows:
    """Probabilities of any part of an image that may be larger than memory.

    Tiles lie on the grid of the whole frame, and intensities are stretched by those of the whole frame, looked at on an
    even grid of pixels: a pixel's probability doesn't depend on the part that was asked for, and is that of
    `segment_probability` (but for the rounding of floats).

    Parameters
    ----------
    image : array-like, shape (..., Y, X) or, where `rgb`, (..., Y, X, 3 or 4)
        NumPy, dask, zarr, memory-mapped: whatever has a shape and a dtype and can be sliced.
    model, rgb, channel, bright, bits, resize, tile, device
        As in `segment_probability`.
    interrupt : callable, optional
        Called before each tile; what it raises ends the work. Such windows can't travel to other processes.

    Attributes
    ----------
    shape : tuple of int
        Of the result: (..., Y, X).
    chunk_shape : tuple of int
        Of the parts in which it is best made: whole tiles of large frames, several small frames at once.

    Raises
    ------
    InputError
        If image or options can't be worked with.
    """

    def __init__(
        self,
        image: object,
        model: Model | str | Path | None = None,
        *,
        rgb: bool = False,
        channel: Literal["green", "luminance"] = "green",
        bright: bool = False,
        bits: int | None = None,
        resize: float | None = None,
        tile: int | None = None,
        device: str = "auto",
        interrupt: Callable[[], None] | None = None,
    ) -> None:
        self.image: ImageArray = check_image(image, rgb=rgb)
        self.shape = tuple(int(n) for n in (self.image.shape[:-1] if rgb else self.image.shape))
        self.model = as_model(model, device)
        height, width = self.shape[-2:]
        self.resize = checked_resize(resize, height, width, self.model.network.config.side)
        self._predictor = Predictor(self.model.network, tile, interrupt)
        self._rgb, self._channel, self._bright, self._bits = rgb, channel, bright, bits
        grid = self.resize, self._predictor.tile, self._predictor.overlap
        self._down, self._across = _Axis(height, *grid), _Axis(width, *grid)
        self._forget()

    @property
    def chunk_shape(self) -> tuple[int, ...]:  # noqa: D102 - among the attributes
        step = round(_STEPS * (self._predictor.tile - self._predictor.overlap) / self.resize)
        height, width = (min(length, max(MIN_SIZE, min(step, _LONGEST))) for length in self.shape[-2:])
        leading = self.shape[:-2]
        if not leading:
            return (height, width)
        return (*(1,) * (len(leading) - 1), min(leading[-1], max(1, _PIXELS // (height * width))), height, width)

    def windows(self) -> list[tuple[slice, slice]]:
        """Rows and columns of the parts of a frame, strip by strip, so that tiles at hand serve the next parts."""
        height, width = self.chunk_shape[-2:]
        rows, columns = _cut(self.shape[-2], height), _cut(self.shape[-1], width)
        strips = [columns[start : start + _STRIP] for start in range(0, len(columns), _STRIP)]
        return [window for strip in strips for window in product(rows, strip)]

    def chunks(self) -> list[Chunk]:
        """All parts in the order in which they are best made: frame by frame, and each frame strip by strip."""
        leading, windows = self.chunk_shape[:-2], self.windows()
        starts = [range(0, length, step) for length, step in zip(self.shape[:-2], leading, strict=True)]
        found = []
        for start in product(*starts):
            places: tuple[Place, ...] = ((),)
            if start:
                last = range(start[-1], min(start[-1] + leading[-1], self.shape[-3]))
                places = tuple((*start[:-1], number) for number in last)
            found += [Chunk(places, rows, columns) for rows, columns in windows]
        return found

    def __call__(self, chunk: Chunk) -> Frame:
        """Probability of a part: float32, shape (..., Y, X) as of the image's array at `Chunk.slices`."""
        frames = [self.probability(place, chunk.rows, chunk.columns) for place in chunk.places]
        if not chunk.places[0]:
            return frames[0]
        return np.stack(frames)

    def probability(self, place: Place, rows: slice, columns: slice) -> Frame:
        """Probability of a window of the frame at `place`: float32, shape (rows, columns)."""
        pixels = self.image[(*place, *self.source(rows, columns))]
        return self.of_pixels(np.asarray(pixels), self.limits(place), rows, columns, place)

    def source(self, rows: slice, columns: slice) -> tuple[slice, slice]:
        """Which pixels of a frame a window of the result is made of."""
        return self._down.part(rows).there.source, self._across.part(columns).there.source

    def limits(self, place: Place) -> Limits:
        """Which intensities of a frame become -1 and 1; looked at once."""
        with self._lock:
            known = self._limits.get(place)
        if known is None:
            known = self.limits_of(np.asarray(self.image[(*place, *self.sample)]))
            with self._lock:
                self._limits[place] = known
        return known

    def fingerprint(self) -> str:
        """Hash what tells a result from another: model, options, and the image.

        Of the image its shape and dtype, and the first and last frame's pixels at `sample`.
        """
        options = self.resize, self._predictor.tile, self._predictor.overlap, self._bright, self._bits
        colours = (self._rgb, self._channel) if self._rgb else ()
        image = tuple(map(int, self.image.shape)), str(self.image.dtype)
        found = hashlib.sha256(repr((self.model.sha256, options, colours, image)).encode())
        for end in sorted({(0,) * len(self.shape[:-2]), tuple(n - 1 for n in self.shape[:-2])}):
            found.update(np.ascontiguousarray(self.image[(*end, *self.sample)]).tobytes())
        return found.hexdigest()

    @property
    def sample(self) -> tuple[slice, slice]:
        """The grid of pixels that tells the intensities of a frame."""
        step = sampling_step(self.shape[-2:])
        return slice(None, None, step), slice(None, None, step)

    def limits_of(self, sample: npt.NDArray[Any]) -> Limits:
        """Which intensities become -1 and 1 in a frame whose pixels at `sample` are these."""
        grey = to_grey(sample, self._channel) if self._rgb else sample
        _check_finite(grey)
        if grey.min() == grey.max():
            return float(grey.flat[0]), float(grey.flat[0])
        return intensity_range(grey, self.model.network.config.normalisation, self._bits)

    def of_pixels(
        self, pixels: npt.NDArray[Any], limits: Limits, rows: slice, columns: slice, place: Place | None = None
    ) -> Frame:
        """Probability of a window of a frame whose pixels at `source(rows, columns)` and limits are these.

        With its `place`, tiles are kept for the windows beside it.
        """
        down, across = self._down.part(rows), self._across.part(columns)
        if limits[0] >= limits[1]:  # a frame of one value, such as the black ones before a series begins
            return np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.float32)
        grey = to_grey(pixels, self._channel) if self._rgb else pixels
        _check_finite(grey)
        normalisation = self.model.network.config.normalisation
        frame = encode(normalise(grey, limits, self._bright), normalisation)
        if down.there.weights is not None or across.there.weights is not None:
            frame = np.clip(resample(frame, down.there.weights, across.there.weights), -1, 1)

        def run(window: Tensor, tile: Tile) -> Tensor:
            if place is None:
                return self._predictor.run(window)
            return self._kept_or_run(window, (place, tile.rows.start, tile.columns.start))

        found = apply_tiled(
            run,
            torch.from_numpy(np.ascontiguousarray(frame))[None, None],
            crossed(down.tiles, across.tiles),
            self.model.network.config.stride,
            (down.region.start, across.region.start),
        )[0, 0].numpy()
        found = found[down.kept, across.kept]
        return np.clip(resample(found, down.back.weights, across.back.weights), 0, 1).astype(np.float32, copy=False)

    def _kept_or_run(self, window: Tensor, key: tuple[Place, int, int]) -> Tensor:
        with self._lock:
            if key in self._tiles:
                self._tiles.move_to_end(key)
                return self._tiles[key]
        found = self._predictor.run(window)
        with self._lock:
            self._tiles[key] = found
            while len(self._tiles) * self._predictor.tile**2 > _KEPT:
                self._tiles.popitem(last=False)
        return found

    def _forget(self) -> None:
        self._lock = Lock()
        self._tiles: OrderedDict[tuple[Place, int, int], Tensor] = OrderedDict()
        self._limits: dict[Place, Limits] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_lock", "_tiles", "_limits")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._forget()


class _Part(NamedTuple):
    """How a part of an axis of the result is made.

    `there` leads from the frame's pixels to `region`, the part of the resized axis that `tiles` cover, `back` from the
    pixels of it at `kept` to the result.
    """

    there: Resampling
    region: slice
    tiles: list[Span]
    kept: slice
    back: Resampling


class _Axis:
    """An axis of a frame on its way to path A and back: resized, cut into tiles, resized back."""

    def __init__(self, length: int, resize: float, tile: int, overlap: int) -> None:
        self.length = length
        self.resized = length if resize == 1 else max(MIN_SIZE, round(length * resize))
        self.tiles = list(spans(self.resized, tile, overlap))

    def part(self, window: slice) -> _Part:
        back = resampling(self.resized, self.length, window)
        needed = back.source
        tiles = [span for span in self.tiles if span[0].start < needed.stop and span[0].stop > needed.start]
        region = slice(tiles[0][0].start, tiles[-1][0].stop)
        kept = slice(needed.start - region.start, needed.stop - region.start)
        return _Part(resampling(self.length, self.resized, region), region, tiles, kept, back)


def _cut(length: int, step: int) -> list[slice]:
    return [slice(start, min(start + step, length)) for start in range(0, length, step)]


def _check_finite(grey: npt.NDArray[Any]) -> None:
    if grey.dtype.kind == "f" and (bad := int(grey.size - np.count_nonzero(np.isfinite(grey)))):
        raise InputError(f"the image has {bad} NaN or infinite values in a part of it: replace them first")
