"""Path A as a dask array: computed part by part, when and where it is asked for."""

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_darl.errors import InputError
from napari_darl.inference.segment import check_threshold
from napari_darl.inference.windows import Chunk, Limits, Windows

if TYPE_CHECKING:
    import dask.array


def lazy_probability(windows: Windows) -> "dask.array.Array":
    """Probability of vessel, to be computed by whatever dask scheduler is at work: threads, or a cluster's client.

    The model reaches each worker once. Dask images are computed as part of the same graph.

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
    """
    try:
        import dask.array as da
        from dask.delayed import delayed
    except ImportError as error:
        raise InputError('dask isn\'t installed: pip install "napari-darl[large]".') from error
    image = windows.image
    if not isinstance(image, da.Array):
        image = da.from_array(image, chunks=getattr(image, "chunks", None) or "auto", name=False)
    bare = copy.copy(windows)
    bare.image = None  # type: ignore[assignment] # its pixels come as arguments
    shared = delayed(bare)
    limits = {place: shared.limits_of(image[(*place, *windows.sample)]) for place in np.ndindex(windows.shape[:-2])}
    blocks = np.empty([-(-n // step) for n, step in zip(windows.shape, windows.chunk_shape, strict=True)], object)
    for chunk in windows.chunks():
        starts = (*chunk.places[0], chunk.rows.start, chunk.columns.start)
        place = tuple(start // step for start, step in zip(starts, windows.chunk_shape, strict=True))
        pixels = image[(*chunk.slices[:-2], *windows.source(chunk.rows, chunk.columns))]
        found = delayed(_of_pixels)(shared, pixels, [limits[one] for one in chunk.places], chunk)
        blocks[place] = da.from_delayed(found, _shape(chunk, windows), np.float32)
    array: da.Array = da.block(blocks.tolist())
    return array


def lazy_mask(windows: Windows, threshold: float = 0.5) -> "dask.array.Array":
    """Mask of the vessels, uint8 0 and 1: where `lazy_probability` is above the threshold.

    Raises
    ------
    InputError
        If the threshold isn't between 0 and 1, or dask isn't installed.
    """
    check_threshold(threshold)
    mask: dask.array.Array = (lazy_probability(windows) > threshold).astype(np.uint8)
    return mask


def _shape(chunk: Chunk, windows: Windows) -> tuple[int, ...]:
    window = (chunk.rows.stop - chunk.rows.start, chunk.columns.stop - chunk.columns.start)
    leading = len(windows.shape) - 2
    return ((*(1,) * (leading - 1), len(chunk.places)) if leading else ()) + window


def _of_pixels(
    windows: Windows, pixels: npt.NDArray[Any], limits: list[Limits], chunk: Chunk
) -> npt.NDArray[np.float32]:
    if not chunk.places[0]:
        return windows.of_pixels(pixels, limits[0], chunk.rows, chunk.columns)
    frames = [
        windows.of_pixels(one, known, chunk.rows, chunk.columns) for one, known in zip(pixels, limits, strict=True)
    ]
    return np.stack(frames).reshape(_shape(chunk, windows))
