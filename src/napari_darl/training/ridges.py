"""Filters for dark ridges: oriented second derivatives, the black top-hat, and what makes masks of their responses."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

Frame = NDArray[np.float32]
Mask = NDArray[np.bool_]

_ANGLES = 12
_ELONGATION = 2  # length of a kernel along the ridge, in multiples of its width
_NEIGHBOURS = np.ones((3, 3))


def oriented_ridges(frame: Frame, sigmas: tuple[float, ...]) -> Frame:
    """Filter a frame with the second derivative of an elongated Gaussian, in twelve directions.

    A kernel is a Gaussian of standard deviation sigma across the ridge and 2 sigma along it, differentiated twice
    across and multiplied by sigma^2, so that the responses of all scales compare (Lindeberg 1998).

    Parameters
    ----------
    frame : numpy.ndarray of float32, shape (H, W)
        Ridges dark.
    sigmas : tuple of float
        Standard deviations across the ridge, in pixels.

    Returns
    -------
    numpy.ndarray of float32, shape (H, W)
        The strongest response over scales and directions, at least 0.

    Examples
    --------
    >>> frame = np.ones((64, 64), np.float32)
    >>> frame[30:34] = 0
    >>> rows = oriented_ridges(frame, (1.5, 2.5)).sum(axis=1)
    >>> int(rows.argmax()) in (31, 32)
    True
    """
    margin = int(np.ceil(3 * _ELONGATION * max(sigmas)))
    padded = np.pad(frame.astype(np.float32), margin, mode="reflect" if margin < min(frame.shape) else "edge")
    shape = tuple(fft.next_fast_len(length, real=True) for length in padded.shape)
    spectrum = fft.rfft2(padded, shape)
    strongest = np.zeros(frame.shape, np.float32)
    height, width = frame.shape
    for transfer in _transfers(shape, sigmas):
        response = fft.irfft2(spectrum * transfer, shape)
        np.maximum(strongest, response[margin : margin + height, margin : margin + width], out=strongest)
    return strongest


@lru_cache(maxsize=4)
def _transfers(shape: tuple[int, int], sigmas: tuple[float, ...]) -> tuple[Frame, ...]:
    """Compute the kernels' Fourier transforms, which are real."""
    down, across = fft.fftfreq(shape[0])[:, None] * 2 * np.pi, fft.rfftfreq(shape[1])[None] * 2 * np.pi
    found = []
    for sigma in sigmas:
        for angle in np.arange(_ANGLES) * np.pi / _ANGLES:
            over = np.cos(angle) * down + np.sin(angle) * across
            along = np.cos(angle) * across - np.sin(angle) * down
            width = (sigma * over) ** 2
            found.append((-width * np.exp(-(width + (_ELONGATION * sigma * along) ** 2) / 2)).astype(np.float32))
    return tuple(found)


def black_top_hat(frame: Frame, width: int) -> Frame:
    """Return how much darker each pixel is than the closing by a square of `width` px, after slight smoothing."""
    smooth = ndimage.gaussian_filter(frame, 1)
    depth: Frame = np.maximum(ndimage.grey_closing(smooth, size=(width, width)) - smooth, 0)
    return depth


def continued(frame: Frame, field: Mask) -> Frame:
    """Continue a frame smoothly outside of its field of view, so that the rim is no edge.

    Each pixel outside takes the mean of the pixels inside, weighted by the narrowest of several Gaussians that
    reaches them.

    Parameters
    ----------
    frame : numpy.ndarray of float32, shape (H, W)
        The frame.
    field : numpy.ndarray of bool, shape (H, W)
        Its field of view.

    Returns
    -------
    numpy.ndarray of float32, shape (H, W)
        The frame, unchanged inside.
    """
    if field.all() or not field.any():
        return frame
    inside = field.astype(np.float32)
    filled = np.where(field, frame, frame[field].mean()).astype(np.float32)
    open_ = ~field
    for sigma in (4, 8, 16, 32, 64):
        weight = ndimage.gaussian_filter(inside, sigma)
        mean = ndimage.gaussian_filter(frame * inside, sigma)
        reached = open_ & (weight > 0.05)
        filled[reached] = mean[reached] / weight[reached]
        open_ &= ~reached
    return filled


def hysteresis(response: Frame, low: float, high: float, seed: int) -> Mask:
    """Keep the connected parts above `low` that have at least `seed` pixels above `high`."""
    parts, count = ndimage.label(response > low, _NEIGHBOURS)
    seeds = np.bincount(parts[response > high], minlength=count + 1)
    kept = seeds >= max(seed, 1)
    kept[0] = False
    found: Mask = kept[parts]
    return found
