"""An image being segmented: whole frames or any window of them, read only when they are computed."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice, product
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_darl.errors import InputError
from napari_darl.frames.arrays import as_image, iter_frames
from napari_darl.frames.channels import colour_of, colours_that_show, select_channel
from napari_darl.frames.missing import warn_of_missing
from napari_darl.frames.normalisation import sampling_step
from napari_darl.frames.regions import EVERYTHING, Index, Region, as_region
from napari_darl.inference.context import Array, Chunk, Context, Pixels, Window
from napari_darl.inference.loading import Model, as_model
from napari_darl.inference.options import SegmentOptions
from napari_darl.inference.parallel import ahead, each
from napari_darl.inference.pipeline import Pipeline, Probability, Progress, reported

_PIXELS = 2**22  # most pixels of a chunk of several frames
_CONTEXTS = 8  # frames whose context is kept


class Windows:
    """An image being segmented, which may be larger than memory.

    A pixel's probability doesn't depend on the window that is asked for: cells lie on the grid of the whole frame, and
    intensities are normalised by those of the whole frame, read on an even grid of pixels.

    Parameters
    ----------
    image : ImageData or array-like, shape (..., Y, X) or, where `options.rgb`, (..., Y, X, 3 or 4)
        NumPy, dask, zarr, memory-mapped: anything with a shape and a dtype that can be sliced. An `ImageData` brings
        its own `rgb` and, unless the options name them, its `bits`.
    model : Model, str or Path, optional
        What `load_model` returned or takes; by default the bundled model `default`.
    options : SegmentOptions, optional
        How to segment.
    noise_level : int
        Timestep t at which path A sees the frames; above 0 they are noised accordingly.
    region : Region or array-like, shape (Y, X) or (..., Y, X), optional
        The pixels that count, True in masks; by default all of them. What lies outside has no vessels and doesn't
        decide the range of intensities.
    interrupt : callable, optional
        Called before each tile; what it raises ends the work. Such windows can't be sent to other processes.

    Attributes
    ----------
    image : ImageData
        The image, checked, with the chosen channel alone.
    shape : tuple of int
        Shape of the result, (..., Y, X).
    model : Model
        The loaded model.
    options : SegmentOptions
        Those given, with `rgb`, `bits`, `resize` and `tile` decided.
    resize : float
        The factor by which frames are resized before the network.
    precision : str
        The lowest precision that the network computes in on this machine: `float32` or `bfloat16`.
    chunk_shape : tuple of int
        Shape of the chunks in which the result is best computed and stored: whole tiles of large frames, several small
        frames at once.

    Raises
    ------
    InputError
        If the image or the options can't be used.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_darl import SegmentOptions, Windows
    >>> from napari_darl.samples import sample_angiogram
    >>> windows = Windows(np.tile(sample_angiogram(), (8, 8)), options=SegmentOptions(resize=1))
    >>> windows.shape, windows.chunk_shape
    ((4096, 4096), (1792, 1792))
    >>> corner = windows.probability((), slice(0, 64), slice(0, 64))
    >>> corner.shape, corner.dtype
    ((64, 64), dtype('float32'))
    """

    def __init__(
        self,
        image: object,
        model: Model | str | Path | None = None,
        options: SegmentOptions | None = None,
        *,
        noise_level: int = 0,
        region: Region | npt.ArrayLike | None = None,
        interrupt: Callable[[], None] | None = None,
    ) -> None:
        options = options or SegmentOptions()
        if options.orthogonal:
            raise InputError("These windows follow one axis. For all three axes, call windows_for.")
        self.image = select_channel(as_image(image, rgb=options.rgb, bits=options.bits), options.channel)
        self.shape = (*map(int, self.image.leading_shape), *self.image.frame_shape)
        self.model = as_model(model, options.device)
        options = options.updated(rgb=self.image.rgb, bits=self.image.bits)
        self._warned = False
        self.region = as_region(region, self.shape)
        self.pipeline = Pipeline(
            self.shape, self.model, options, noise_level=noise_level, region=self.region, interrupt=interrupt
        )
        self._forget()

    @property
    def options(self) -> SegmentOptions:  # noqa: D102 - among the attributes
        return self.pipeline.options

    @property
    def resize(self) -> float:  # noqa: D102 - among the attributes
        return self.pipeline.resize

    @property
    def precision(self) -> str:  # noqa: D102 - among the attributes
        return self.pipeline.predictor.precision

    @property
    def chunk_shape(self) -> tuple[int, ...]:  # noqa: D102 - among the attributes
        height, width = (axis.chunk for axis in (self.pipeline.rows, self.pipeline.columns))
        leading = self.shape[:-2]
        if not leading:
            return (height, width)
        return (*(1,) * (len(leading) - 1), min(leading[-1], max(1, _PIXELS // (height * width))), height, width)

    def frames(self, first: Index | None = None) -> Iterator[tuple[Index, Probability]]:
        """Compute frame by frame, each read once, while the one before it is computed.

        Parameters
        ----------
        first : tuple of int, optional
            Index of the frame to begin with on the leading axes; those after it follow, then those before it.

        Yields
        ------
        tuple of int
            The frame's index; () for a single frame.
        numpy.ndarray of float32, shape (Y, X)
            Its probability.
        """
        for indices, pixels in ahead(self._batches(first)):
            yield from zip(indices, self.pipeline(*pixels, self.pipeline.whole), strict=True)

    def _batches(self, first: Index | None) -> Iterator[tuple[list[Index], Pixels]]:
        """Yield batches of whole frames: their indices, and what they are computed from."""
        pipeline = self.pipeline
        frames = ((index, pipeline.grey(pixels)) for index, pixels in iter_frames(self.image, first=first))
        while batch := list(islice(frames, pipeline.at_once())):
            with self._naming_colours():
                contexts = each(lambda one: pipeline.context(one[1], one[0]), batch, pipeline.predictor.device)
            for (index, _), context in zip(batch, contexts, strict=True):
                self._warn(index, context)
            yield [index for index, _ in batch], Pixels([grey for _, grey in batch], contexts)

    def compute(self, chosen: Sequence[Index] | None = None, progress: Progress | None = None) -> Probability:
        """Return the probability of the whole image, float32 of shape `shape`; it has to fit into memory.

        Parameters
        ----------
        chosen : sequence of tuple of int, optional
            Indices of the frames to segment; the others stay 0.
        progress : callable, optional
            Called with the numbers of finished and of all tiles; what it raises ends the work.
        """
        whole, count = self.pipeline.whole, self.image.frame_count if chosen is None else len(chosen)
        frames = self.frames() if chosen is None else ((index, self.probability(index, *whole)) for index in chosen)
        probability = np.zeros(self.shape, np.float32)
        with reported([(self.pipeline, count)], progress):
            for index, frame in frames:
                probability[index] = frame
        return probability

    def frame_windows(self) -> list[Window]:
        """Return the windows into which chunks cut a frame, row by row; no two of them need the same tile."""
        return [Window(*parts) for parts in product(*map(_cut, self.shape[-2:], self.chunk_shape[-2:]))]

    def chunks(self) -> list[Chunk]:
        """Return all chunks in the order in which they are best computed: frame by frame, each row by row."""
        leading = self.chunk_shape[:-2]
        starts = [range(0, length, step) for length, step in zip(self.shape[:-2], leading, strict=True)]
        chunks = []
        for start in product(*starts):
            frames: tuple[Index, ...] = ((),)
            if start:
                numbers = range(start[-1], min(start[-1] + leading[-1], self.shape[-3]))
                frames = tuple((*start[:-1], number) for number in numbers)
            chunks += [Chunk(frames, window) for window in self.frame_windows()]
        return chunks

    def __call__(self, chunk: Chunk) -> Probability:
        """Return the probability of a chunk: float32, shape (Y, X) or (frames, Y, X)."""
        return self.compute_chunk(chunk, self.read(chunk))

    def read(self, chunk: Chunk) -> Pixels:
        """Read what a chunk is computed from."""
        source = self.pipeline.source(chunk.window)
        greys = [self._read(index, source) for index in chunk.frames]
        if source == self.pipeline.whole:
            contexts = [self._keep_context(index, grey) for index, grey in zip(chunk.frames, greys, strict=True)]
        else:
            contexts = [self.context(index) for index in chunk.frames]
        return Pixels(greys, contexts)

    def compute_chunk(self, chunk: Chunk, pixels: Pixels) -> Probability:
        """Return the probability of a chunk, as a call does, from what `read` returned."""
        # One by one on a CPU, where batches gain little and a frame's sums would depend on the frames beside it.
        at_once = 1 if self.pipeline.predictor.device.type == "cpu" else self.pipeline.at_once()
        batches = (slice(start, start + at_once) for start in range(0, len(chunk.frames), at_once))
        found = [self.pipeline(pixels.greys[b], pixels.contexts[b], chunk.window) for b in batches]
        probability = np.concatenate(found) if len(found) > 1 else found[0]
        return probability if chunk.frames[0] else probability[0]

    def probability(self, index: Index, rows: slice, columns: slice) -> Probability:
        """Return the probability in a window of the frame at `index`: float32, shape (rows, columns)."""
        chunk = Chunk((index,), Window(rows, columns))
        return self.pipeline(*self.read(chunk), chunk.window)[0]  # type: ignore[no-any-return]

    @property
    def sample(self) -> tuple[slice, slice]:
        """The even grid of a frame's pixels that decides its context."""
        step = sampling_step(self.shape[-2:])
        return slice(None, None, step), slice(None, None, step)

    def context(self, index: Index) -> Context:
        """Return what windows of a frame must know of the whole; that of the last frames is kept."""
        with self._lock:
            known = self._contexts.get(index)
        if known is None:
            known = self._keep_context(index, self._read(index, self.sample))
        return known

    def fingerprint(self) -> str:
        """Return a hash of all that decides the result: model, options and image.

        The image contributes its shape, its dtype, and the pixels at `sample` of its first and last frame.
        """
        pipeline, rgb = self.pipeline, self.options.rgb
        settings = self.resize, pipeline.tile, pipeline.margin, pipeline.options.bright, self.options.bits
        colours = (rgb, colour_of(self.options.channel)) if rgb else ()
        region = (self.region.content,) if self.region != EVERYTHING else ()
        image = tuple(map(int, self.image.data.shape)), str(self.image.data.dtype)
        digest = hashlib.sha256(repr((self.model.sha256, settings, colours, image, *region)).encode())
        for end in sorted({(0,) * len(self.shape[:-2]), tuple(n - 1 for n in self.shape[:-2])}):
            pixels = np.asanyarray(self.image.data[(*end, *self.sample)])
            digest.update(np.ascontiguousarray(np.ma.getdata(pixels)).tobytes())
            if isinstance(pixels, np.ma.MaskedArray):
                digest.update(np.ma.getmaskarray(pixels).tobytes())
        return digest.hexdigest()

    @contextmanager
    def _naming_colours(self) -> Iterator[None]:
        """Say in the error of an image that shows nothing which of its colours do."""
        try:
            yield
        except InputError as error:
            raise InputError(f"{error}{colours_that_show(self.image)}") from None

    def _read(self, index: Index, part: tuple[slice, slice]) -> Array:
        return self.pipeline.grey(np.asanyarray(self.image.data[(*index, *part)]))

    def _keep_context(self, index: Index, grey: Array) -> Context:
        with self._naming_colours():
            context = self.pipeline.context(grey, index)
        self._warn(index, context)
        with self._lock:
            self._contexts[index] = context
            while len(self._contexts) > _CONTEXTS:
                self._contexts.popitem(last=False)
        return context

    def _warn(self, index: Index, context: Context) -> None:
        """Warn of the first frame in which values are missing."""
        if context.missing and not self._warned:
            self._warned = True
            frame = f": frame {index}, and perhaps others," if index else ""
            warn_of_missing(f"{self.image.path or 'The image'}{frame} has", context.missing, self.pipeline.whole.size)

    def _forget(self) -> None:
        self._lock = Lock()
        self._contexts: OrderedDict[Index, Context] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_lock", "_contexts")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._forget()


def _cut(length: int, step: int) -> list[slice]:
    return [slice(start, min(start + step, length)) for start in range(0, length, step)]
