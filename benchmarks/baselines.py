"""Ridge filters that need no training, as baselines for trained models."""

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy import ndimage
from skimage.filters import frangi, meijering, sato

from napari_darl.configuration import Config
from napari_darl.errors import InputError

Mask = npt.NDArray[np.bool_]
Response = npt.NDArray[np.float32]

BASELINES: dict[str, Callable[..., npt.NDArray[Any]]] = {
    "sato": sato,
    "frangi": frangi,
    "meijering": meijering,
}
"""The filters of scikit-image by name (Sato et al. 1998, Frangi et al. 1998, Meijering et al. 2004)."""

_DARKEST = 0.03  # keeps the logarithm finite, and the noise of black pixels small


class BaselineSettings(Config):
    """How a ridge filter is applied; the defaults suit coronary angiograms of 300 x 300 pixels.

    Attributes
    ----------
    sigmas : tuple of float
        Scales, in pixels; about half of the vessels' widths.
    logarithm : bool
        Whether to look at log(intensity + 0.03), in which the contrast of a vessel no longer depends on how
        bright its background is (Beer-Lambert).
    fraction : float
        The part of a frame's pixels, the brightest of the response, that are called vessel; above 0, below 1.
    """

    sigmas: tuple[Annotated[float, Field(gt=0)], ...] = Field(default=(1, 1.5, 2, 2.5, 3, 3.5), min_length=1)
    logarithm: bool = True
    fraction: float = Field(default=0.06, gt=0, lt=1)


def vesselness(
    name: str,
    frame: npt.NDArray[np.floating[Any]],
    settings: BaselineSettings | None = None,
    fov: Mask | None = None,
) -> Response:
    """Filter a frame for dark ridges.

    Parameters
    ----------
    name : str
        One of `BASELINES`.
    frame : numpy.ndarray of float, shape (H, W)
        Intensities in [0, 1], vessels darker than their background.
    settings : BaselineSettings, optional
        Scales and transformation, by default for coronary angiograms. The fraction isn't used here.
    fov : numpy.ndarray of bool, shape (H, W), optional
        Field of view; the response is 0 outside it. The whole frame by default.

    Returns
    -------
    numpy.ndarray of float32, shape (H, W)
        The strongest response over the scales, at least 0.

    Raises
    ------
    InputError
        If the filter isn't known, the frame isn't 2-D or leaves [0, 1], or the field of view's shape differs.
    """
    settings = settings or BaselineSettings()
    if name not in BASELINES:
        raise InputError(f"there is no baseline {name!r}: take one of {', '.join(BASELINES)}")
    if frame.ndim != 2 or not (frame.size and frame.min() >= 0 and frame.max() <= 1):  # NaN fails both
        raise InputError("a baseline needs one 2-D frame of intensities in [0, 1]: normalise the frame first")
    if fov is not None and fov.shape != frame.shape:
        raise InputError(f"the field of view's shape {fov.shape} isn't the frame's {frame.shape}: hand the same")
    seen = np.log(frame + _DARKEST) if settings.logarithm else frame
    response = BASELINES[name](seen, sigmas=settings.sigmas, black_ridges=True).astype(np.float32)
    return response if fov is None else np.where(fov, response, np.float32(0))


def brightest(response: Response, fraction: float, counted: Mask | None = None) -> Mask:
    """Return a mask of the brightest fraction of a response.

    Parameters
    ----------
    response : numpy.ndarray of float32, shape (H, W)
        As `vesselness` returns it.
    fraction : float
        The part to keep, in (0, 1): one for a whole set of frames, while each frame has its own threshold.
    counted : numpy.ndarray of bool, shape (H, W), optional
        The pixels that the fraction refers to and that are measured on; all by default.

    Returns
    -------
    numpy.ndarray of bool, shape (H, W)
        The vessel mask; smaller than the fraction where the response has too few pixels above 0.

    Raises
    ------
    InputError
        If no pixel counts, or the fraction isn't in (0, 1).
    """
    values = response if counted is None else response[counted]
    if not (values.size and 0 < fraction < 1):
        raise InputError(f"{fraction} of {values.size} pixels can't be kept: hand pixels, and a part in (0, 1)")
    mask: Mask = response > np.quantile(values, 1 - fraction)
    return mask if counted is None else mask & counted


def coronary_field_of_view(frame: npt.NDArray[np.floating[Any]]) -> Mask:
    """Return the pixels inside the collimator, as used for the scores of the ridge filters.

    Parameters
    ----------
    frame : numpy.ndarray of float, shape (H, W)
        Intensities in [0, 1].

    Returns
    -------
    numpy.ndarray of bool, shape (H, W)
        Intensities above 0.08, opened twice, less a margin of 6 pixels: there the edges of the collimator and
        of the frame look like ridges.
    """
    return _eroded(ndimage.binary_opening(frame > 0.08, iterations=2), 6)


def fundus_field_of_view(camera: Mask) -> Mask:
    """Remove the rim of a fundus camera's field of view, which looks like a ridge.

    Parameters
    ----------
    camera : numpy.ndarray of bool, shape (H, W)
        The field of view that came with the photograph.

    Returns
    -------
    numpy.ndarray of bool, shape (H, W)
        The same less a margin of 4 pixels.
    """
    return _eroded(camera, 4)


def _eroded(mask: Mask, margin: int) -> Mask:
    inside: Mask = ndimage.binary_erosion(mask, iterations=margin)
    return inside
