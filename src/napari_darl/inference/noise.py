"""What noise does to path A: its masks at other timesteps, and of frames with Gaussian noise."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_darl.errors import InputError
from napari_darl.frames.arrays import as_image, check_frame, to_grey
from napari_darl.frames.normalisation import Normalisation, intensity_range
from napari_darl.inference.loading import Model, as_model
from napari_darl.inference.options import SegmentOptions
from napari_darl.inference.windows import Windows

NOISE_LEVELS = (50, 100, 200, 400)
"""Timesteps, of 2000: from what vessels survive well to where most are gone."""
SIGMAS = (10.0, 25.0, 50.0)
"""Standard deviations of Gaussian noise, of 255 (Kim et al. 2023, table 3)."""


@dataclass(frozen=True, eq=False)
class NoisyView:
    """A frame under noise, and what path A finds in it.

    Attributes
    ----------
    noise : str
        `none`, `t=<timestep>` or `sigma=<of 255>`.
    frame : numpy.ndarray, shape (H, W)
        As given, with Gaussian noise where there is some; path A itself noises what it sees at other timesteps.
    probability : numpy.ndarray of float32, shape (H, W)
        Of vessel.
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
    frame : numpy.ndarray, shape (H, W)
        A grey frame, as for `segment_probability`.
    model : Model, str or Path, optional
        As for `segment_probability`.
    options : SegmentOptions, optional
        How to segment.
    noise_levels : sequence of int
        Timesteps t at which path A looks at the frame, noised accordingly.
    sigmas : sequence of float
        Standard deviations of Gaussian noise, as `add_gaussian_noise` takes them.

    Raises
    ------
    DarlError
        As `segment_probability`; InputError, too, for noise that can't be.
    """
    options = options or SegmentOptions()
    image = as_image(frame, rgb=options.rgb, bits=options.bits)
    pixels = np.asarray(image.data)
    grey = to_grey(pixels, options.channel) if image.rgb else pixels
    options = options.updated(rgb=False, bits=image.bits)
    used = as_model(model, options.device)
    views = [("none", grey, 0), *((f"t={level}", grey, level) for level in noise_levels)]
    views += [(f"sigma={sigma:g}", add_gaussian_noise(grey, sigma, bits=image.bits), 0) for sigma in sigmas]
    for noise, seen, level in views:
        windows = Windows(seen, used, options, noise_level=level)
        yield NoisyView(noise, seen, next(windows.frames())[1])


def add_gaussian_noise(
    frame: npt.NDArray[Any], sigma: float, *, bits: int | None = None, seed: int = 0
) -> npt.NDArray[Any]:
    """Add Gaussian noise to a frame, rounded and clipped to the range that it has.

    Parameters
    ----------
    frame : numpy.ndarray, shape (H, W)
        A grey frame.
    sigma : float
        Standard deviation in 1/255 of the range: of what its bits hold, else of its percentiles .1 and 99.9.
    bits : int, optional
        Bits that an integer frame uses where fewer than its dtype has.
    seed : int
        Key of the draw.

    Returns
    -------
    numpy.ndarray
        Of the same shape and dtype.

    Raises
    ------
    InputError
        If sigma isn't positive and finite, or the frame can't be used.
    """
    if not 0 < sigma < np.inf:
        raise InputError(f"The noise has a sigma of {sigma}: choose one above 0.")
    check_frame(frame, "the frame")
    low, high = intensity_range(frame, Normalisation(kind="bits"), bits)
    noise = np.random.default_rng(seed).normal(0, sigma / 255 * (high - low), frame.shape)
    noisy = np.clip(frame + noise, min(low, frame.min()), max(high, frame.max()))
    return (noisy if frame.dtype.kind == "f" else np.rint(noisy)).astype(frame.dtype)
