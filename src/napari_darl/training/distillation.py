"""Distillation: soft labels of whole frames, the mean of several models, from which a student learns.

The models err differently, so that their mean is better than each of them. The student sees the frames through stronger
augmentation than its teachers (noisy student; Xie et al. 2020).
"""

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import ndimage
from scipy.special import expit, logit
from skimage.filters import apply_hysteresis_threshold
from skimage.morphology import skeletonize

from napari_darl.configuration import Config
from napari_darl.inference.loading import Model
from napari_darl.inference.scale import guess_resize
from napari_darl.inference.segment import segment_probability
from napari_darl.training.teacher import long_ridges

SOFT = 127  # Soft labels are int8: this value is a sure vessel, its negative sure background.
_SUREST = 1e-4  # Probabilities are clipped to here and to 1 - this, so that their logits stay finite.
_LINK = SOFT // 2  # Links are less sure than most vessels.
_VIEWS = [(transposed, axes) for transposed in (False, True) for axes in ((), (1,), (0,), (0, 1))]


class DistillationConfig(Config):
    """How the teachers' probabilities become soft labels.

    Attributes
    ----------
    sizes
        Sizes at which each teacher sees a frame, in multiples of the one that it would be segmented at. At every second
        of them the frame is mirrored.
    mirrored
        Show each teacher all eight rotations and mirror images at each size, which takes eight times as long.
    unsure
        Pixels whose probability differs from 0.5 by less than this are not labelled.
    linking
        Gaps between vessels are closed along the centreline of the pixels whose probability is above this. 0.5 closes
        none.
    shortest
        Vessels of the teachers are background if their centreline is shorter, px at a shorter side of 300 px. 0 keeps
        all.
    finest
        Shorter side, px, at which labels are kept; larger ones are reduced to it.
    """

    sizes: tuple[Annotated[float, Field(gt=0.1, le=4)], ...] = Field(default=(1.0, 0.75), min_length=1, max_length=8)
    mirrored: bool = False
    unsure: float = Field(default=0.1, ge=0, lt=0.5)
    linking: float = Field(default=0.5, gt=0, le=0.5)
    shortest: int = Field(default=0, ge=0)
    finest: int = Field(default=512, ge=32)


def mean_probability(
    frame: NDArray[Any], models: Sequence[Model], config: DistillationConfig, bits: int | None = None
) -> NDArray[np.float32]:
    """Return the probability whose logit is the mean over models and views.

    Parameters
    ----------
    frame : numpy.ndarray, shape (H, W)
        A grey frame of any real dtype, vessels dark.
    models : sequence of Model
        The teachers.
    config : DistillationConfig
        The sizes at which they see the frame.
    bits : int, optional
        Bits that an integer frame uses, if fewer than its dtype has.

    Returns
    -------
    numpy.ndarray of float32, shape (H, W)
        In [0, 1].
    """
    logits = []
    for model in models:
        network = model.network.config
        height, width = frame.shape
        guessed = guess_resize(height, width, *network.pixel_size)
        for index, size in enumerate(config.sizes):
            for transposed, axes in _VIEWS if config.mirrored else _VIEWS[index % 2 : index % 2 + 1]:
                seen = np.ascontiguousarray(np.flip(frame.T if transposed else frame, axes))
                p = np.flip(segment_probability(seen, model, bright=False, bits=bits, resize=guessed * size), axes)
                logits.append(logit(np.clip(p.T if transposed else p, _SUREST, 1 - _SUREST)))
    return expit(np.mean(logits, axis=0, dtype=np.float32))  # type: ignore[no-any-return]


def soft_labels(probability: NDArray[np.float32], config: DistillationConfig) -> NDArray[np.int8]:
    """Return the labels that a student learns.

    Parameters
    ----------
    probability : numpy.ndarray of float32, shape (H, W)
        Result of `mean_probability`.
    config : DistillationConfig
        Where no label is given.

    Returns
    -------
    numpy.ndarray of int8, shape (h, w)
        From -127 (background) to 127 (vessel), in proportion to the probability; 0 where it is not sure.
    """
    factor = min(1.0, config.finest / min(probability.shape))
    p = ndimage.zoom(probability, factor, order=1) if factor < 1 else probability
    labels = np.round((2 * p - 1) * SOFT).astype(np.int8)
    labels[np.abs(p - 0.5) < config.unsure] = 0
    vessel = p > 0.5
    if config.linking < 0.5:
        linked = apply_hysteresis_threshold(p, config.linking, 0.5)
        links = ndimage.binary_dilation(skeletonize(linked), np.ones((3, 3))) & ~vessel
        labels[links] = _LINK
        vessel |= links
    if config.shortest:
        labels[vessel & ~long_ridges(vessel, round(config.shortest * min(p.shape) / 300))] = -SOFT
    return labels
