"""Chunks of an OME-Zarr pyramid: which of them can be filled once others are, and how."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt


class Block(NamedTuple):
    """A chunk of a level, and its place on the grid of the level's chunks."""

    level: int
    place: tuple[int, ...]


class Pyramid:
    """The chunks of all levels: those of the coarser ones can be filled once all that they cover are.

    Parameters
    ----------
    shapes : sequence of tuple of int
        Of the levels, the finest first.
    chunks : tuple of int
        Shape of the chunks of the finest level; those of the others are no larger than the level.
    """

    def __init__(self, shapes: Sequence[tuple[int, ...]], chunks: tuple[int, ...]) -> None:
        self._levels = [(shape, tuple(map(min, chunks, shape))) for shape in shapes]
        self._missing = Counter(above for level in range(len(shapes)) for block in self.blocks(level)
                                for above in self._above(block))  # fmt: skip

    def blocks(self, level: int) -> Iterator[Block]:
        """Yield the chunks of a level in the order of their rows."""
        for place in np.ndindex(*(-(-n // step) for n, step in zip(*self._levels[level], strict=True))):
            yield Block(level, place)

    def filled(self, block: Block) -> list[Block]:
        """Note that a chunk is filled; return those of the next level that it completes."""
        above = self._above(block)
        self._missing.subtract(above)
        return [one for one in above if not self._missing[one]]

    def _above(self, block: Block) -> list[Block]:
        """Return the chunks of the next level that cover a chunk."""
        if block.level + 1 == len(self._levels):
            return []
        *leading, row, column = block.place
        sides = zip((row, column), *(level[-2:] for level in self._levels[block.level]),
                    self._levels[block.level + 1][1][-2:], strict=True)  # fmt: skip
        spans = (
            range(number * step // 2 // coarser, ((min((number + 1) * step, n) + 1) // 2 - 1) // coarser + 1)
            for number, n, step, coarser in sides
        )
        return [Block(block.level + 1, (*leading, *over)) for over in product(*spans)]


def coarsen(path: Path, block: Block) -> None:
    """Fill a chunk of a coarser level from the level before it.

    A pixel of a mask is vessel if one of the four that it covers is, so that thin vessels stay; probabilities are
    averaged.

    Parameters
    ----------
    path : Path
        The OME-Zarr group.
    block : Block
        The chunk; not of level 0.
    """
    import zarr

    finer = zarr.open_array(path / str(block.level - 1), mode="r")
    coarser = zarr.open_array(path / str(block.level), mode="r+")
    sides = zip(block.place, coarser.chunks, coarser.shape, strict=True)
    *leading, rows, columns = (slice(i * step, min((i + 1) * step, n)) for i, step, n in sides)
    covered = (*leading, *(slice(2 * side.start, 2 * side.stop) for side in (rows, columns)))
    of_two = np.maximum if coarser.dtype.kind == "u" else _mean
    coarser[(*leading, rows, columns)] = _halved(np.asarray(finer[covered]), of_two)


def _halved(values: npt.NDArray[Any], of_two: Callable[..., npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Reduce each two by two pixels to one; a last row or column without a second counts twice."""
    *leading, height, width = values.shape
    even = np.pad(values, [(0, 0)] * len(leading) + [(0, height % 2), (0, width % 2)], mode="edge")
    # Pairs of rows, then of columns: a hundred times as fast as reducing an array of blocks.
    rows = of_two(even[..., ::2, :], even[..., 1::2, :])
    return of_two(rows[..., ::2], rows[..., 1::2])


def _mean(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.asarray((first + second) / 2, first.dtype)
