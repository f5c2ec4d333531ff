"""From probability to mask: threshold, hysteresis, small pieces and holes, quick enough to follow a slider."""

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
    """How a probability becomes a mask; left as it is, by the threshold alone.

    Attributes
    ----------
    threshold : float
        Pixels of a greater probability are vessel; above 0 and below 1.
    hysteresis : float
        How far below the threshold a probability may lie and its pixel still be vessel, if a way over such pixels, also
        diagonally, leads to one above the threshold (Canny 1986); 0 switches it off.
    smallest_piece : int
        Pieces of fewer pixels are dropped; pixels that touch diagonally belong together.
    largest_hole : int
        Holes of up to so many pixels are filled; vessel encloses a hole on all sides, with no edge of the frame.
    """

    threshold: float = Field(default=0.5, gt=0, lt=1)
    hysteresis: float = Field(default=0.0, ge=0, lt=1)
    smallest_piece: int = Field(default=0, ge=0)
    largest_hole: int = Field(default=0, ge=0)


def clean_mask(probability: npt.NDArray[np.float32], cleaning: Cleaning) -> npt.NDArray[np.uint8]:
    """Make a vessel mask of a probability: threshold with hysteresis, then drop small pieces, then fill small holes.

    Parameters
    ----------
    probability : numpy.ndarray of float32, shape (..., Y, X)
        In [0, 1]; the frames of a stack are cleaned one by one.
    cleaning : Cleaning
        What to do.

    Returns
    -------
    numpy.ndarray of uint8, shape (..., Y, X)
        1 in vessels and 0 elsewhere.

    Raises
    ------
    InputError
        If the probability has no frame.
    """
    if probability.ndim < 2:
        raise InputError(f"The probability's shape is {probability.shape}: hand frames of shape (..., Y, X).")
    sure: Mask = probability > cleaning.threshold
    if cleaning == Cleaning(threshold=cleaning.threshold):
        return sure.view(np.uint8)
    mask = np.empty(probability.shape, np.uint8)
    for index in np.ndindex(probability.shape[:-2]):
        mask[index] = _clean(probability[index], sure[index], cleaning)
    return mask


def _clean(probability: npt.NDArray[np.float32], sure: Mask, cleaning: Cleaning) -> npt.NDArray[np.uint8]:
    runs = seeds = _Runs.of(sure)
    if cleaning.hysteresis:
        runs = _Runs.of(probability > max(cleaning.threshold - cleaning.hysteresis, 0))
    if cleaning.hysteresis or cleaning.smallest_piece > 1:
        piece = runs.components(diagonal=True)
        kept = np.bincount(piece, runs.stop - runs.start) >= cleaning.smallest_piece
        seeded = np.zeros_like(kept)
        seeded[piece[np.searchsorted(runs.start, seeds.start, "right") - 1]] = True
        runs = runs.only((kept & seeded)[piece])
    if cleaning.largest_hole:
        gaps = runs.gaps()
        hole = gaps.components(diagonal=False)
        kept = np.bincount(hole, gaps.stop - gaps.start) > cleaning.largest_hole
        kept[hole[0]] = True  # the first gap is the frame's surround
        runs = gaps.only(kept[hole]).gaps()
    return runs.draw(sure.shape)


class _Runs(NamedTuple):
    """The horizontal runs of a mask, row by row: far fewer than its pixels, which makes components quick.

    `start` and `stop` count along the rows of the mask within a surround: one pixel after each row, which keeps rows
    apart, and a row above and one below. `width` is a row's length and `size` that of all rows, both with the surround.
    """

    start: Integers
    stop: Integers
    width: int
    size: int

    @classmethod
    def of(cls, mask: Mask) -> "_Runs":
        """Find the runs of a mask."""
        padded = np.pad(mask, ((1, 1), (0, 1)))
        flat = padded.ravel()
        edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
        return cls(edges[::2], edges[1::2], padded.shape[1], padded.size)

    def only(self, chosen: Mask) -> "_Runs":
        """Keep some of the runs."""
        return self._replace(start=self.start[chosen], stop=self.stop[chosen])

    def gaps(self) -> "_Runs":
        """Turn to what lies between the runs and goes on through the surround from one row to the next."""
        start = np.concatenate([[0], self.stop])
        stop = np.concatenate([self.start, [self.size]])
        return self._replace(start=start, stop=stop).only(start < stop)

    def components(self, *, diagonal: bool) -> Integers:
        """Tell each run's component, numbered from 0, by the graph of the runs that touch in neighbouring rows."""
        near = int(diagonal)
        first = np.searchsorted(self.stop + self.width + near, self.start, "right")
        last = np.searchsorted(self.start + self.width - near, self.stop, "left")
        counts = np.maximum(last - first, 0)
        ends = np.concatenate([[0], np.cumsum(counts)])
        above = np.arange(ends[-1]) + np.repeat(first - ends[:-1], counts)
        graph = csr_array((np.ones(len(above), np.int8), above, ends), shape=(len(counts), len(counts)))
        return connected_components(graph, directed=False)[1].astype(np.intp)  # type: ignore[no-any-return]

    def draw(self, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
        """Draw the mask of 0 and 1, without the surround."""
        edges = np.concatenate([[0], np.stack([self.start, self.stop], axis=1).ravel(), [self.size]])
        values = np.arange(len(edges) - 1, dtype=np.uint8) % 2
        flat = np.repeat(values, np.diff(edges))
        return flat.reshape(shape[0] + 2, shape[1] + 1)[1:-1, :-1]
