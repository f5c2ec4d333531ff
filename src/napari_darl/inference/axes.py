"""Cells of the result, and the tiles from which they are computed, along one axis.

The result is cut into cells, which lie side by side on a grid that starts at the frame's origin. Each cell is computed
from one tile of the resized frame, in three steps:

1. pixels of the frame are resized to the tile (`resize`);
2. the tile goes through the network;
3. what it gives, cut to what the cell needs (`kept`), is resized back to the cell (`resize_back`).

A tile is larger than its cell by a margin on each side: a pixel's result hardly depends on what is further away. The
grid depends on the frame's length and on the model only, never on the window that is wanted. So a pixel has the same
value in any window, and windows made of whole cells share no work. A frame that is no larger than a tile is one cell.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from napari_darl.frames.arrays import MIN_SIZE
from napari_darl.inference.resampling import Resampling

_LONGEST = 4096  # px, of a cell and of a chunk, so that those of much reduced frames fit into memory
_CELLS = 2  # along each side of a chunk


class Cell(NamedTuple):
    """A cell, or the part of one that a window needs, along one axis.

    Attributes
    ----------
    pixels : slice
        Its pixels of the frame.
    resize : Resampling
        From the frame to the tile.
    needed : slice
        Pixels of the tile that the whole cell is made of.
    kept : slice
        Those that this part of it is made of.
    resize_back : Resampling
        From these to the cell.
    """

    pixels: slice
    resize: Resampling
    needed: slice
    kept: slice
    resize_back: Resampling

    @property
    def source(self) -> slice:
        """Pixels of the frame that are read."""
        return self.resize.source

    @property
    def tile(self) -> slice:
        """Pixels of the resized frame that the network sees."""
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
    tile, margin : int
        Length of the tiles, and by how much they are longer than their cells on each side, in resized pixels.
    stride : int
        Tiles begin at multiples of this, in resized pixels, so that the network reduces all tiles on one grid.
    """

    length: int
    resize: float
    tile: int
    margin: int
    stride: int

    @property
    def resized(self) -> int:
        """Its length after resizing, in pixels."""
        return self.length if self.resize == 1 else max(MIN_SIZE, round(self.length * self.resize))

    @property
    def whole(self) -> Resampling:
        """All of it, resized."""
        return Resampling(self.length, self.resized, 0, self.resized)

    @property
    def step(self) -> int:
        """Length of the cells, in pixels of the frame; the last one is shorter."""
        if self.resized <= self.tile:
            return self.length
        middle = self.tile - 2 * self.margin
        if self.resize != 1:  # then cells begin and end between multiples of the stride
            middle -= self.stride
        return min(max(int(middle / self.resize), 1), _LONGEST)

    @property
    def chunk(self) -> int:
        """Length of the chunks in which the result is best computed and stored, in pixels: whole cells."""
        cells = max(min(_CELLS, _LONGEST // self.step), -(-MIN_SIZE // self.step), 1)
        return min(cells * self.step, self.length)

    @property
    def count(self) -> int:
        """Number of cells."""
        return -(-self.length // self.step)

    def cells(self, window: slice) -> Iterator[Cell]:
        """Yield the cells, or parts of them, that make up a window."""
        for number in range(window.start // self.step, -(-window.stop // self.step)):
            first = number * self.step
            yield _cell(self, number, max(first, window.start), min(first + self.step, window.stop))

    def source(self, window: slice) -> slice:
        """Return the pixels of the frame that a window is computed from."""
        read = [cell.source for cell in self.cells(window)]
        return slice(read[0].start, read[-1].stop)


@lru_cache(maxsize=1024)
def _cell(axis: Axis, number: int, start: int, stop: int) -> Cell:
    """Return the part from `start` to `stop` of a cell."""
    first = number * axis.step
    # The tile depends on the whole cell, whatever part of it is wanted.
    needed = Resampling(axis.resized, axis.length, first, min(first + axis.step, axis.length)).source
    if axis.step == axis.length:
        resize = axis.whole
    else:
        begin = max(needed.start - axis.margin, 0) // axis.stride * axis.stride
        resize = Resampling(axis.length, axis.resized, begin, min(needed.stop + axis.margin, axis.resized))
    back = Resampling(axis.resized, axis.length, start, stop)

    def in_tile(pixels: slice) -> slice:
        return slice(pixels.start - resize.start, pixels.stop - resize.start)

    return Cell(slice(start, stop), resize, in_tile(needed), in_tile(back.source), back)
