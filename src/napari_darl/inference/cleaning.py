"""From probability to mask: threshold, hysteresis, small pieces and holes, fast enough to follow a slider.

Connected components are found on runs instead of pixels. A run is a horizontal stretch of vessel pixels in one row, and
a frame has some hundred times fewer runs than pixels. Runs of neighbouring rows are connected if their columns touch,
which sorted run ends tell by bisection; the components of this graph of runs are the pieces of the mask. Holes are the
components of the runs of the background. Filtering keeps or drops whole runs, and the mask is drawn at the end.
"""

from typing import NamedTuple

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
        How far below the threshold the probability of a pixel may lie that is connected, also diagonally, to one above
        it through other such pixels (Canny 1986); 0 switches hysteresis off.
    smallest_piece : int
        Pieces of fewer pixels are dropped. Pixels that touch diagonally belong to the same piece.
    largest_hole : int
        Holes of at most this many pixels are filled. A hole is enclosed by vessel on all sides and doesn't touch the
        edge of the frame.

    Examples
    --------
    >>> from napari_darl import Cleaning
    >>> Cleaning(threshold=0.6).updated(smallest_piece=30)
    Cleaning(threshold=0.6, hysteresis=0.0, smallest_piece=30, largest_hole=0)
    """

    threshold: float = Field(default=0.5, gt=0, lt=1)
    hysteresis: float = Field(default=0.0, ge=0, lt=1)
    smallest_piece: int = Field(default=0, ge=0)
    largest_hole: int = Field(default=0, ge=0)


def clean_mask(probability: npt.NDArray[np.float32], cleaning: Cleaning) -> npt.NDArray[np.uint8]:
    """Return the vessel mask of a probability: threshold with hysteresis, drop small pieces, then fill small holes.

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
    >>> probability = np.array([[0.9, 0.9, 0.1, 0.7], [0.4, 0.1, 0.1, 0.1]], np.float32)
    >>> clean_mask(probability, Cleaning(hysteresis=0.2, smallest_piece=2))
    array([[1, 1, 0, 0],
           [1, 0, 0, 0]], dtype=uint8)
    """
    if probability.ndim < 2:
        raise InputError(f"The probability has the shape {probability.shape}. Pass frames of shape (..., Y, X).")
    sure: Mask = probability > cleaning.threshold
    if cleaning == Cleaning(threshold=cleaning.threshold):
        return sure.view(np.uint8)
    mask = np.empty(probability.shape, np.uint8)
    for index in np.ndindex(probability.shape[:-2]):
        mask[index] = _clean(probability[index], sure[index], cleaning)
    return mask


def _clean(probability: npt.NDArray[np.float32], sure: Mask, cleaning: Cleaning) -> npt.NDArray[np.uint8]:
    """Clean one frame whose pixels above the threshold are `sure`."""
    runs = seeds = _Runs.of(sure)
    if cleaning.hysteresis:
        runs = _Runs.of(probability > max(cleaning.threshold - cleaning.hysteresis, 0))

    if cleaning.hysteresis or cleaning.smallest_piece > 1:
        piece = runs.components(diagonal=True)
        kept = np.bincount(piece, runs.stop - runs.start) >= cleaning.smallest_piece
        # A piece counts only if it contains a run of pixels above the threshold.
        seeded = np.zeros_like(kept)
        seeded[piece[np.searchsorted(runs.start, seeds.start, "right") - 1]] = True
        runs = runs.only((kept & seeded)[piece])

    if cleaning.largest_hole:
        gaps = runs.gaps()
        hole = gaps.components(diagonal=False)
        kept = np.bincount(hole, gaps.stop - gaps.start) > cleaning.largest_hole
        kept[hole[0]] = True  # the first gap lies in the surround, and all that touches the frame's edge joins it
        runs = gaps.only(kept[hole]).gaps()
    return runs.draw(sure.shape)


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
