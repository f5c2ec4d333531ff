"""Teachers: labels of the surest pixels of real angiograms, from which path A learns.

No expert labels are needed. At first, the teacher is a ridge filter (`sure_labels`). Later, a copy of the model itself
is a second teacher, and pixels are labelled where the two agree (`agreed_labels`).
"""

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import ndimage
from skimage.filters import sato
from skimage.morphology import skeletonize

from napari_darl.configuration import Config
from napari_darl.frames.field_of_view import find_field_of_view
from napari_darl.training.ridges import black_top_hat, continued, hysteresis, oriented_ridges

_OFFSET = 0.1  # Added to intensities in [0, 1], so that their logarithm doesn't amplify dark parts too much.
_LEAST_NOISE = 0.03  # Added to the noise, so that responses stay finite where there is none.
_RIM = 2  # Width, px, of the rim of the field of view in which nothing is labelled vessel.
_EIGHT_CONNECTED = np.ones((3, 3))
_HAT = 17  # Side of the square of the black top-hat, px.
_SURE = 0.75  # The model is sure of vessels above this probability, and of background below 1 - 0.75.


class TeacherConfig(Config):
    """Parameters of the teachers.

    Attributes
    ----------
    side
        Shorter side, px, at which the filter is computed; larger frames are reduced to it.
    vessel
        Share of pixels, those with the strongest responses, that may be labelled vessel.
    background
        Share of pixels, those with the weakest responses, that are labelled background.
    shortest
        Least length of a vessel's centreline, px at `side`. Shorter ridges may be clutter.
    crest
        Vessel pixels have at least this share of the strongest response within 3 px. Others may lie beyond the edge of
        the vessel.
    filter
        `sato` (Sato et al. 1998), or `oriented` (`oriented_ridges`) on frames that are continued outside of their field
        of view.
    sigmas
        Scales of the filter, px.
    top_hat
        Exponent k of response^(1 - k) * (black top-hat)^k.
    seed
        Share of pixels, those with the strongest responses, that are seeds: each vessel must contain `seed_pixels` of
        them (hysteresis). None for no such condition.
    seed_pixels
        Least number of seeds in a vessel.
    isolated
        Label ridges that are shorter than `shortest` background. Otherwise they are not sure.
    finest
        Shorter side, px, at which the model's probabilities are used; larger ones are reduced to it.
    grow
        Pixels with at least this probability belong to a vessel if they are connected to a part of which the model is
        sure, so that gaps close. None considers each pixel by itself.
    """

    side: int = Field(default=300, ge=32)
    filter: Literal["sato", "oriented"] = "sato"
    sigmas: tuple[Annotated[float, Field(gt=0, le=100)], ...] = Field(
        default=(1.0, 1.5, 2.0, 2.75, 3.5), min_length=1, max_length=16
    )
    top_hat: float = Field(default=0.0, ge=0, lt=1)
    seed: float | None = Field(default=None, gt=0, lt=1)
    seed_pixels: int = Field(default=30, ge=1)
    isolated: bool = False
    finest: int = Field(default=512, ge=32)
    grow: float | None = Field(default=None, gt=0, lt=0.5)
    vessel: float = Field(default=0.07, gt=0, lt=1)
    background: float = Field(default=0.85, gt=0, lt=1)
    shortest: int = Field(default=50, ge=0)
    crest: float = Field(default=0.5, ge=0, lt=1)


def sure_labels(frame: NDArray[np.float32], config: TeacherConfig | None = None) -> NDArray[np.int8]:
    """Label the pixels of which a ridge filter is sure.

    1. The frame is reduced to `config.side`, and the filter is computed on the logarithm of the intensity.
    2. Responses are divided by the local noise, since the logarithm amplifies the noise of dark parts.
    3. The weakest responses are background. Long ridges of the strongest responses are vessels; their slopes and
       neighbours, and all other pixels, are not sure.

    Parameters
    ----------
    frame : numpy.ndarray of float32, shape (H, W)
        An angiogram in [-1, 1], vessels dark.
    config : TeacherConfig, optional
        Parameters of the filter.

    Returns
    -------
    numpy.ndarray of int8, shape (h, w)
        1 vessel, -1 background, 0 not sure; the shorter side has at most `config.side` px.
    """
    config = config or TeacherConfig()
    factor = min(1.0, config.side / min(frame.shape))
    intensity = np.clip(ndimage.zoom((frame + 1) / 2, factor, order=1) if factor < 1 else (frame + 1) / 2, 0, 1)
    field = ndimage.binary_erosion(find_field_of_view(intensity), iterations=_RIM, border_value=1)
    response = _ridges(np.log(intensity + _OFFSET), field, config) * field
    weak, strong = np.quantile(response, [config.background, 1 - config.vessel])
    ridges = response > strong
    if config.seed is not None:
        ridges = hysteresis(response, strong, float(np.quantile(response, 1 - config.seed)), config.seed_pixels)
    vessel = long_ridges(ridges, config.shortest)
    sure = vessel & (response > config.crest * ndimage.maximum_filter(response, 7))
    labels = np.where(response > weak, 0, -1).astype(np.int8)
    if config.isolated:
        labels[(response > strong) & ~vessel] = -1
    labels[ndimage.binary_dilation(sure, _EIGHT_CONNECTED)] = 0
    labels[sure] = 1
    return labels


