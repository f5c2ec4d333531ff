"""From a window of the result back to the pixels that it is computed from, along one axis.

Along y, and likewise along x, a window of the result is computed in three steps:

1. pixels of the frame (`source`) are resized to a part of the resized frame (`region`);
2. the tiles that cover this part (`tiles`) go through the network;
3. what they give, cut to what the window needs (`kept`), is resized back to the window.

The steps are planned backwards: the window needs some resized pixels, these need whole tiles, and these need pixels of
the frame. A whole frame is a window like any other.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from scipy.sparse import csr_array

from napari_darl.frames.arrays import MIN_SIZE
from napari_darl.inference.resampling import resampling
from napari_darl.inference.tiling import Span, spans


class Plan(NamedTuple):
    """How a window is computed along one axis.

    Attributes
    ----------
    source : slice
        Pixels of the frame that are read.
    resize : scipy.sparse.csr_array or None, shape (region, source)
        Weights that bring them to the resized frame; None if nothing is resized.
    region : slice
        Pixels of the resized frame that the tiles cover.
    tiles : list of Span
        The tiles, in pixels of the resized frame.
    kept : slice
        Pixels of `region` that the window is made of.
    resize_back : scipy.sparse.csr_array or None, shape (window, kept)
        Weights that bring these to the window.
    """

    source: slice
    resize: csr_array | None
    region: slice
    tiles: list[Span]
    kept: slice
    resize_back: csr_array | None


@dataclass(frozen=True)
class Axis:
    """One axis of a frame.

    Attributes
    ----------
    length : int
        In pixels.
    resize : float
        Factor by which it is resized before the network.
    tile, overlap : int
        Length of the tiles and what neighbours share, in resized pixels.
    """

    length: int
    resize: float
    tile: int
    overlap: int

    @property
    def resized(self) -> int:
        """Its length after resizing, in pixels."""
        return self.length if self.resize == 1 else max(MIN_SIZE, round(self.length * self.resize))

    def plan(self, window: slice) -> Plan:
        """Return how to compute the pixels of `window`."""
        return _plan(self, window.start, window.stop)


@lru_cache(maxsize=256)
def _plan(axis: Axis, start: int, stop: int) -> Plan:
    needed, resize_back = resampling(axis.resized, axis.length, slice(start, stop))
    tiles = [
        span
        for span in spans(axis.resized, axis.tile, axis.overlap)
        if span.first < needed.stop and span.last > needed.start
    ]
    region = slice(tiles[0].start, tiles[-1].stop)
    source, resize = resampling(axis.length, axis.resized, region)
    kept = slice(needed.start - region.start, needed.stop - region.start)
    return Plan(source, resize, region, tiles, kept, resize_back)
