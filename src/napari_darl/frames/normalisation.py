"""Normalise intensities to [-1, 1]."""

import math
import warnings
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from napari_darl.configuration import Config
from napari_darl.errors import DarlWarning, InputError
from napari_darl.frames.missing import known_values

Array = npt.NDArray[Any]

_MAX_SAMPLES = 4_000_000  # pixels for percentiles: enough for 0.1 % to be stable, few enough to sort fast

_LEAST_CONTRAST = 0.02  # fraction of the range that the middle 96 % of the pixels fill


class Normalisation(Config):
    """How the intensities of a frame are stretched to [-1, 1].

    Attributes
    ----------
    kind : {"bits", "percentiles"}
        "bits" takes the range of the stored bits, as published (uint8 / 255). Frames whose bits aren't known, such as
        those of floats, use percentiles. "percentiles" always uses percentiles of the frame.
    low, high : float
        The percentiles, in percent, that map to -1 and to 1; 0 <= low < high <= 100.
    log_offset : float
        If above 0, the networks see log(I + log_offset) of intensities I in [0, 1], stretched to [-1, 1]. The
        attenuation by a vessel then gives the same contrast at any intensity. 0 is linear, as published.
    glow : bool
        If true, the logarithm is taken of the brightness, before bright vessels are inverted: the networks see
        -log(1 - I + log_offset), stretched to [-1, 1].
    """

    kind: Literal["bits", "percentiles"] = "bits"
    low: float = Field(default=0.1, ge=0, le=100)
    high: float = Field(default=99.9, ge=0, le=100)
    log_offset: float = Field(default=0.0, ge=0, le=10)
    glow: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low ({self.low} %) must lie below high ({self.high} %)")
        return self


def intensity_range(frame: Array, normalisation: Normalisation, bits: int | None = None) -> tuple[float, float]:
    """Return the intensities of a frame that become -1 and 1.

    Tiles are normalised by the range of the whole frame that they are cut from, so that they agree.

    Percentiles are taken without lone extremes, such as padding or burnt-in text, which would otherwise compress all
    other intensities. Lone extremes are the least or greatest values of a frame, if they

    - are at most 1 % of the pixels, or all have the same value and are less than half of the pixels, and
    - are further from all other values than twice the range of these.

    Parameters
    ----------
    frame : numpy.ndarray, shape (Y, X)
        A whole grey frame. Values that are masked or aren't finite are left out. Above 4 million pixels, percentiles
        are taken of a regular grid of them.
    normalisation : Normalisation
        How the range is chosen.
    bits : int, optional
        Bits that the values of an integer frame use (0 to 2 ** bits - 1) if its dtype has more: 12 for most
        X-ray detectors. Used by the kind "bits"; uint8 and bool need none.

    Returns
    -------
    low, high : float
        In the frame's units. With percentiles, both are the same for a frame of one value.

    Raises
    ------
    InputError
        If `bits` isn't in 1 to 64.

    Warns
    -----
    DarlWarning
        If nearly all intensities lie in a tiny part of the range, since a few extremes stretch it nevertheless.

    Examples
    --------
    >>> import numpy as np
    >>> intensity_range(np.zeros((64, 64), np.uint16), Normalisation(kind="bits"), bits=12)
    (0.0, 4095.0)
    """
    if bits is not None and not 1 <= bits <= 64:
        raise InputError(f"An image can't have {bits} bits. Pass 1 to 64, or leave the bits out.")
    if normalisation.kind == "bits":
        if frame.dtype == np.bool_:
            return 0.0, 1.0
        known = min(bits or 8, 8) if frame.dtype == np.uint8 else bits
        if known and frame.dtype.kind in "ui":
            return 0.0, float(2**known - 1)
    step = sampling_step(frame.shape)
    sample = known_values(frame[::step, ::step]).ravel()
    if not sample.size:
        return 0.0, 0.0
    is_sorted = frame.dtype.kind in "ui" and frame.dtype.itemsize <= 2
    if is_sorted:
        sample = np.sort(sample, kind="stable")  # a radix sort, which is faster than a search for percentiles
    sample = sample.astype(np.float64) / 2  # halves: differences may overflow
    tails = [normalisation.low, 2, 50, 98, normalisation.high]
    low, *middle, high = _percentiles_of_sorted(sample, tails) if is_sorted else np.percentile(sample, tails)
    if _may_have_lone_extremes(sample, low, middle, high):
        ordered = sample if is_sorted else np.sort(sample)
        sample = _without_lone_extremes(ordered, normalisation.low > 0, normalisation.high < 100)
        low, *middle, high = _percentiles_of_sorted(sample, tails)
    if normalisation.high < 100 and 0 < middle[2] - middle[0] < _LEAST_CONTRAST * (high - low):
        warnings.warn(
            f"96 % of a frame's pixels use less than {_LEAST_CONTRAST:.0%} of its intensities, so vessels may be "
            "missed. Remove extreme values such as text or padding.",
            DarlWarning,
            stacklevel=2,
        )
    if low == high:  # nearly all pixels are the same, and the others lie beyond the percentiles
        low, high = sample.min(), sample.max()
    return float(low) * 2, float(high) * 2


