"""How far to trust a segmentation without ground truth: what mirrored and noisy views of a frame say of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_darl.frames.arrays import as_image, is_blank, to_grey
from napari_darl.inference.loading import Model, as_model
from napari_darl.inference.options import SegmentOptions
from napari_darl.inference.windows import Windows

Frame = npt.NDArray[np.float32]

NOISE_LEVELS = (20, 50)
"""Timesteps of the noisy views: what vessels of full contrast survive."""

_MIRRORED: tuple[tuple[int, ...], ...] = ((0,), (1,), (0, 1))
_SHIFT = 1  # px: another phase of the networks' space-to-depth stem


@dataclass(frozen=True, eq=False)
class Trust:
    """What path A says of a frame and of itself.

    Attributes
    ----------
    probability : numpy.ndarray of float32, shape (H, W)
        Of vessel, of the frame as it is.
    uncertainty : numpy.ndarray of float32, shape (H, W)
        Standard deviation of the probability over the views, 0 to 0.5: noise levels, phases and mirror images.
    score : float
        Label-free quality, 0 to 1, see `quality`.
    """

    probability: Frame
    uncertainty: Frame
    score: float


def assess(
    frame: object,
    model: Model | str | Path | None = None,
    options: SegmentOptions | None = None,
    *,
    noise_levels: Sequence[int] = NOISE_LEVELS,
) -> Trust:
    """Segment a frame and views of it, and measure how well they agree.

    The views are mirror images, a shift by a pixel (another phase of the network's space-to-depth stem), and noisy
    frames. A probability that depends on the view is uncertain.

    Parameters
    ----------
    frame : ImageData or numpy.ndarray, shape (H, W) or, where `options.rgb`, (H, W, 3 or 4)
        A frame, as for `segment_probability`. One of a single value has no vessels and a score of 0.
    model : Model, str or Path, optional
        As for `segment_probability`.
    options : SegmentOptions, optional
        How to segment.
    noise_levels : sequence of int
        Timesteps of the noisy views.

    Returns
    -------
    Trust
        Probability, uncertainty and score.

    Raises
    ------
    DarlError
        As `segment_probability`.

    Examples
    --------
    >>> from napari_darl import assess
    >>> from napari_darl.samples import sample_angiogram
    >>> trust = assess(sample_angiogram()[128:320, 128:320])
    >>> trust.uncertainty.shape, 0 < trust.score < 1
    ((192, 192), True)
    """
    options = options or SegmentOptions()
    image = as_image(frame, rgb=options.rgb, bits=options.bits)
    pixels = np.asarray(image.data)
    grey = to_grey(pixels, options.channel) if image.rgb else pixels
    options = options.updated(rgb=False, bits=image.bits)
    if is_blank(grey):
        nothing = np.zeros(grey.shape, np.float32)
        return Trust(nothing, nothing, 0.0)
    used = as_model(model, options.device)

    def probability_of(view: npt.NDArray[Any], noise_level: int = 0) -> Frame:
        windows = Windows(np.ascontiguousarray(view), used, options, noise_level=noise_level)
        return next(windows.frames())[1]

    probability = probability_of(grey)
    mirrored = [np.flip(probability_of(np.flip(grey, axes)), axes) for axes in _MIRRORED]
    shifted = probability_of(np.pad(grey, ((_SHIFT, 0), (_SHIFT, 0)), mode="edge"))[_SHIFT:, _SHIFT:]
    noisy = [probability_of(grey, level) for level in noise_levels]
    uncertainty = np.std([probability, *mirrored, shifted, *noisy], axis=0, dtype=np.float32)
    return Trust(probability, uncertainty, quality([probability, *mirrored]))


def quality(probabilities: Sequence[Frame], threshold: float = 0.5) -> float:
    """Dice that the mask of the first view can expect if the probabilities of the views are right, their mean.

    For a view of probability p and the mask m of the first view it is 2 sum(p m) / (sum(p) + sum(m)): 1 if all views
    are sure of that very mask. It orders frames as Dice with an expert does, more or less (docs/results.md), but isn't
    a Dice: probabilities are too sure of themselves.

    Parameters
    ----------
    probabilities : sequence of numpy.ndarray, shape (H, W)
        Of vessel, in the place of the first.
    threshold : float
        Above it is the mask.

    Returns
    -------
    float
        0 to 1; 0 where there is no vessel.
    """
    mask = probabilities[0] > threshold
    if not mask.any():
        return 0.0
    return float(np.mean([2 * p[mask].sum() / (p.sum() + mask.sum()) for p in probabilities]))
