"""How far to trust a segmentation without ground truth: what mirrored and noisy views of a frame say of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_darl.frames.arrays import is_blank
from napari_darl.inference.loading import Model, as_model
from napari_darl.inference.segment import iter_probability

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
    frame: npt.NDArray[Any],
    model: Model | str | Path | None = None,
    *,
    bright: bool = False,
    bits: int | None = None,
    resize: float | None = None,
    noise_levels: Sequence[int] = NOISE_LEVELS,
    device: str = "auto",
) -> Trust:
    """Segment a frame and views of it, and measure how well they agree.

    Parameters
    ----------
    frame : numpy.ndarray, shape (H, W)
        A grey frame, as for `segment_probability`; one of a single value has no vessel, and a score of 0.
    model, bright, bits, resize, device
        As for `segment_probability`.
    noise_levels : sequence of int
        Timesteps of the noisy views.

    Raises
    ------
    DarlError
        As `segment_probability`.
    """
    used = as_model(model, device)
    if is_blank(frame):
        nothing = np.zeros(frame.shape, np.float32)
        return Trust(nothing, nothing, 0.0)

    def look(view: npt.NDArray[Any], noise_level: int = 0) -> Frame:
        view = np.ascontiguousarray(view)
        options: dict[str, Any] = {"bright": bright, "bits": bits, "resize": resize, "noise_level": noise_level}
        _, found = next(iter_probability(view, used, **options))
        return found

    probability = look(frame)
    mirrored = [np.flip(look(np.flip(frame, axes)), axes) for axes in _MIRRORED]
    shifted = look(np.pad(frame, ((_SHIFT, 0), (_SHIFT, 0)), mode="edge"))[_SHIFT:, _SHIFT:]
    noisy = [look(frame, level) for level in noise_levels]
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
