"""Chunks of coarser levels are filled once all that they cover is, each once."""

from pathlib import Path

import numpy as np
import pytest
import zarr

from napari_darl.io.pyramid import Block, Pyramid, coarsen


@pytest.mark.parametrize(
    ("shape", "chunks"),
    [((601, 1301), (100, 150)), ((3, 700, 90), (2, 64, 90)), ((1, 1), (1, 1)), ((513, 7), (512, 7))],
)
def test_each_chunk_is_filled_once_and_after_all_that_it_covers(
    tmp_path: Path, shape: tuple[int, ...], chunks: tuple[int, ...]
) -> None:
    shapes = [shape]
    for _ in range(3):
        *leading, height, width = shapes[-1]
        shapes.append((*leading, (height + 1) // 2, (width + 1) // 2))
    rng = np.random.default_rng(0)
    values = (rng.random(shape) < 0.05).astype(np.uint8)
    group = zarr.create_group(tmp_path / "made")
    for level, of_level in enumerate(shapes):
        group.create_array(str(level), shape=of_level, chunks=tuple(map(min, chunks, of_level)), dtype=np.uint8)
    pyramid = Pyramid(shapes, chunks)
    waiting: list[Block] = list(pyramid.blocks(0))
    filled = []
    while waiting:
        block = waiting.pop(rng.integers(len(waiting)))
        if block.level:
            coarsen(tmp_path / "made", block)
        else:
            where = tuple(slice(i * step, (i + 1) * step) for i, step in zip(block.place, chunks, strict=True))
            group["0"][where] = values[where]
        filled.append(block)
        waiting += pyramid.filled(block)
    assert sorted(filled) == sorted(block for level in range(4) for block in pyramid.blocks(level))
    expected = values
    for level in range(1, 4):
        *_, height, width = expected.shape
        pad = [(0, 0)] * (expected.ndim - 2) + [(0, height % 2), (0, width % 2)]
        padded = np.pad(expected, pad)
        expected = np.max([padded[..., i::2, j::2] for i in (0, 1) for j in (0, 1)], axis=0)
        np.testing.assert_array_equal(group[str(level)][:], expected)
