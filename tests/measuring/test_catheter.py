"""Pixel sizes from drawn catheters."""

from typing import Any

import numpy as np
import pytest
from drawings import straight, vessel

from napari_darl import InputError, calibrate_by_catheter
from napari_darl.synthetic.phantom import render


@pytest.mark.parametrize("radius", [4, 6, 9])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_filled_catheter_within_three_percent(radius: float, sign: int) -> None:
    rng = np.random.default_rng(0)
    ends = straight(0.8, 80, 64.4)
    shadow = render(np.zeros((128, 128), np.float32), vessel(ends, radius, (128, 128)).thickness, absorption=0.02)
    image = sign * shadow + rng.normal(0, 0.02, shadow.shape)
    near = ends * 0.8 + ends[::-1] * 0.2 + rng.normal(0, 0.7, (2, 2))
    assert calibrate_by_catheter(image, near[0], near[1], 6) == pytest.approx(1 / radius, rel=0.035)


@pytest.mark.parametrize(
    ("start", "end", "french", "told"),
    [
        ((5, 5), (8, 8), 6, "apart or more"),
        ((5, 5), (40, 400), 6, "in the image"),
        ((5, 5), (40, 40), 0, "positive number"),
        ((5, 5, 5), (40, 40, 40), 6, "points (y, x)"),
        ((5, 5), (40, 40), 6, "No catheter was found"),
    ],
)
def test_what_is_no_catheter(start: Any, end: Any, french: float, told: str) -> None:
    image = np.random.default_rng(0).normal(size=(64, 64))
    with pytest.raises(InputError) as error:
        calibrate_by_catheter(image, start, end, french)
    assert told in str(error.value)
