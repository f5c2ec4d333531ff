"""Parts of frames, and what they must know of the whole frame to be segmented as if the whole were."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from napari_darl.frames.arrays import check_values
from napari_darl.frames.field_of_view import without_surround
from napari_darl.frames.missing import filled, known_values
from napari_darl.frames.normalisation import Normalisation, encode, intensity_range, normalise, sampling_step
from napari_darl.frames.regions import EVERYTHING, Index, Mask, Region
from napari_darl.inference.options import SegmentOptions

Array = npt.NDArray[Any]

_SMALLEST = 128  # pixels, shorter side of frames in which a dark surround is looked for


class Window(NamedTuple):
    """A part of a frame, or all of it."""

    rows: slice
    columns: slice

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, in pixels."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start

    @property
    def size(self) -> int:
        """Number of pixels."""
        return self.shape[0] * self.shape[1]

    def within(self, other: "Window") -> "Window":
        """Return where this window lies in a larger one."""
        (top, left), (above, before) = ((part.rows.start, part.columns.start) for part in (self, other))
        height, width = self.shape
        return Window(slice(top - above, top - above + height), slice(left - before, left - before + width))


class Chunk(NamedTuple):
    """What is computed and stored at once: a window of frames that follow each other on the last leading axis."""

    frames: tuple[Index, ...]
    window: Window

    @property
    def slices(self) -> tuple[int | slice, ...]:
        """Where it lies in an array of the image's shape."""
        if not self.frames[0]:
            return tuple(self.window)
        *leading, first = self.frames[0]
        return (*leading, slice(first, first + len(self.frames)), *self.window)


@dataclass(frozen=True)
class Enlarged:
    """A mask of a frame that is known on an even grid of its pixels, since that of a whole slide takes much memory.

    Attributes
    ----------
    mask : numpy.ndarray of bool
        The mask on the grid.
    step : int
        Distance of the grid's pixels.
    """

    mask: Mask
    step: int

    def __getitem__(self, window: Window) -> Mask:
        """Return the mask of a window."""
        rows, columns = (np.arange(part.start, part.stop) // self.step for part in window)
        mask: Mask = self.mask[rows][:, columns]
        return mask


class Context(NamedTuple):
    """What a part of a frame must know of the whole.

    Attributes
    ----------
    low, high : float
        The intensities that become -1 and 1; both the same if the frame shows nothing.
    fill : numpy.ndarray, optional
        The frame, or an even grid of its pixels, with missing values filled; None where no value can be missing.
    inside : numpy.ndarray of bool or Enlarged, shape (Y, X), optional
        The pixels that may be vessel; None for all.
    missing : int
        Number of pixels without a value; estimated where only a grid of pixels was looked at.
    """

    low: float
    high: float
    fill: Array | None = None
    inside: "Mask | Enlarged | None" = None
    missing: int = 0


class Pixels(NamedTuple):
    """What a chunk is computed from: for each frame, its grey values and its context."""

    greys: list[Array]
    contexts: list[Context]


class Contexts:
    """Looks up the context of each frame of an image.

    Parameters
    ----------
    shape : tuple of int
        Shape of the image without its channel axis, (..., Y, X).
    normalisation : Normalisation
        The model's.
    options : SegmentOptions
        Its `bits` and `bright`.
    region : Region
        The pixels that count.
    """

    def __init__(
        self, shape: tuple[int, ...], normalisation: Normalisation, options: SegmentOptions, region: Region
    ) -> None:
        *leading, height, width = shape
        self._shape = height, width
        self._step = sampling_step(self._shape)
        self._alone = all(length == 1 for length in leading)
        self._normalisation, self._options, self._region = normalisation, options, region
        # Collimators and cameras leave a dark surround, whose rim looks like a dark vessel. Smaller frames are crops.
        self._surrounded = (
            region == EVERYTHING and not (options.bright or options.orthogonal) and min(self._shape) >= _SMALLEST
        )

    def __call__(self, grey: Array, index: Index) -> Context:
        """Return the context of a frame.

        Frames of a single value, such as the black ones before a series begins, show nothing: both limits are the same.
        So are those of frames in which all values look the same after normalising. Missing values, and those outside
        the region, don't count. Without a region, a dark surround counts, but has no vessels.

        Parameters
        ----------
        grey : numpy.ndarray, shape (Y, X)
            What `Pipeline.grey` returned for all pixels of the frame, or for an even grid of them (`sampling_step`).
        index : tuple of int
            Where the frame lies in its image.

        Raises
        ------
        InputError
            If the image is a single frame that shows nothing.
        """
        whole = grey.shape == self._shape
        name = f"Frame {index}" if index else "The image"
        counted, inside = grey, self._region.mask_of(index)
        if inside is not None:
            outside = ~(inside if whole else self._grid(inside))
            counted = np.ma.array(np.ma.getdata(grey), mask=outside | np.ma.getmaskarray(grey))
        values = known_values(counted)
        if self._alone and whole:
            check_values(values, name if inside is None else f"{name} inside the region '{self._region.name}'")
        missing = grey.size - np.ma.count(grey) if isinstance(grey, np.ma.MaskedArray) else 0
        grid = 1 if whole else self._step**2
        limits = self._limits(counted, values)
        seen = self._lit(grey, whole, limits) if self._surrounded and limits[0] < limits[1] else inside
        return Context(*limits, self._fill(grey, whole), seen, int(missing) * grid)

    def encoded(self, grey: Array, context: Context, source: Window) -> npt.NDArray[np.float32]:
        """Return the pixels of a frame at `source` as the network sees them, with missing values filled: in [-1, 1]."""
        if isinstance(grey, np.ma.MaskedArray):
            rows, columns = (np.arange(part.start, part.stop) // self._step for part in source)
            fill = filled(grey) if context.fill is None else context.fill[rows][:, columns]
            grey = np.where(np.ma.getmaskarray(grey), fill, np.ma.getdata(grey))
        return self._encoded(grey, context.low, context.high)

    def _encoded(self, grey: Array, low: float, high: float) -> npt.NDArray[np.float32]:
        return encode(normalise(grey, (low, high), bool(self._options.bright)), self._normalisation)

    def _limits(self, counted: Array, values: Array) -> tuple[float, float]:
        if not values.size:
            return 0.0, 0.0
        ends = np.array([values.min(), values.max()], values.dtype)
        low = float(ends[0])
        if ends[0] == ends[1]:
            return low, low
        limits = intensity_range(counted, self._normalisation, self._options.bits)
        darkest, brightest = self._encoded(ends, *limits)
        return limits if darkest != brightest else (low, low)

    def _lit(self, grey: Array, whole: bool, limits: tuple[float, float]) -> Mask | Enlarged | None:
        """Return the frame without its dark surround; None if it has none."""
        grid = self._grid(grey) if whole else grey
        values = filled(grid) if isinstance(grid, np.ma.MaskedArray) else grid
        lit = without_surround(normalise(values, limits))
        return lit if lit is None or self._step == 1 else Enlarged(lit, self._step)

    def _fill(self, grey: Array, whole: bool) -> Array | None:
        if isinstance(grey, np.ma.MaskedArray) or (self._step > 1 and grey.dtype.kind == "f"):
            return filled(self._grid(grey) if whole else grey)
        return None

    def _grid(self, pixels: Array) -> Array:
        """Return the even grid of a frame's pixels."""
        return pixels[:: self._step, :: self._step]
