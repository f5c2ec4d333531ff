"""From probability to mask: threshold, hysteresis, doubtful and small pieces, holes, fast enough to follow a slider.

Connected components are found on runs instead of pixels. A run is a horizontal stretch of vessel pixels in one row, and
a frame has some hundred times fewer runs than pixels. Runs of neighbouring rows are connected if their columns touch,
which sorted run ends tell by bisection; the components of this graph of runs are the pieces of the mask. Holes are the
components of the runs of the background. Filtering keeps or drops whole runs, and the mask is drawn at the end.

Hysteresis as of Canny (1986) grows outlines as well as vessels. Here, it follows centrelines: it keeps the pixels above
the lower threshold that connect to one above the upper, thins these, and adds the part of the centreline that is below
the threshold, 3 px wide. So faint continuations connect dashes, and the outlines of other vessels stay.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from napari_darl.configuration import Config
from napari_darl.errors import InputError

Mask = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.intp]


class Cleaning(Config):
    """How a probability becomes a mask; by default by the threshold alone.

    Attributes
    ----------
    threshold : float
        Pixels of a greater probability are vessel; above 0 and below 1.
    hysteresis : float
        How far below the threshold the probability may fall along the centreline of a vessel that is connected, also
        diagonally, to a pixel above it; as a share of the threshold. Such lines are drawn 3 px wide. 0 switches
        hysteresis off.
    peak : float
        Pieces without a pixel of a greater probability are dropped; below 1. Pixels that touch diagonally belong to the
        same piece. 0 keeps all.
    smallest_piece : int
        Pieces of fewer pixels are dropped.
    largest_hole : int
        Holes of at most this many pixels are filled. A hole is enclosed by vessel on all sides and doesn't touch the
        edge of the frame.

    Examples
    --------
    >>> from napari_darl import Cleaning
    >>> Cleaning(threshold=0.6).updated(smallest_piece=30)
    Cleaning(threshold=0.6, hysteresis=0.0, peak=0.0, smallest_piece=30, largest_hole=0)
    """

    threshold: float = Field(default=0.5, gt=0, lt=1)
    hysteresis: float = Field(default=0.0, ge=0, lt=1)
    peak: float = Field(default=0.0, ge=0, lt=1)
    smallest_piece: int = Field(default=0, ge=0)
    largest_hole: int = Field(default=0, ge=0)

    @classmethod
    def of_model(cls, info: Mapping[str, Any]) -> "Cleaning":
        """Return the cleaning that a model's file asks for in its `info`, and the default for what it doesn't say.

        Anything there that can't be used is left out, as the file may come from elsewhere.
        """
        asked = info.get("cleaning")
        cleaning = cls()
        for name, value in {**(asked if isinstance(asked, dict) else {}), "threshold": info.get("threshold")}.items():
            if type(value) in (int, float):
                with suppress(InputError, OverflowError):
                    cleaning = cleaning.updated(**{name: value})
        return cleaning

    @property
    def is_threshold_alone(self) -> bool:
        """Whether each pixel of the mask depends on its own probability alone."""
        return self == Cleaning(threshold=self.threshold)


def clean_mask(probability: npt.NDArray[np.float32], cleaning: Cleaning) -> npt.NDArray[np.uint8]:
    """Return the vessel mask of a probability: threshold with hysteresis, pieces dropped, then small holes filled.

    Parameters
    ----------
    probability : numpy.ndarray of float32, shape (..., Y, X)
        Probability of vessel in [0, 1]. The frames of a stack are cleaned one by one.
    cleaning : Cleaning
        The settings.

    Returns
    -------
    numpy.ndarray of uint8, shape (..., Y, X)
        1 in vessels and 0 elsewhere.

    Raises
    ------
    InputError
        If the probability has less than two axes.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_darl import Cleaning, clean_mask
    >>> probability = np.array([[0.9, 0.9, 0.45, 0.8, 0.1, 0.7]], np.float32)
    >>> clean_mask(probability, Cleaning(hysteresis=0.2, smallest_piece=2))
    array([[1, 1, 1, 1, 0, 0]], dtype=uint8)
    """
    if probability.ndim < 2:
        raise InputError(f"The probability has the shape {probability.shape}. Pass frames of shape (..., Y, X).")
    sure: Mask = probability > cleaning.threshold
    if cleaning.is_threshold_alone:
        return sure.view(np.uint8)
    mask = np.empty(probability.shape, np.uint8)
    for index in np.ndindex(probability.shape[:-2]):
        mask[index] = _clean(probability[index], sure[index], cleaning)
    return mask


def _clean(probability: npt.NDArray[np.float32], sure: Mask, cleaning: Cleaning) -> npt.NDArray[np.uint8]:
    """Clean one frame whose pixels above the threshold are `sure`."""
    runs = _Runs.of(sure)
    if cleaning.hysteresis:
        possible = _Runs.of(probability > cleaning.threshold * (1 - cleaning.hysteresis))
        grown = possible.only(possible.with_any_of(runs)).draw(sure.shape).view(np.bool_)
        runs = _Runs.of(sure | (_thickened(_centreline(grown) & ~sure) & grown))

    if cleaning.peak > cleaning.threshold:
        runs = runs.only(runs.with_any_of(_Runs.of(probability > cleaning.peak)))

    if cleaning.smallest_piece > 1:
        piece = runs.components(diagonal=True)
        runs = runs.only((np.bincount(piece, runs.stop - runs.start) >= cleaning.smallest_piece)[piece])

    if cleaning.largest_hole:
        gaps = runs.gaps()
        hole = gaps.components(diagonal=False)
        kept = np.bincount(hole, gaps.stop - gaps.start) > cleaning.largest_hole
        kept[hole[0]] = True  # the first gap lies in the surround, and all that touches the frame's edge joins it
        runs = gaps.only(kept[hole]).gaps()
    return runs.draw(sure.shape)


def _centreline(mask: Mask) -> Mask:
    """Thin a mask by Zhang's method (1984): Lee's, see `measuring.thinning`, takes three times as long."""
    from skimage.morphology import skeletonize  # takes long to import

    line: Mask = skeletonize(mask)
    return line


def _thickened(line: Mask) -> Mask:
    """Add all neighbours of a mask's pixels to it, the diagonal ones, too."""
    padded = np.pad(line, 1)
    rows = padded[:-2] | padded[1:-1] | padded[2:]
    return rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:]


