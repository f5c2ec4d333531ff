"""Path A under noise: at later timesteps of the diffusion, and on frames with Gaussian noise."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_darl.errors import DarlWarning, InputError
from napari_darl.frames.arrays import check_frame
from napari_darl.frames.missing import known_values
from napari_darl.frames.normalisation import Normalisation, intensity_range
from napari_darl.inference.loading import Model, as_model
from napari_darl.inference.options import SegmentOptions, grey_frame
from napari_darl.inference.windows import Windows

NOISE_LEVELS = (50, 100, 200, 400)
"""Timesteps of 2000: at the first vessels survive well, at the last most are lost."""
SIGMAS = (10.0, 25.0, 50.0)
"""Standard deviations of Gaussian noise, in 1/255 of the range (Kim et al. 2023, table 3)."""


@dataclass(frozen=True, eq=False)
class NoisyView:
    """A frame under noise, and its segmentation.

    Attributes
    ----------
    noise : str
        `none`, `t=<timestep>` or `sigma=<in 1/255 of the range>`.
    frame : numpy.ndarray, shape (H, W)
        The grey frame, with Gaussian noise for a sigma. At a timestep, path A adds the noise itself.
    probability : numpy.ndarray of float32, shape (H, W)
        Probability of vessel, in [0, 1].
    """

    noise: str
    frame: npt.NDArray[Any]
    probability: npt.NDArray[np.float32]


def noisy_views(
    frame: object,
    model: Model | str | Path | None = None,
    options: SegmentOptions | None = None,
    *,
    noise_levels: Sequence[int] = NOISE_LEVELS,
    sigmas: Sequence[float] = SIGMAS,
) -> Iterator[NoisyView]:
    """Segment a frame as it is, then under noise.

    Parameters
    ----------
    frame : ImageData or numpy.ndarray, shape (H, W) or, where `options.rgb`, (H, W, 3 or 4)
        A frame, as for `segment_probability`.
    model : Model, str or Path, optional
        As for `segment_probability`.
    options : SegmentOptions, optional
        How to segment.
    noise_levels : sequence of int
        Timesteps t at which path A sees the frame, which is noised accordingly.
    sigmas : sequence of float
        Standard deviations of Gaussian noise, as `add_gaussian_noise` takes them.

    Raises
    ------
    DarlError
        As `segment_probability`; InputError also for a noise level outside of the schedule or a sigma that isn't
        positive.
    """
    grey, options = grey_frame(frame, options or SegmentOptions())
    used = as_model(model, options.device)
    views = [("none", grey, 0), *((f"t={level}", grey, level) for level in noise_levels)]
    views += [(f"sigma={sigma:g}", add_gaussian_noise(grey, sigma, bits=options.bits), 0) for sigma in sigmas]
    for number, (name, view, level) in enumerate(views):
        windows = Windows(view, used, options, noise_level=level)
        with warnings.catch_warnings():
            if number:  # the first view has told the same
                warnings.simplefilter("ignore", DarlWarning)
            probability = next(windows.frames())[1]
        yield NoisyView(name, view, probability)


def add_gaussian_noise(
    frame: npt.NDArray[Any], sigma: float, *, bits: int | None = None, seed: int = 0
) -> npt.NDArray[Any]:
    """Return a frame with Gaussian noise, rounded and clipped to the range of the frame.

    Parameters
    ----------
    frame : numpy.ndarray, shape (H, W)
        A grey frame.
    sigma : float
        Standard deviation in 1/255 of the range: that of its bits or, for floats, from its 0.1st to its 99.9th
        percentile.
    bits : int, optional
        Bits that the values of an integer frame use, where fewer than its dtype has.
    seed : int
        Seed of the draw.

    Returns
    -------
    numpy.ndarray
        The noisy frame, of the same shape and dtype.

    Raises
    ------
    InputError
        If sigma isn't positive and finite, or the frame can't be used.
    """
    if not 0 < sigma < np.inf:
        raise InputError(f"The noise has a sigma of {sigma}. Choose a positive number.")
    check_frame(frame, "The frame")
    low, high = intensity_range(frame, Normalisation(kind="bits"), bits)
    noise = np.random.default_rng(seed).normal(0, sigma / 255 * (high - low), frame.shape)
    known = known_values(frame)
    noisy = np.clip(frame + noise, min(low, known.min()), max(high, known.max()))
    return (noisy if frame.dtype.kind == "f" else np.rint(noisy)).astype(frame.dtype)
