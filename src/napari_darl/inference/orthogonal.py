"""Volumes segmented along all three axes.

A vessel that crosses the slices of a volume shows as a disc in them, and as a vessel in frames along it. Path A
therefore segments the slices (Y, X), the frames (Z, X) and the frames (Z, Y), and their probabilities are averaged.

The rows of the last two are slices, whose distance may differ from the size of a pixel. They are resized by this
ratio, so that vessels keep their shape, and normalised by the intensities of the whole volume, since their own are read
from too many slices to look them up for each frame.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from math import isqrt, prod
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_darl.errors import InputError
from napari_darl.frames.arrays import MIN_SIZE
from napari_darl.frames.regions import EVERYTHING, Index, Region
from napari_darl.inference.context import Array, Chunk, Context, Contexts, Pixels, Window
from napari_darl.inference.loading import Model
from napari_darl.inference.options import SegmentOptions
from napari_darl.inference.pipeline import Pipeline, Probability, Progress, reported
from napari_darl.inference.windows import Windows
from napari_darl.io.arrays import ImageArray, ImageData

_VOXELS = 2**25  # most voxels of a chunk, and of what is read at once: 128 MiB as float32
_DEEPEST = 256  # most slices of a chunk of a larger volume
_SAMPLED = 2**22  # most voxels that decide the intensities of a volume


def windows_for(
    image: object,
    model: Model | str | Path | None = None,
    options: SegmentOptions | None = None,
    *,
    region: Region | npt.ArrayLike | None = None,
    interrupt: Callable[[], None] | None = None,
) -> Windows:
    """Return an image being segmented: frame by frame or, if `options.orthogonal`, a volume along all three axes.

    All parameters but `image` are those of `Windows`.

    Parameters
    ----------
    image : object
        As in `Windows`; a volume has the shape (Z, Y, X) or, where `options.rgb`, (Z, Y, X, 3 or 4).

    Returns
    -------
    Windows
        For `compute`, `write_zarr`, `lazy_probability` and `lazy_mask`.

    Raises
    ------
    InputError
        If the image or the options can't be used.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_darl import SegmentOptions, windows_for
    >>> volume = np.random.default_rng(0).random((20, 40, 48))
    >>> options = SegmentOptions(orthogonal=True, slice_distance=2)
    >>> windows_for(volume, "fluorescence", options).compute().shape
    (20, 40, 48)
    """
    kind = OrthogonalWindows if options is not None and options.orthogonal else Windows
    return kind(image, model, options, region=region, interrupt=interrupt)


class OrthogonalWindows(Windows):
    """A volume being segmented along all three axes; see `windows_for`.

    Any part of it has the same probabilities as if the whole volume were segmented.
    """

    def __init__(
        self,
        image: object,
        model: Model | str | Path | None = None,
        options: SegmentOptions | None = None,
        *,
        region: Region | npt.ArrayLike | None = None,
        interrupt: Callable[[], None] | None = None,
    ) -> None:
        along_z = (options or SegmentOptions()).updated(orthogonal=False)
        super().__init__(image, model, along_z, region=region, interrupt=interrupt)
        distance = _slice_distance(self.image, None if options is None else options.slice_distance)
        _check_volume(self.image, distance * self.resize)
        self.pipeline.options = self.options.updated(orthogonal=True, slice_distance=distance)
        self._sides = [_Side(self, axis, interrupt) for axis in (1, 2)]
        self._volume_context: Context | None = None

    @property
    def chunk_shape(self) -> tuple[int, ...]:  # noqa: D102 - as in Windows
        if prod(self.shape) <= _VOXELS:
            return self.shape
        depth = min(self.shape[0], _DEEPEST)
        across = isqrt(_VOXELS // depth)
        return (depth, *(min(length, max(MIN_SIZE, across)) for length in self.shape[1:]))

    def frames(self, first: Index | None = None) -> Iterator[tuple[Index, Probability]]:
        """Compute slice by slice, as `Windows.frames`; the other two axes come first, and are held in memory."""
        whole = (slice(0, self.shape[0]), *self.pipeline.whole)
        others = self._from_sides(whole)
        for index, probability in super().frames(first):
            yield index, self._mean(index, probability, others[index], self.pipeline.whole)

    def compute(self, chosen: Sequence[Index] | None = None, progress: Progress | None = None) -> Probability:
        """Return the probability of the whole volume, as `Windows.compute`."""
        probability = np.zeros(self.shape, np.float32)
        sides = [(side.pipeline, self.shape[side.axis]) for side in self._sides]
        with reported([(self.pipeline, self.shape[0]), *sides], progress):
            for index, frame in self.frames():
                if chosen is None or index in chosen:
                    probability[index] = frame
        return probability

    def compute_chunk(self, chunk: Chunk, pixels: Pixels) -> Probability:
        """Return the probability of a chunk: float32, shape (frames, Y, X)."""
        first, last = chunk.frames[0][0], chunk.frames[-1][0]
        part = (slice(first, last + 1), *chunk.window)
        probability = super().compute_chunk(chunk, pixels)
        for index, frame, others in zip(chunk.frames, probability, self._from_sides(part), strict=True):
            frame[:] = self._mean(index, frame, others, chunk.window)
        return probability

    def probability(self, index: Index, rows: slice, columns: slice) -> Probability:
        """Return the probability in a window of a slice; costs as much as all slices of the volume in this window."""
        result: Probability = self(Chunk((index,), Window(rows, columns)))[0]
        return result

    def fingerprint(self) -> str:
        """Return a hash of all that decides the result: model, options and image."""
        return hashlib.sha256(f"{super().fingerprint()} {self.options.slice_distance}".encode()).hexdigest()

    def volume_context(self) -> Context:
        """Return the intensities of the volume that become -1 and 1, from an even grid of its voxels."""
        if self._volume_context is None:
            step = max(1, round((prod(self.shape) / _SAMPLED) ** (1 / 3)))
            grid = slice(None, None, step)
            slices = []
            for z in range(0, self.shape[0], step):
                grey = self._read((z,), (grid, grid))
                inside = self.region.mask_of((z,))
                slices.append(grey if inside is None else np.ma.array(grey, mask=~inside[grid, grid]))
            contexts = Contexts(self.shape, self.model.network.config.normalisation, self.options, EVERYTHING)
            low, high, *_ = contexts(np.ma.concatenate(slices), ())  # type: ignore[no-untyped-call]
            self._volume_context = Context(low, high)
        return self._volume_context

    def _from_sides(self, part: tuple[slice, ...]) -> Probability:
        """Return the sum of the probabilities of frames (Z, X) and (Z, Y) in a part of the volume."""
        along_y, along_x = (side.probability(part, self.volume_context()) for side in self._sides)
        along_y += along_x
        return along_y

    def _mean(self, index: Index, probability: Probability, others: Probability, window: Window) -> Probability:
        """Return the mean along three axes in a window of a slice: 0 outside the region."""
        mean: Probability = (probability + others) / np.float32(3)
        inside = self.region.mask_of(index)
        return mean if inside is None else mean * inside[window]


class _Side:
    """The frames of a volume that follow each other along Y (`axis` 1) or X (2); their rows are its slices.

    `windows` has decided the options.
    """

    def __init__(self, windows: Windows, axis: int, interrupt: Callable[[], None] | None) -> None:
        self.data: ImageArray = windows.image.data
        self.axis, self.across = axis, 3 - axis
        shape = windows.shape[axis], windows.shape[0], windows.shape[self.across]
        self.pipeline = Pipeline(shape, windows.model, windows.options, interrupt=interrupt)

    def probability(self, part: tuple[slice, ...], context: Context) -> Probability:
        """Return the probability in a part (Z, Y, X) of the volume."""
        window = Window(part[0], part[self.across])
        source = self.pipeline.source(window)
        numbers = part[self.axis]
        at_once = max(1, _VOXELS // source.size)
        # Voxels without a value are taken for the darkest, so that all parts of the volume agree.
        frame_shape = self.pipeline.whole.shape
        context = context._replace(fill=np.broadcast_to(context.low, frame_shape))
        result = np.empty([piece.stop - piece.start for piece in part], np.float32)
        frames = np.moveaxis(result, self.axis, 0)
        for start in range(numbers.start, numbers.stop, at_once):
            stop = min(start + at_once, numbers.stop)
            for number, frame in enumerate(self._read(slice(start, stop), source), start):
                grey = self.pipeline.grey(frame)
                frames[number - numbers.start] = self.pipeline([grey], [context], window)[0]
        return result

    def _read(self, numbers: slice, source: Window) -> Array:
        """Return pixels of some frames, (frames, Z, Y or X) and colours."""
        rows, columns = source
        index = (rows, numbers, columns) if self.axis == 1 else (rows, columns, numbers)
        return np.moveaxis(np.asanyarray(self.data[index]), self.axis, 0)


def _slice_distance(image: ImageData[ImageArray], given: float | None) -> float:
    """Return the distance of two slices in pixels: the one given, or the file's, or 1."""
    if given is not None:
        return given
    if image.slice_distance is None or image.pixel_size is None:
        return 1.0
    height, width = image.pixel_size
    return float(image.slice_distance / (height * width) ** 0.5)


def _check_volume(image: ImageData[ImageArray], scale: float) -> None:
    """Raise InputError unless an image is a volume whose frames along Y and X are high enough after resizing."""
    if len(image.leading_shape) != 1 or (image.axes or "Z")[0] in "TC":
        known = f" and its axes are {image.axes}" if image.axes else ""
        raise InputError(
            f"The image's shape is {tuple(image.data.shape)}{known}. Along three axes, only a volume (Z, Y, X) can be "
            "segmented."
        )
    slices = image.leading_shape[0]
    if slices * scale < MIN_SIZE:
        raise InputError(
            f"The volume has {slices} slices, which are {slices * scale:.0f} pixels high after resizing. For all three "
            f"axes they must be {MIN_SIZE} or more: segment it slice by slice."
        )