def _percentiles_of_sorted(values: npt.NDArray[np.float64], percents: list[float]) -> npt.NDArray[np.float64]:
    """Return the percentiles of sorted values, linear between two of them as in `numpy.percentile`."""
    at = np.array(percents) / 100 * (values.size - 1)
    below = at.astype(np.intp)
    above = np.minimum(below + 1, values.size - 1)
    return values[below] + (values[above] - values[below]) * (at - below)


def _may_have_lone_extremes(sample: npt.NDArray[np.float64], low: float, middle: list[float], high: float) -> bool:
    """Return False if the percentiles can't be lone extremes, which saves most frames the sorting."""
    below, median, above = middle
    if low == below and high == above:
        return True
    if low == below:
        return bool((sample[sample > low].min() - low) / 2 > above - median)
    if high == above:
        return bool((high - sample[sample < high].max()) / 2 > median - below)
    least_range = min(median - below, above - median)
    return (below - low) / 2 > least_range or (high - above) / 2 > least_range


def _without_lone_extremes(values: npt.NDArray[np.float64], lower: bool, upper: bool) -> npt.NDArray[np.float64]:
    """Return sorted values without lone extremes, those below if `lower` and those above if `upper`."""
    cuts = [(first, last) for first in {_first(values) if lower else 0, 0} for last in _ends(values, upper)]
    for first, last in sorted(cuts, key=lambda cut: cut[1] - cut[0]):  # most extremes first
        kept = values[first:last]
        extent = kept[-1] - kept[0]
        gaps = [values[first] - values[first - 1]] if first else []
        gaps += [values[last] - values[last - 1]] if last < values.size else []
        if extent > 0 and all(gap / 2 > extent for gap in gaps):
            return kept
    return values


def _first(values: npt.NDArray[np.float64]) -> int:
    """Return the index after the widest gap below which sorted values may be lone extremes; 0 if there are none."""
    few = max(values.size // 100, 1)
    gaps = np.diff(values[: few + 1])
    candidates = [(float(gaps.max()), int(gaps.argmax()) + 1)]
    same = int(np.searchsorted(values, values[0], side="right"))
    if same < values.size / 2:
        candidates.append((float(values[same] - values[same - 1]), same))
    return max(candidates)[1]


def _ends(values: npt.NDArray[np.float64], upper: bool) -> set[int]:
    """Return the index at which lone extremes above may start, and the number of values."""
    return {values.size - _first(-values[::-1]) if upper else values.size, values.size}


def sampling_step(shape: tuple[int, ...]) -> int:
    """Return the step between rows and between columns of the grid of pixels that percentiles are taken of."""
    return math.ceil(math.sqrt(max(math.prod(shape[:2]) / _MAX_SAMPLES, 1)))


def normalise(frame: Array, limits: tuple[float, float], bright: bool = False) -> npt.NDArray[np.float32]:
    """Stretch intensities to [-1, 1], and clip those beyond.

    Parameters
    ----------
    frame : numpy.ndarray
        A grey frame or a tile of one, of any real dtype.
    limits : tuple of float
        The intensities that become -1 and 1, from `intensity_range` of the whole frame.
    bright : bool
        Whether vessels are brighter than the background. The sign is then inverted, since models are trained on
        dark vessels.

    Returns
    -------
    numpy.ndarray of float32
        Of the frame's shape, in [-1, 1]; all 0 if the limits are the same.

    Examples
    --------
    >>> import numpy as np
    >>> normalise(np.array([0, 50, 100]), (0, 100))
    array([-1.,  0.,  1.], dtype=float32)
    """
    low, high = limits
    if high <= low:
        return np.zeros(frame.shape, np.float32)
    exact = np.float32 if frame.dtype.itemsize <= 2 else np.float64  # float32 holds 24 bits
    values = np.clip(frame.astype(exact), low, high)
    # Halves, since differences may overflow.
    values = (values / 2 - exact(low / 2)) / exact(high / 2 - low / 2) * 2 - 1
    result: npt.NDArray[np.float32] = (-values if bright else values).astype(np.float32, copy=False)
    return result


def encode(frame: npt.NDArray[np.float32], normalisation: Normalisation) -> npt.NDArray[np.float32]:
    """Return a normalised frame on the scale of the networks, which is logarithmic if `log_offset` is above 0.

    Parameters
    ----------
    frame : numpy.ndarray of float32
        Intensities in [-1, 1].
    normalisation : Normalisation
        Holds the offset o of log(I + o), where I is the intensity in [0, 1].

    Returns
    -------
    numpy.ndarray of float32
        In [-1, 1], of the same shape.
    """
    offset = normalisation.log_offset
    if not offset:
        return frame
    sign = -1 if normalisation.glow else 1
    intensity = np.clip((sign * frame + 1) / 2, 0, 1)
    return (sign * (2 * np.log1p(intensity / offset) / math.log1p(1 / offset) - 1)).astype(np.float32)


def decode(frame: npt.NDArray[np.float32], normalisation: Normalisation) -> npt.NDArray[np.float32]:
    """Return linear intensities in [-1, 1] from a frame on the scale of the networks: the inverse of `encode`."""
    offset = normalisation.log_offset
    if not offset:
        return frame
    sign = -1 if normalisation.glow else 1
    return (sign * (2 * offset * np.expm1((sign * frame + 1) / 2 * math.log1p(1 / offset)) - 1)).astype(np.float32)
