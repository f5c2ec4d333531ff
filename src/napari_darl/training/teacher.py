"""Teachers without labels: what is sure in real angiograms, so that path A may learn from it.

At first a classical ridge filter teaches; later on, it and the model itself, where they agree.
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

_DARKEST = 0.1  # added to intensities, lest the logarithm makes much of what is dark
_QUIET = 0.03  # added to the noise, lest much is made of what has none
_RIM = 2  # px that are taken off the field of view, beside its own margin
_NEIGHBOURS = np.ones((3, 3))
_HAT = 17  # px, side of the black top-hat's square
_SURE = 0.75  # probability from which a model is sure of vessel; below 0.25, of background


class TeacherConfig(Config):
    """What the teacher is sure of; parts are those of the frame's pixels.

    Attributes
    ----------
    side
        Shorter side, px, at which the filter looks at a frame; larger ones are reduced.
    vessel
        Part with the strongest responses that may be vessel.
    background
        Part with the weakest responses that is background.
    shortest
        Least length of a vessel's centreline, in px of a frame of that side: shorter ridges may be clutter.
    crest
        Part of the strongest response within 3 px that a pixel must have: what lies further down a ridge's slope may be
        its edge.
    filter
        `sato`, or `oriented` for `oriented_ridges` of frames that are continued outside of their field of view.
    sigmas
        Scales of the filter, px.
    top_hat
        Exponent k of response^(1 - k) * (black top-hat)^k.
    seed
        Part with the strongest responses, of which each vessel must contain `seed_pixels` pixels (hysteresis). None for
        no such condition.
    seed_pixels
        See `seed`.
    isolated
        Whether ridges that are shorter than `shortest` are background. Otherwise they are unsure.
    finest
        Shorter side, px, at which the model's probabilities are looked at; larger ones are reduced.
    grow
        Probability from which pixels belong to a vessel of which the model is sure elsewhere, so that gaps close. None
        looks at each pixel alone.
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
    """Label what a ridge filter is sure of, on the logarithm of the intensity.

    Responses are measured in multiples of the noise about them, for the logarithm makes dark parts noisy.

    Parameters
    ----------
    frame : numpy.ndarray of float32, shape (H, W)
        An angiogram in [-1, 1], vessels dark.
    config : TeacherConfig, optional
        What it takes to be sure.

    Returns
    -------
    numpy.ndarray of int8
        1 vessel, -1 background, 0 not sure; the shorter side has at most `config.side` px.
    """
    config = config or TeacherConfig()
    factor = min(1.0, config.side / min(frame.shape))
    intensity = np.clip(ndimage.zoom((frame + 1) / 2, factor, order=1) if factor < 1 else (frame + 1) / 2, 0, 1)
    field = ndimage.binary_erosion(find_field_of_view(intensity), iterations=_RIM, border_value=1)
    response = _ridges(np.log(intensity + _DARKEST), field, config) * field
    weak, strong = np.quantile(response, [config.background, 1 - config.vessel])
    ridges = response > strong
    if config.seed is not None:
        ridges = hysteresis(response, strong, float(np.quantile(response, 1 - config.seed)), config.seed_pixels)
    vessel = _long(ridges, config.shortest)
    sure = vessel & (response > config.crest * ndimage.maximum_filter(response, 7))
    labels = np.where(response > weak, 0, -1).astype(np.int8)
    if config.isolated:
        labels[(response > strong) & ~vessel] = -1
    labels[ndimage.binary_dilation(sure, _NEIGHBOURS)] = 0
    labels[sure] = 1
    return labels


def agreed_labels(
    labels: NDArray[np.int8], probability: NDArray[np.float32], config: TeacherConfig | None = None
) -> NDArray[np.int8]:
    """Label what ridge filter and model agree on, or one is sure of and the other doesn't deny.

    Parameters
    ----------
    labels : numpy.ndarray of int8, shape (h, w)
        What `sure_labels` made of the frame.
    probability : numpy.ndarray of float32, shape (H, W)
        The model's, in [0, 1].
    config : TeacherConfig, optional
        Of the lengths of vessels.

    Returns
    -------
    numpy.ndarray of int8
        1 vessel, -1 background, 0 not sure; the shorter side has at most `config.finest` px.
    """
    config = config or TeacherConfig()
    factor = min(1.0, config.finest / min(probability.shape))
    found = ndimage.zoom(probability, factor, order=1) if factor < 1 else probability
    rows, columns = (nearest_pixels(to, to, of) for to, of in zip(found.shape, labels.shape, strict=True))
    ridge = labels[rows][:, columns]
    whole = found > 0.5
    if config.grow is not None:
        whole = hysteresis(found, config.grow, _SURE, config.seed_pixels)
    vessel = _long(whole, round(config.shortest * min(found.shape) / min(labels.shape)))
    agreed = np.zeros(found.shape, np.int8)
    agreed[(found < 1 - _SURE) & (ridge <= 0)] = -1
    agreed[(found > 0.5) & ~vessel & ((ridge < 0) | config.isolated)] = -1
    agreed[(found > _SURE) & vessel & (ridge >= 0)] = 1
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
    """Filter for dark ridges, in multiples of the noise."""
    oriented = config.filter == "oriented"
    if oriented:
        frame = continued(frame, field)
    fine = frame - ndimage.gaussian_filter(frame, 1)
    noise = np.sqrt(ndimage.gaussian_filter(fine**2, 20))
    response: NDArray[np.float32] = (
        oriented_ridges(frame, config.sigmas) if oriented else sato(frame, sigmas=config.sigmas, black_ridges=True)
    )
    if config.top_hat:
        response = response ** (1 - config.top_hat) * black_top_hat(frame, _HAT) ** config.top_hat
    ridges: NDArray[np.float32] = response / (noise + _QUIET)
    return ridges


def _long(ridges: NDArray[np.bool_], shortest: int) -> NDArray[np.bool_]:
    """Keep the connected ridges whose skeletons have at least so many pixels."""
    parts, count = ndimage.label(ridges, _NEIGHBOURS)
    lengths = np.bincount(parts[skeletonize(ridges)], minlength=count + 1)
    kept: NDArray[np.bool_] = ((lengths >= shortest) & (np.arange(count + 1) > 0))[parts]
    return kept
