"""Doubtful spots: broad doubt comes first, and outlines of sure vessels last."""

import numpy as np
import pytest

from napari_darl import doubtful_spots
from napari_darl.errors import InputError


def frame() -> np.ndarray:
    """A sure vessel with a soft outline, a faint vessel, and something fainter that the mask leaves out."""
    probability = np.full((80, 100), 0.01, np.float32)
    probability[20:27] = 0.99
    probability[[19, 27]] = 0.5
    probability[40:46, 20:60] = 0.7
    probability[60:66, 40:80] = 0.4
    probability[70:76, 10:30] = 0.3
    return probability


def test_the_broadest_doubt_comes_first() -> None:
    spots = doubtful_spots(frame())
    assert 60 <= spots[0][0] < 66  # 0.4 is nearer to 0.5 than 0.7 is
    sides = [
        next(n for n, rows in enumerate(((19, 28), (40, 46), (60, 66))) if rows[0] <= y < rows[1]) for y, _ in spots
    ]
    assert sides.index(1) < sides.index(0) if 0 in sides else 1 in sides
    assert not any(70 <= y < 76 for y, _ in spots)  # far below the threshold


def test_spots_follow_the_threshold_and_are_bounded_and_apart() -> None:
    assert (
        70 <= doubtful_spots(frame(), 0.35, most=1)[0][0] < 76 or 60 <= doubtful_spots(frame(), 0.35, most=1)[0][0] < 66
    )
    spots = doubtful_spots(frame(), most=4)
    assert len(spots) == 4
    gaps = np.abs(spots[:, None] - spots[None]).max(-1) + np.eye(4) * 99
    assert gaps.min() >= 8


def test_a_sure_frame_has_no_spots() -> None:
    assert doubtful_spots(np.zeros((20, 30), np.float32)).shape == (0, 2)
    assert doubtful_spots(np.ones((20, 30), np.float32)).shape == (0, 2)


@pytest.mark.parametrize(("shape", "threshold"), [((2, 8, 8), 0.5), ((8, 8), 0.0), ((8, 8), 1.0)])
def test_invalid_values_are_refused(shape: tuple[int, ...], threshold: float) -> None:
    with pytest.raises(InputError):
        doubtful_spots(np.zeros(shape, np.float32), threshold)
