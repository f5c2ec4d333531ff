"""Tiles of a frame, and how their results are put together.

A network sees a large frame tile by tile. Each tile yields its middle, and sees a margin around it: a pixel's result
hardly depends on what is further away. The middles lie side by side on a grid that starts at the frame's origin, every
`tile - overlap` pixels: it depends on the frame's origin and on the model only, never on the part of the frame that is
wanted. So every pixel's result comes from one tile, and parts of a frame made of whole middles share no tile.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Span(NamedTuple):
    """A tile along one axis, in pixels of the frame.

    Attributes
    ----------
    start, stop : int
        Its first pixel, and the one after its last.
    first, last : int
        The first pixel of its middle, and the one after the middle's last.
    """

    start: int
    stop: int
    first: int
    last: int


class Tile(NamedTuple):
    """A tile of a frame."""

    rows: Span
    columns: Span


def spans(length: int, tile: int, overlap: int) -> Iterator[Span]:
    """Yield the tiles along an axis of `length` pixels.

    Parameters
    ----------
    length, tile, overlap : int
        In pixels; neighbours overlap by `overlap`, which is even and at most half of `tile`.
    """
    if length <= tile:
        yield Span(0, length, 0, length)
        return
    margin = overlap // 2
    for first in range(0, length, tile - overlap):
        last = first + tile - overlap
        if last + margin >= length:  # it sees all that is left
            yield Span(max(first - margin, 0), length, first, length)
            return
        yield Span(max(first - margin, 0), last + margin, first, last)


def tile_grid(rows: Iterable[Span], columns: Iterable[Span]) -> list[Tile]:
    """Return the tiles of a frame, row by row, from its tiles along y and along x."""
    across = list(columns)
    return [Tile(down, one) for down in rows for one in across]


def apply_tiled(
    function: Callable[[Tensor, Tile], Tensor],
    frames: Tensor,
    tiles: Iterable[Tile],
    stride: int,
    origin: tuple[int, int] = (0, 0),
) -> Tensor:
    """Apply a function tile by tile and put the middles of the results together.

    Parameters
    ----------
    function : callable
        Maps (N, 1, h, w) to the same shape. Both h and w are multiples of `stride`: tiles are enlarged by reflection.
    frames : Tensor
        Float (N, 1, H, W): whole frames, or the part of them in which the tiles lie.
    tiles : iterable of Tile
        Tiles of the whole frame, in the order of `tile_grid`.
    stride : int
        In pixels.
    origin : tuple of int
        Row and column of the whole frame at which `frames` begins.

    Returns
    -------
    Tensor
        Float32 (N, 1, H, W), on the device of `frames`; 0 outside of the tiles' middles.
    """
    result = torch.zeros_like(frames, dtype=torch.float32)
    for tile in tiles:
        rows = slice(tile.rows.start - origin[0], tile.rows.stop - origin[0])
        columns = slice(tile.columns.start - origin[1], tile.columns.stop - origin[1])
        output = function(pad_to_multiple(frames[:, :, rows, columns], stride), tile)
        below, right = tile.rows.first - tile.rows.start, tile.columns.first - tile.columns.start
        height, width = tile.rows.last - tile.rows.first, tile.columns.last - tile.columns.first
        top, left = tile.rows.first - origin[0], tile.columns.first - origin[1]
        middle = output[:, :, below : below + height, right : right + width]
        result[:, :, top : top + height, left : left + width] = middle.to(result)
    return result


def pad_to_multiple(frames: Tensor, stride: int) -> Tensor:
    """Enlarge (N, 1, H, W) at the bottom and the right, by reflection, to multiples of `stride`."""
    height, width = frames.shape[2:]
    below, right = -height % stride, -width % stride
    # PyTorch can't reflect more pixels than there are.
    mode = "reflect" if below < height and right < width else "replicate"
    return F.pad(frames, (0, right, 0, below), mode=mode)
