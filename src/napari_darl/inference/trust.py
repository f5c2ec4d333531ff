"""Reliability of a segmentation without ground truth: how much mirrored, shifted and noisy views agree."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_darl.errors import DarlWarning
from napari_darl.frames.arrays import is_blank
from napari_darl.inference.cleaning import clean_mask
from napari_darl.inference.loading import Model, as_model
from napari_darl.inference.options import SegmentOptions, grey_frame
from napari_darl.inference.windows import Windows

Frame = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

NOISE_LEVELS = (20, 50)
"""Timesteps of the noisy views, at which vessels of full contrast survive."""

_MIRRORED: tuple[tuple[int, ...], ...] = ((0,), (1,), (0, 1))
_SHIFT = 1  # px, which changes the phase in the networks' space-to-depth stem


@dataclass(frozen=True, eq=False)
class Trust:
    """A segmentation with estimates of its reliability.

    Attributes
    ----------
    probability : numpy.ndarray of float32, shape (H, W)
        Probability of vessel in the frame as it is, in [0, 1].
    uncertainty : numpy.ndarray of float32, shape (H, W)
        Standard deviation of the probability over the views, 0 to 0.5.
    score : float
        The Dice to expect from the mask that the model makes of the frame, 0 to 1; see `quality`.
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
    grey, options = grey_frame(frame, options or SegmentOptions())
    if is_blank(grey):
        nothing = np.zeros(grey.shape, np.float32)
        return Trust(nothing, nothing, 0.0)
    used = as_model(model, options.device)

    def windows_of(view: npt.NDArray[Any], noise_level: int = 0) -> Windows:
        return Windows(view.copy(), used, options, noise_level=noise_level)

    def probability_of(view: npt.NDArray[Any], noise_level: int = 0) -> Frame:
        return next(windows_of(view, noise_level).frames())[1]

    first = windows_of(grey)
    probability = next(first.frames())[1]
    with warnings.catch_warnings(action="ignore", category=DarlWarning):  # the first view has told the same
        mirrored = [np.flip(probability_of(np.flip(grey, axes)), axes) for axes in _MIRRORED]
        rows, columns = (np.maximum(np.arange(-_SHIFT, length), 0) for length in grey.shape)
        shifted = probability_of(grey[rows][:, columns])[_SHIFT:, _SHIFT:]
        noisy = [probability_of(grey, level) for level in noise_levels]
    uncertainty = np.std([probability, *mirrored, shifted, *noisy], axis=0, dtype=np.float32)
    views = [probability, *mirrored]
    masks = [clean_mask(view, used.cleaning).astype(np.bool_) for view in views]
    return Trust(probability, uncertainty, quality(views, masks, 1 / first.resize))


def quality(probabilities: Sequence[Frame], masks: Sequence[Mask], pixel: float) -> float:
    """Return the Dice to expect from the mask of a frame.

    It is the product of three: the `expected_dice` of the probabilities, the `outline_agreement` with a mask that is
    half a pixel wider, and the `view_agreement` with the masks of the other views. It orders frames roughly as the Dice
    with an expert does (docs/results.md).

    Parameters
    ----------
    probabilities : sequence of numpy.ndarray, shape (H, W)
        Probability of vessel by each view, of which the first is the frame as it is and the others are turned back.
    masks : sequence of numpy.ndarray of bool, shape (H, W)
        The mask of each view.
    pixel : float
        Side of a pixel as the network sees them, in pixels of the frame.

    Returns
    -------
    float
        0 to 1; 0 if the mask is empty.
    """
    mask = masks[0]
    return expected_dice(probabilities, mask) * outline_agreement(mask, pixel / 2) * view_agreement(masks)


def expected_dice(probabilities: Sequence[Frame], mask: Mask) -> float:
    """Return the Dice that a mask would have on average if each view's probabilities were right.

    Let m be the mask. For a view of probability p, the expected Dice is 2 sum(p m) / (sum(p) + sum(m)), which is 1 if
    the view is sure of exactly that mask. The result is the mean over the views; 0 if the mask is empty.
    """
    if not mask.any():
        return 0.0
    return float(np.mean([2 * p[mask].sum() / (p.sum() + mask.sum()) for p in probabilities]))


def view_agreement(masks: Sequence[Mask]) -> float:
    """Return the mean Dice of the first mask with each of the others; 1 if there are none, 0 if the first is empty."""
    first, *others = masks
    if not first.any():
        return 0.0
    return float(np.mean([2 * (first & other).sum() / (first.sum() + other.sum()) for other in others] or [1.0]))


def outline_agreement(mask: Mask, shift: float) -> float:
    """Return the Dice of a mask and the same mask with its outline `shift` px further out; 0 if it is empty.

    The area between both outlines is `shift` times the number of pixels at the outline.
    """
    around = np.pad(mask, 1, mode="edge")  # the frame's edge is no outline
    inner = mask & around[:-2, 1:-1] & around[2:, 1:-1] & around[1:-1, :-2] & around[1:-1, 2:]
    area = int(mask.sum())
    return 2 * area / (2 * area + shift * (area - int(inner.sum()))) if area else 0.0