class _Runs(NamedTuple):
    """The runs of a mask, in the order of its rows.

    The mask is surrounded by background: one row above, one below, and one pixel after each row, which keeps the runs
    of different rows apart. Pixels of the surrounded mask are numbered row by row.

    Attributes
    ----------
    start, stop : numpy.ndarray of intp
        Number of each run's first pixel, and of the one after its last.
    width, size : int
        Pixels of a row and of the whole mask, with the surround.
    """

    start: Integers
    stop: Integers
    width: int
    size: int

    @classmethod
    def of(cls, mask: Mask) -> "_Runs":
        """Return the runs of a mask."""
        padded = np.pad(mask, ((1, 1), (0, 1)))
        flat = padded.ravel()
        edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
        return cls(edges[::2], edges[1::2], padded.shape[1], padded.size)

    def only(self, chosen: Mask) -> "_Runs":
        """Return the chosen runs."""
        return self._replace(start=self.start[chosen], stop=self.stop[chosen])

    def with_any_of(self, seeds: "_Runs") -> Mask:
        """Return which runs belong to a piece that contains one of the seeds. Each seed lies within one of the runs."""
        piece = self.components(diagonal=True)
        seeded = np.zeros(len(piece), np.bool_)
        seeded[piece[np.searchsorted(self.start, seeds.start, "right") - 1]] = True
        return seeded[piece]

    def gaps(self) -> "_Runs":
        """Return the runs of the background; through the surround they continue into the next row."""
        start = np.concatenate([[0], self.stop])
        stop = np.concatenate([self.start, [self.size]])
        return self._replace(start=start, stop=stop).only(start < stop)

    def components(self, *, diagonal: bool) -> Integers:
        """Return the number of each run's component, from 0.

        A run touches those of the row above that begin before its end and end after its start, both moved up by one
        row. As runs are sorted, these are consecutive: from `first` to `last`.
        """
        near = int(diagonal)
        first = np.searchsorted(self.stop + self.width + near, self.start, "right")
        last = np.searchsorted(self.start + self.width - near, self.stop, "left")
        counts = np.maximum(last - first, 0)
        ends = np.concatenate([[0], np.cumsum(counts)])
        above = np.arange(ends[-1]) + np.repeat(first - ends[:-1], counts)
        graph = csr_array((np.ones(len(above), np.int8), above, ends), shape=(len(counts), len(counts)))
        return connected_components(graph, directed=False)[1].astype(np.intp)  # type: ignore[no-any-return]

    def draw(self, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
        """Return the mask, uint8 0 and 1, without the surround."""
        edges = np.concatenate([[0], np.stack([self.start, self.stop], axis=1).ravel(), [self.size]])
        values = np.arange(len(edges) - 1, dtype=np.uint8) % 2
        flat = np.repeat(values, np.diff(edges))
        return flat.reshape(shape[0] + 2, shape[1] + 1)[1:-1, :-1]
