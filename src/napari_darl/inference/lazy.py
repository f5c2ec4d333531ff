"""Path A as a dask array: computed chunk by chunk, when and where it is asked for."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_darl.errors import InputError
from napari_darl.frames.missing import warn_of_missing
from napari_darl.frames.regions import Index
from napari_darl.inference.cleaning import Cleaning
from napari_darl.inference.context import Array, Chunk, Context
from napari_darl.inference.orthogonal import OrthogonalWindows
from napari_darl.inference.pipeline import Pipeline, Probability
from napari_darl.inference.windows import Windows

if TYPE_CHECKING:
    import dask.array


def lazy_probability(windows: Windows) -> "dask.array.Array":
    """Return the probability of vessel as a dask array.

    It is computed by whatever dask scheduler is active: threads, or a cluster's client. The model is sent to each
    worker once. An image that is a dask array is computed as part of the same graph.

    Parameters
    ----------
    windows : Windows
        The image and how to segment it.

    Returns
    -------
    dask.array.Array of float32, shape (..., Y, X)
        In [0, 1], in chunks of `windows.chunk_shape`.

    Raises
    ------
    InputError
        If dask isn't installed.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_darl import Windows, lazy_probability
    >>> from napari_darl.samples import sample_angiogram
    >>> probability = lazy_probability(Windows(np.tile(sample_angiogram(), (8, 8))))
    >>> probability.shape  # nothing is computed yet
    (4096, 4096)
    """
    try:
        import dask.array as da
        from dask.delayed import delayed
    except ImportError as error:
        raise InputError('dask isn\'t installed. Install it by: pip install "napari-darl[large]".') from error
    if isinstance(windows, OrthogonalWindows):
        return _in_blocks(windows, lambda chunk: delayed(windows)(chunk))
    image = windows.image.data
    if not isinstance(image, da.Array):
        image = da.from_array(image, chunks=getattr(image, "chunks", None) or "auto", name=False)
    pipeline = delayed(windows.pipeline)
    contexts = {
        index: delayed(_context)(pipeline, image[(*index, *windows.sample)], index)
        for index in np.ndindex(windows.shape[:-2])
    }

    def probability(chunk: Chunk) -> Any:
        pixels = image[(*chunk.slices[:-2], *windows.pipeline.source(chunk.window))]
        return delayed(_compute)(pipeline, pixels, [contexts[index] for index in chunk.frames], chunk)

    return _in_blocks(windows, probability)


def lazy_mask(windows: Windows, threshold: float = 0.5) -> "dask.array.Array":
    """Return the mask of the vessels as a dask array: uint8, 1 where `lazy_probability` is above the threshold.

    Parameters
    ----------
    windows : Windows
        The image and how to segment it.
    threshold : float
        Pixels of a greater probability are vessel; above 0 and below 1.

    Returns
    -------
    dask.array.Array of uint8, shape (..., Y, X)
        0 and 1, in chunks of `windows.chunk_shape`.

    Raises
    ------
    InputError
        If the threshold isn't between 0 and 1, or dask isn't installed.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_darl import SegmentOptions, Windows, lazy_mask
    >>> from napari_darl.samples import sample_angiogram
    >>> slide = np.tile(sample_angiogram(), (8, 8))
    >>> mask = lazy_mask(Windows(slide, options=SegmentOptions(resize=1)))
    >>> mask.dtype, mask.shape  # nothing is computed yet
    (dtype('uint8'), (4096, 4096))
    """
    cleaning = Cleaning().updated(threshold=threshold)
    mask: dask.array.Array = (lazy_probability(windows) > cleaning.threshold).astype(np.uint8)
    return mask


def _context(pipeline: Pipeline, sample: Array, index: Index) -> Context:
    context = pipeline.context(pipeline.grey(sample), index)
    if context.missing:
        warn_of_missing(f"Frame {index} has" if index else "The image has", context.missing, pipeline.whole.size)
    return context


def _in_blocks(windows: Windows, compute: Callable[[Chunk], Any]) -> "dask.array.Array":
    """Return a dask array of the delayed probabilities of all chunks."""
    import dask.array as da

    blocks = np.empty([-(-n // step) for n, step in zip(windows.shape, windows.chunk_shape, strict=True)], object)
    for chunk in windows.chunks():
        starts = (*chunk.frames[0], *(part.start for part in chunk.window))
        block = tuple(start // step for start, step in zip(starts, windows.chunk_shape, strict=True))
        blocks[block] = da.from_delayed(compute(chunk), _shape(chunk), np.float32)
    array: da.Array = da.block(blocks.tolist())
    return array


def _shape(chunk: Chunk) -> tuple[int, ...]:
    """Return the shape of a chunk with all leading axes."""
    leading = len(chunk.frames[0])
    return ((*(1,) * (leading - 1), len(chunk.frames)) if leading else ()) + chunk.window.shape


def _compute(pipeline: Pipeline, pixels: npt.NDArray[Any], contexts: list[Context], chunk: Chunk) -> Probability:
    frames = pixels if chunk.frames[0] else pixels[None]
    probabilities = [
        pipeline([pipeline.grey(frame)], [context], chunk.window)[0]
        for frame, context in zip(frames, contexts, strict=True)
    ]
    return np.stack(probabilities).reshape(_shape(chunk))
