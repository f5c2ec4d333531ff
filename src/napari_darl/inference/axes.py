"""From a window of the result back to the pixels that it is computed from, along one axis.

Along y, and likewise along x, a window of the result is computed in three steps:

1. pixels of the frame are resized to a part of the resized frame, the region (`resize`);
2. the tiles that cover this region (`tiles`) go through the network;
3. what they give, cut to what the window needs (`kept`), is resized back to the window (`resize_back`).

The steps are planned backwards: the window needs some resized pixels, these need whole tiles, and these need pixels of
the frame. A whole frame is a window like any other.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from napari_darl.frames.arrays import MIN_SIZE
from napari_darl.inference.resampling import Resampling
from napari_darl.inference.tiling import Span, spans


class Plan(NamedTuple):
    """How a window is computed along one axis.

    Attributes
    ----------
    resize : Resampling
        From the frame to the region.
    tiles : list of Span
        The tiles, in pixels of the resized frame.
    kept : slice
        Pixels of the region that the window is made of.
    resize_back : Resampling
        From these to the window.
    """

    resize: Resampling
    tiles: list[Span]
    kept: slice
    resize_back: Resampling

    @property
    def source(self) -> slice:
        """Pixels of the frame that are read."""
        return self.resize.source

    @property
    def region(self) -> slice:
        """Pixels of the resized frame that the tiles cover."""
        return slice(self.resize.start, self.resize.stop)


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
    resize_back = Resampling(axis.resized, axis.length, start, stop)
    needed = resize_back.source
    tiles = [
        span
        for span in spans(axis.resized, axis.tile, axis.overlap)
        if span.start < needed.stop and span.stop > needed.start
    ]
    resize = Resampling(axis.length, axis.resized, tiles[0].start, tiles[-1].stop)
    kept = slice(needed.start - resize.start, needed.stop - resize.start)
    return Plan(resize, tiles, kept, resize_back)
