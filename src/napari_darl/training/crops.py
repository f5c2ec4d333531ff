"""Random crops of a stack of frames, together with the labels that a teacher gives them."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation
from skimage.morphology import skeletonize

from napari_darl.errors import InputError
from napari_darl.frames.arrays import showing
from napari_darl.frames.missing import Mask, filled, missing_pixels
from napari_darl.frames.normalisation import Normalisation, intensity_range, normalise
from napari_darl.synthetic.tree_config import FRAME
from napari_darl.training.backgrounds import WIDTH, suppress_vessels
from napari_darl.training.distillation import SOFT, soft_labels
from napari_darl.training.draw_config import DrawConfig
from napari_darl.training.teacher import agreed_labels, nearest_pixels, sure_labels

Frame = NDArray[np.float32]

_BACKGROUND = -0.8  # Soft labels below are as good as sure background.
_RIM = 5  # pixels of the teacher around missing values


class Crop(NamedTuple):
    """A random crop of a frame.

    Attributes
    ----------
    frame
        float32 (H, W) in [-1, 1].
    labels
        The teacher's labels, float32 (H, W): from -1 for background to 1 for vessel, 0 where it is not sure, and
        everywhere without a teacher.
    scale
        Pixels of the crop per pixel of a frame whose shorter side has 512 px.
    """

    frame: Frame
    labels: Frame
    scale: float


class CropSource:
    """A stack of frames from which random crops are drawn.

    Labels of whole frames are computed when a frame is first drawn, and kept.

    Parameters
    ----------
    name : str
        Name of the kind of frames, for messages.
    frames : sequence of numpy.ndarray
        Grey frames (H, W) of any sizes and real dtypes. Missing values (NaN, infinite or masked) take that of the
        nearest pixel that has one, and the teacher says nothing there.
    normalisation : Normalisation
        How intensities are mapped to [-1, 1], frame by frame.
    side : int
        Shorter side, px, to which frames are resized before they are cropped.
    bits : int, optional
        Bits that integer frames use, if fewer than their dtype has.

    Raises
    ------
    InputError
        If there are no frames, or a frame is unusable.
    """

    def __init__(
        self,
        name: str,
        frames: Sequence[NDArray[Any]],
        normalisation: Normalisation,
        side: int,
        bits: int | None = None,
    ) -> None:
        if len(frames) == 0:
            raise InputError(f"The stack of {name}s is empty. Give at least one frame.")
        frames = showing(frames, name)
        self.frames = [filled(frame) for frame in frames]
        self.missing = [missing_pixels(frame) for frame in frames]
        self.side = side
        self.known: int | None = None  # Frames that are drawn from; None for all.
        self._order = np.random.default_rng(0).permutation(len(frames))
        self.predict: Callable[[NDArray[Any]], Frame] | None = None
        self.ridges: dict[int, NDArray[np.int8]] = {}
        self.labels: dict[int, NDArray[np.int8]] = {}
        self.limits = [intensity_range(frame, normalisation, bits) for frame in frames]

    def crop(
        self, rng: np.random.Generator, config: DrawConfig, *, suppress: bool = False, teach: bool = False
    ) -> Crop:
        """Draw a crop.

        A square window of random size and position is cut out of a random frame, resized, and randomly transposed and
        flipped. Only the window is resized, not the whole frame.

        Parameters
        ----------
        rng : numpy.random.Generator
            Source of the draws.
        config : DrawConfig
            Sizes, and the teacher.
        suppress : bool
            Remove vessels; where the teacher is sure of background, nothing is changed.
        teach : bool
            Label the crop.
        """
        index = int(rng.integers(len(self.frames)))
        if self.known is not None and self.known < len(self.frames):
            index = int(self._order[index % self.known])
        frame = self.frames[index]
        side, size = min(frame.shape), config.size
        # The length, px of this frame, that is taken for 512 px of a 512 x 512 frame.
        frame_side = FRAME if config.native else side
        window = size * (1.0 if config.native else side / self.side) * float(np.exp(rng.uniform(*np.log(config.zoom))))
        window = min(max(round(window), 2), side)
        top, left = (int(rng.integers(length - window + 1)) for length in frame.shape)
        crop = normalise(frame[top : top + window, left : left + window], self.limits[index])

        # Labels have the resolution of the teacher: look up the label of each pixel of the window.
        labels = None
        if teach or (suppress and config.labelled):
            of_frame = self._labels(index, config)
            rows = nearest_pixels(window, frame.shape[0], of_frame.shape[0], first=top)
            columns = nearest_pixels(window, frame.shape[1], of_frame.shape[1], first=left)
            labels = of_frame[rows][:, columns].astype(np.float32)
            if config.distillation is not None:
                labels /= SOFT

        if suppress:
            maybe = None if labels is None else labels > _BACKGROUND
            crop = suppress_vessels(crop, max(3, round(WIDTH * frame_side)), maybe)

        crop = _resize(crop, size)
        if labels is None or not teach:
            labels = np.zeros((size, size), np.float32)
        elif config.distillation is not None and window > size:
            labels = reduced_labels(labels, size)
        else:
            pixels = nearest_pixels(size, size, window)
            labels = labels[pixels][:, pixels]
        turn = rng.random(3) < 0.5
        return Crop(_turned(crop, turn), _turned(labels, turn), frame_side / FRAME * size / window)

    def _labels(self, index: int, config: DrawConfig) -> NDArray[np.int8]:
        """Return the labels of a whole frame, int8, at the resolution of the teacher."""
        if config.distillation is not None and self.predict is not None:
            if index not in self.labels:
                soft = soft_labels(self.predict(self.frames[index]), config.distillation)
                self.labels[index] = _not_sure(soft, self.missing[index])
            return self.labels[index]
        teacher = config.teacher
        if index not in self.ridges:
            ridges = sure_labels(normalise(self.frames[index], self.limits[index]), teacher)
            self.ridges[index] = _not_sure(ridges, self.missing[index])
        if self.predict is None:
            return self.ridges[index]
        if index not in self.labels:
            agreed = agreed_labels(self.ridges[index], self.predict(self.frames[index]), teacher)
            self.labels[index] = _not_sure(agreed, self.missing[index])
        return self.labels[index]


def _not_sure(labels: NDArray[np.int8], missing: Mask | None) -> NDArray[np.int8]:
    """Return labels that are 0 where values are missing and close by, where ridges may come from the filling."""
    if missing is None:
        return labels
    rows, columns = (nearest_pixels(to, to, of) for to, of in zip(labels.shape, missing.shape, strict=True))
    gaps = binary_dilation(missing[rows][:, columns], iterations=_RIM)
    return np.where(gaps, 0, labels).astype(np.int8)


def _turned(frame: Frame, turn: NDArray[np.bool_]) -> Frame:
    """Transpose a frame and flip its axes, each if asked for."""
    transposed, *flipped = turn
    frame = frame.T if transposed else frame
    return np.ascontiguousarray(np.flip(frame, tuple(axis for axis in (0, 1) if flipped[axis])))


def coarsened(frame: Frame, labels: Frame, factor: float) -> tuple[Frame, Frame]:
    """Return a crop that looks as if its pixels were larger by a factor, and its labels.

    A larger pixel is vessel if vessels cover in it what was half of a pixel before. Experts draw that way: a pixel that
    a vessel touches is vessel to them.
    """
    size = len(frame)
    small = round(size / factor)
    if small == size:
        return frame, labels
    fewer = reduced_labels(labels, small)
    touched = touched_pixels(labels > 0, (small, small))
    fewer[touched] = np.maximum(fewer, _most(labels, small))[touched]
    pixels = nearest_pixels(size, size, small)
    return _resize(_resize(frame, small), size), fewer[pixels][:, pixels]


def touched_pixels(mask: Mask, shape: tuple[int, int]) -> Mask:
    """Return which pixels of a smaller frame vessels touch: they cover in it half of a pixel of the mask."""
    tensor = torch.from_numpy(mask.astype(np.float32))[None, None]
    covered = F.interpolate(tensor, shape, mode="bilinear", antialias=True, align_corners=False)[0, 0].numpy()
    touched: Mask = covered > 0.5 * shape[0] * shape[1] / mask.size
    return touched


def reduced_labels(labels: Frame, size: int) -> Frame:
    """Return labels at fewer pixels.

    A pixel takes the mean label of its area, so that vessels keep their width. The mean loses vessels that are thinner
    than a pixel, and the nearest label breaks them into dashes: they are kept as lines one pixel wide.

    Parameters
    ----------
    labels : numpy.ndarray of float32, shape (H, H)
        From -1 for background to 1 for vessel.
    size : int
        Side of the result, px, less than H.

    Returns
    -------
    numpy.ndarray of float32, shape (size, size)
        In [-1, 1].
    """
    centrelines = np.where(skeletonize(labels > 0), labels, np.float32(-1))
    crossed = _most(centrelines, size)
    lines = skeletonize(crossed > 0)  # Without the corners of stairs.
    reduced = np.clip(_resize(labels, size), -1, 1)  # It rounds to slightly more than 1.
    reduced[lines] = np.maximum(reduced[lines], crossed[lines])
    return reduced


def _most(labels: Frame, size: int) -> Frame:
    """Return the greatest label in the area of each pixel."""
    return F.adaptive_max_pool2d(torch.from_numpy(labels)[None, None], size)[0, 0].numpy()


def _resize(crop: Frame, size: int) -> Frame:
    if crop.shape == (size, size):
        return np.ascontiguousarray(crop)
    tensor = torch.from_numpy(np.ascontiguousarray(crop))[None, None]
    resized = F.interpolate(tensor, (size, size), mode="bilinear", antialias=True, align_corners=False)
    return resized[0, 0].numpy()
