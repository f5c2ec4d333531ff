"""Corrected frames, as the network sees them."""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from napari_darl.errors import InputError
from napari_darl.inference.loading import Model
from napari_darl.inference.options import SegmentOptions
from napari_darl.inference.windows import Windows
from napari_darl.training.teacher import nearest_pixels

Labels = npt.NDArray[np.int8]
"""1 vessel, 0 background, -1 not said."""

Index = tuple[int, ...]
"""Place of a frame in a stack."""

NOT_SAID = -1
SURE = 0.9
"""Probability from which the original model is sure of vessel; below 1 - SURE it is sure of background."""

_SPARE = 8  # about as many frames of a stack serve as others


@dataclass(frozen=True, eq=False)
class LabelledFrame:
    """A frame with what is known about its pixels.

    Attributes
    ----------
    pixels : numpy.ndarray, shape (Y, X) or (Y, X, C)
        The frame as stored.
    network_input : Tensor
        Float32 (1, 1, h, w) in [-1, 1]: grey, normalised and resized as for segmenting.
    probability : numpy.ndarray of float32, shape (Y, X)
        What the original model gives.
    odds : float
        What the odds of the network's probability are multiplied by at this size (`Calibration.odds`).
    labels : numpy.ndarray of int8, shape (Y, X)
        The corrections.
    """

    pixels: npt.NDArray[Any]
    network_input: Tensor
    probability: npt.NDArray[np.float32]
    odds: float
    labels: Labels

    @property
    def sure(self) -> Labels:
        """What the original model is sure of, where nothing was corrected: 1, 0, or -1 for not sure."""
        sure = np.full(self.labels.shape, NOT_SAID, np.int8)
        sure[self.probability > SURE] = 1
        sure[self.probability < 1 - SURE] = 0
        sure[self.labels != NOT_SAID] = NOT_SAID
        return sure

    def with_labels(self, labels: Labels) -> "LabelledFrame":
        """Return the frame with other labels."""
        return replace(self, labels=labels)

    def resized(self, labels: Labels) -> Labels:
        """Return labels at the size of `network_input`: each pixel takes the label of the nearest one."""
        height, width = self.network_input.shape[2:]
        rows = nearest_pixels(height, height, labels.shape[0])
        columns = nearest_pixels(width, width, labels.shape[1])
        return labels[rows][:, columns]


def read_corrections(
    corrected: Sequence[tuple[object, npt.ArrayLike]], model: Model, options: SegmentOptions
) -> list[LabelledFrame]:
    """Check pairs of image and labels, and return the frames of which something is said.

    Raises
    ------
    InputError
        If there is no pair, labels have another shape than their image or hold other values than -1, 0 and 1, or
        nothing is said of any pixel.
    """
    frames = []
    for number, (image, values) in enumerate(corrected):
        windows = Windows(image, model, options)
        labels = np.asarray(values)
        if labels.shape != windows.shape:
            raise InputError(
                f"The labels of corrected image {number} have the shape {labels.shape}, the image {windows.shape}. "
                "Pass labels of the image's shape, without its colours."
            )
        if labels.dtype.kind not in "bui" or not np.isin(labels, (NOT_SAID, 0, 1)).all():
            raise InputError(
                f"The labels of corrected image {number} hold values other than 1 (vessel), 0 (background) and "
                "-1 (not said)."
            )
        frames += [frame for frame in _frames(windows, labels.astype(np.int8)) if (frame.labels != NOT_SAID).any()]
    if not frames:
        raise InputError("Nothing is corrected: every label is -1 (not said). Label at least one frame.")
    return frames


def uncorrected_frames(shape: tuple[int, ...], corrected: Container[Index]) -> list[Index]:
    """Choose some frames of a stack that nobody corrected, spread over it, for `others` of `refine`.

    Parameters
    ----------
    shape : tuple of int
        Shape of the stack without Y and X.
    corrected : container of tuple of int
        Indices of the corrected frames.
    """
    spare = [index for index in np.ndindex(shape) if index not in corrected]
    return spare[:: max(1, len(spare) // _SPARE)]


def read_others(others: Sequence[object], model: Model, options: SegmentOptions, at_most: int) -> list[LabelledFrame]:
    """Return up to `at_most` frames, spread over images that nobody corrected."""
    steps = max(1, len(others) // at_most)
    frames: list[LabelledFrame] = []
    for image in list(others)[::steps]:
        windows = Windows(image, model, options)
        middle = np.unravel_index(int(np.prod(windows.shape[:-2], dtype=int)) // 2, windows.shape[:-2] or (1,))
        index = tuple(int(n) for n in middle) if windows.shape[:-2] else ()
        frames.append(_frame(windows, index, np.full(windows.shape[-2:], NOT_SAID, np.int8)))
    return frames[:at_most]


def _frames(windows: Windows, labels: Labels) -> Iterator[LabelledFrame]:
    for index in np.ndindex(windows.shape[:-2]):
        if (labels[index] != NOT_SAID).any():
            yield _frame(windows, index, labels[index])


def _frame(windows: Windows, index: tuple[int, ...], labels: Labels) -> LabelledFrame:
    pixels = np.asanyarray(windows.image.data[index])
    pipeline = windows.pipeline
    grey = pipeline.grey(pixels)
    context = pipeline.context(grey, index)
    network_input = pipeline.network_input([grey], [context])
    probability = pipeline([grey], [context], pipeline.whole)[0]
    return LabelledFrame(pixels, network_input, probability, pipeline.odds, labels)
