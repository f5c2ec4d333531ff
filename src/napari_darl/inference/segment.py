"""Images of any kind in, probabilities and masks of their shape out."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_darl.frames.regions import Index
from napari_darl.inference.cleaning import clean_mask
from napari_darl.inference.loading import Model, as_model
from napari_darl.inference.options import SegmentOptions
from napari_darl.inference.orthogonal import windows_for
from napari_darl.inference.windows import Windows


def segment(
    image: object,
    model: Model | str | Path | None = None,
    threshold: float | None = None,
    *,
    rgb: bool = False,
    channel: str | int | None = None,
    bright: bool | None = None,
    bits: int | None = None,
    resize: float | None = None,
    tile: int | None = None,
    region: npt.ArrayLike | None = None,
    device: str = "auto",
    orthogonal: bool = False,
    slice_distance: float | None = None,
) -> npt.NDArray[np.uint8]:
    """Segment vessels.

    All parameters but `threshold` are those of `segment_probability`.

    Parameters
    ----------
    threshold : float, optional
        Pixels of a greater probability are vessel; above 0 and below 1. By default 0.5, or what the file of a refined
        model says. The mask is cleaned as the model's file says, too (`Model.cleaning`); for another cleaning, pass
        the result of `segment_probability` to `clean_mask`.

    Returns
    -------
    numpy.ndarray of uint8
        1 in vessels and 0 elsewhere, of the image's shape without its channel axis.

    Raises
    ------
    DarlError
        As `segment_probability`; InputError also for a threshold that isn't between 0 and 1.

    Examples
    --------
    >>> from napari_darl import segment
    >>> from napari_darl.samples import sample_angiogram
    >>> mask = segment(sample_angiogram())
    >>> mask.shape, mask.dtype
    ((512, 512), dtype('uint8'))
    """
    loaded = as_model(model, device)
    cleaning = loaded.cleaning if threshold is None else loaded.cleaning.updated(threshold=threshold)
    probability = segment_probability(
        image,
        loaded,
        rgb=rgb,
        channel=channel,
        bright=bright,
        bits=bits,
        resize=resize,
        tile=tile,
        region=region,
        device=device,
        orthogonal=orthogonal,
        slice_distance=slice_distance,
    )
    return clean_mask(probability, cleaning)


def segment_probability(
    image: object,
    model: Model | str | Path | None = None,
    *,
    rgb: bool = False,
    channel: str | int | None = None,
    bright: bool | None = None,
    bits: int | None = None,
    resize: float | None = None,
    tile: int | None = None,
    region: npt.ArrayLike | None = None,
    device: str = "auto",
    orthogonal: bool = False,
    slice_distance: float | None = None,
) -> npt.NDArray[np.float32]:
    """Compute the probability of vessel at each pixel: path A at t = 0 (Kim et al. 2023, figure 2).

    Parameters
    ----------
    image : ImageData or array-like, shape (..., Y, X) or, where `rgb`, (..., Y, X, 3 or 4)
        Frames of at least 32 x 32 pixels of any real dtype; leading axes (T, Z) are segmented frame by frame. An
        `ImageData` brings its own `rgb` and, unless they are passed below, its `bits`.
    model : Model, str or Path, optional
        What `load_model` returned or takes; by default the bundled model `default`.
    rgb : bool
        Whether the last axis holds colours.
    channel : str or int, optional
        The channel to segment: of colours, "red", "green", "blue" or "luminance", by default green. Of an `ImageData`
        whose axes have a C, the name of a channel or its number from 0; by default, all of them are segmented.
    bright : bool, optional
        Whether vessels are brighter than their surroundings; None takes what the model is made for.
    bits : int, optional
        Bits that the values of an integer image use, where fewer than its dtype has: 12 for most X-ray detectors.
    resize : float, optional
        Factor by which frames are resized before path A; the result is resized back. By default it is estimated from
        the shape of the frames, which suits whole frames: for crops and slides, pass it.
    tile : int, optional
        Side of the tiles in which frames are segmented, in pixels, where memory is short; by default the model's own.
    region : array-like, shape (Y, X) or (..., Y, X), optional
        The pixels that count, not 0 in this mask or stack of masks; by default all of them, but for a dark surround in
        which dark vessels are never marked. What lies outside has no vessels and doesn't decide the range of
        intensities.
    device : str
        `auto`, `cpu`, `cuda`, `cuda:n` or `mps`; a loaded `Model` stays on its device.
    orthogonal : bool
        Segment a volume (Z, Y, X) along all three axes, and average the probabilities.
    slice_distance : float, optional
        Distance of two slices of such a volume, in pixels; by default that of an `ImageData`, else 1.

    Returns
    -------
    numpy.ndarray of float32
        (tanh + 1) / 2 of path A's output, in [0, 1], of the image's shape without its colours. Frames of a single
        value in a stack that has others, such as the black ones before a series begins, have probability 0. So have
        pixels without a value: NaN, infinite or masked ones.

    Raises
    ------
    InputError
        If the image or an option can't be used.
    CheckpointError
        If the model's file is damaged.

    Warns
    -----
    DarlWarning
        If the device ran out of memory and the CPU took over, or if pixels have no value.

    Examples
    --------
    >>> from napari_darl import segment_probability
    >>> from napari_darl.samples import sample_angiogram
    >>> probability = segment_probability(sample_angiogram())
    >>> probability.shape, probability.dtype
    ((512, 512), dtype('float32'))
    """
    options = SegmentOptions().updated(
        rgb=rgb,
        channel=channel,
        bright=bright,
        bits=bits,
        resize=resize,
        tile=tile,
        device=device,
        orthogonal=orthogonal,
        slice_distance=slice_distance,
    )
    return windows_for(image, model, options, region=region).compute()


def iter_probability(
    image: object,
    model: Model | str | Path | None = None,
    options: SegmentOptions | None = None,
    *,
    noise_level: int = 0,
    first: Index | None = None,
    interrupt: Callable[[], None] | None = None,
) -> Iterator[tuple[Index, npt.NDArray[np.float32]]]:
    """Compute the probability of vessel frame by frame, each read only when its turn comes.

    Parameters
    ----------
    image : object
        As in `segment_probability`.
    model : Model, str or Path, optional
        As in `segment_probability`.
    options : SegmentOptions, optional
        How to segment.
    noise_level : int
        Timestep t at which path A sees the frames; above 0 they are noised accordingly.
    first : tuple of int, optional
        Index of the frame to begin with on the leading axes; those after it follow, then those before it.
    interrupt : callable, optional
        Called before each tile; what it raises ends the work.

    Yields
    ------
    tuple of int
        The frame's index on the leading axes; () for a single frame.
    numpy.ndarray of float32, shape (Y, X)
        Its probability, in [0, 1].

    Raises
    ------
    DarlError
        As `segment_probability`.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_darl import iter_probability
    >>> from napari_darl.samples import sample_angiogram
    >>> movie = np.stack([sample_angiogram()] * 3)
    >>> index, probability = next(iter_probability(movie, first=(1,)))
    >>> index, probability.shape
    ((1,), (512, 512))
    """
    if noise_level:
        windows = Windows(image, model, options, noise_level=noise_level, interrupt=interrupt)
    else:
        windows = windows_for(image, model, options, interrupt=interrupt)
    yield from windows.frames(first)