def agreed_labels(
    labels: NDArray[np.int8], probability: NDArray[np.float32], config: TeacherConfig | None = None
) -> NDArray[np.int8]:
    """Label the pixels on which ridge filter and model agree.

    A pixel is labelled if the model is sure of it and the filter agrees or is not sure. Short vessels of the model that
    the filter doesn't see are background.

    Parameters
    ----------
    labels : numpy.ndarray of int8, shape (h, w)
        Result of `sure_labels` for the frame.
    probability : numpy.ndarray of float32, shape (H, W)
        Probability of vessel by the model, in [0, 1].
    config : TeacherConfig, optional
        Parameters of the teachers.

    Returns
    -------
    numpy.ndarray of int8
        1 vessel, -1 background, 0 not sure; the shorter side has at most `config.finest` px.
    """
    config = config or TeacherConfig()
    factor = min(1.0, config.finest / min(probability.shape))
    model = ndimage.zoom(probability, factor, order=1) if factor < 1 else probability

    # The filter's label of each pixel of the model.
    rows, columns = (nearest_pixels(to, to, of) for to, of in zip(model.shape, labels.shape, strict=True))
    ridge = labels[rows][:, columns]

    # The vessels that the model sees.
    whole = model > 0.5
    if config.grow is not None:
        whole = hysteresis(model, config.grow, _SURE, config.seed_pixels)
    vessel = long_ridges(whole, round(config.shortest * min(model.shape) / min(labels.shape)))

    agreed = np.zeros(model.shape, np.int8)
    agreed[(model < 1 - _SURE) & (ridge <= 0)] = -1
    agreed[(model > 0.5) & ~vessel & ((ridge < 0) | config.isolated)] = -1
    agreed[(model > _SURE) & vessel & (ridge >= 0)] = 1
    if config.grow is not None:
        agreed[skeletonize(vessel)] = 1
    return agreed


def nearest_pixels(count: int, length: int, other: int, *, first: int = 0) -> NDArray[np.intp]:
    """Return which pixel of an axis lies nearest to each of `count` pixels of another axis over the same extent.

    Parameters
    ----------
    count, first : int
        Pixels `first`, `first` + 1, ..., `first` + `count` - 1 are looked up.
    length : int
        Length, px, of the axis that they belong to.
    other : int
        Length, px, of the axis whose pixels are returned.

    Returns
    -------
    numpy.ndarray of int, shape (count,)
        From 0 to `other` - 1.
    """
    return ((first + np.arange(count) + 0.5) * other / length).astype(np.intp)


def _ridges(frame: NDArray[np.float32], field: NDArray[np.bool_], config: TeacherConfig) -> NDArray[np.float32]:
    """Return the response of the filter to dark ridges, in multiples of the local noise."""
    oriented = config.filter == "oriented"
    if oriented:
        frame = continued(frame, field)

    # The local noise is the standard deviation of what a narrow Gaussian removes.
    fine = frame - ndimage.gaussian_filter(frame, 1)
    noise = np.sqrt(ndimage.gaussian_filter(fine**2, 20))
    response: NDArray[np.float32] = (
        oriented_ridges(frame, config.sigmas) if oriented else sato(frame, sigmas=config.sigmas, black_ridges=True)
    )
    if config.top_hat:
        response = response ** (1 - config.top_hat) * black_top_hat(frame, _HAT) ** config.top_hat
    ridges: NDArray[np.float32] = response / (noise + _LEAST_NOISE)
    return ridges


def long_ridges(ridges: NDArray[np.bool_], shortest: int) -> NDArray[np.bool_]:
    """Return the connected ridges whose skeletons have at least `shortest` pixels."""
    parts, count = ndimage.label(ridges, _EIGHT_CONNECTED)
    lengths = np.bincount(parts[skeletonize(ridges)], minlength=count + 1)
    kept: NDArray[np.bool_] = ((lengths >= shortest) & (np.arange(count + 1) > 0))[parts]
    return kept
