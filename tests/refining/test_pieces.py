"""Removing and joining pieces of a mask."""

import numpy as np

from napari_darl.refining.pieces import bridge, piece_at


def test_a_piece_is_what_touches_also_diagonally() -> None:
    mask = np.zeros((6, 8), bool)
    mask[0, 0] = mask[1, 1] = mask[4, 6] = True
    assert np.argwhere(piece_at(mask, (1, 1))).tolist() == [[0, 0], [1, 1]]
    assert not piece_at(mask, (3, 3)).any()


def bent_vessel() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A vessel of 5 pixels that bends within a gap of its mask; a direct line across the gap has no probability."""
    columns = np.arange(120)
    rows = 40 + 12 * np.exp(-(((columns - 60) / 10) ** 2))
    away = np.abs(np.arange(90)[:, None] - rows)
    vessel = away <= 2.5
    probability = (0.3 * np.exp(-((away / 2) ** 2))).astype(np.float32)
    gap = np.abs(columns - 60) < 14
    return vessel, vessel & ~gap, probability


def test_a_gap_is_bridged_along_the_ridge_as_wide_as_its_ends() -> None:
    vessel, mask, probability = bent_vessel()
    added = bridge(mask, probability, (48, 60))
    assert added is not None
    assert not (added & mask).any()
    gap = vessel & ~mask
    dice = 2 * (added & gap).sum() / (added.sum() + gap.sum())
    assert dice > 0.78
    assert piece_at(mask | added, (40, 10))[40, 110]


def test_a_gap_within_one_piece_that_joins_far_away_is_bridged() -> None:
    mask = np.zeros((200, 160), bool)
    mask[20:23, 20:75] = mask[20:23, 85:140] = mask[180:183, 20:140] = True
    mask[20:183, 20:23] = mask[20:183, 137:140] = True  # a ring with a gap
    added = bridge(mask, np.where(mask, 0.9, 0.2).astype(np.float32), (21, 80))
    assert added is not None
    assert added[21, 75:85].all()


def test_without_two_pieces_near_there_is_nothing_to_join() -> None:
    mask = np.zeros((200, 200), bool)
    mask[10:13, 10:50] = mask[150:153, 10:50] = True
    probability = np.full(mask.shape, 0.1, np.float32)
    assert bridge(mask, probability, (12, 60)) is None
    assert bridge(mask, probability, (199, 199)) is None
