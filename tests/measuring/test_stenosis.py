"""Drawn lesions beside their geometry."""

from typing import Any

import numpy as np
import pytest
from drawings import narrowed, vessel

from napari_darl import InputError, stenosis
from napari_darl.synthetic.phantom import render


@pytest.mark.parametrize("width", [16, 24])
@pytest.mark.parametrize("percent", [25, 50, 75])
def test_lesions_in_masks_and_in_images(width: int, percent: int) -> None:
    points, radii = narrowed(width, percent)
    drawn = vessel(points, radii, (128, 160), outline=0.75**0.5)
    whole = vessel(points, radii, (128, 160)).mask
    found = stenosis(whole, points[20], points[-20], pixel_size=0.2, unit="mm")
    assert found.percent_diameter == pytest.approx(percent, abs=4)
    assert found.reference_diameter == pytest.approx(0.2 * width, rel=0.04)
    assert found.minimum_diameter == pytest.approx(0.2 * width * (1 - percent / 100), abs=0.15)
    assert found.minimum_position == pytest.approx(found.position[-1] / 2, abs=1)
    assert 0.6 * 0.4 * width < found.lesion_length < 0.4 * width
    assert np.hypot(*(found.path[0] - points[20])) < 3
    image = render(np.zeros((128, 160), np.float32), drawn.thickness, absorption=0.03)
    in_image = stenosis(drawn.mask, points[20], points[-20], image)
    assert in_image.percent_diameter == pytest.approx(percent, abs=5)
    assert (found.source, in_image.source) == ("mask", "image")
    turned = stenosis(whole, points[-20], points[20])
    assert turned.percent_diameter == pytest.approx(found.percent_diameter, abs=1)


@pytest.mark.parametrize("percent", [25, 50, 75])
def test_lesions_in_noise(percent: int) -> None:
    points, radii = narrowed(20, percent)
    drawn = vessel(points, radii, (128, 160), outline=0.75**0.5)
    image = render(np.zeros((128, 160), np.float32), drawn.thickness, absorption=0.03)
    noise = np.random.default_rng(1).normal(0, 0.05, (5, 128, 160))
    found = [stenosis(drawn.mask, points[20], points[-20], image + part).percent_diameter for part in noise]
    assert found == pytest.approx([percent] * 5, abs=8)


def test_a_healthy_vessel_is_hardly_narrowed() -> None:
    points, radii = narrowed(16, 0)
    assert stenosis(vessel(points, radii, (128, 160)).mask, points[20], points[-20]).percent_diameter < 5


MASK = np.zeros((60, 100), bool)
MASK[10:20, 5:95] = MASK[40:50, 5:95] = True


@pytest.mark.parametrize(
    ("start", "end", "options", "told"),
    [
        ((15, 10), (45, 90), {}, "No vessel leads"),
        ((15, 10), (15, 10), {}, "are one on the vessel"),
        ((15, 40), (15, 44), {}, "px apart along the vessel"),
        ((30, 50), (15, 90), {}, None),
        ((30, -50), (15, 90), {}, "no vessel at y 30, x -50"),
        ((np.nan, 0), (15, 90), {}, "no vessel at"),
        ((15,), (15, 90), {}, "give y and x"),
        ((15, 10), (15, 90), {"image": np.zeros((60, 100))}, "shows no vessel"),
        ((15, 10), (15, 90), {"pixel_size": -1}, "pixel size"),
    ],
)
def test_points_without_a_path(start: Any, end: Any, options: dict[str, Any], told: str | None) -> None:
    if told is None:
        assert stenosis(MASK, start, end, **options).percent_diameter < 5
        return
    with pytest.raises(InputError) as error:
        stenosis(MASK, start, end, **options)
    assert told in str(error.value)


def test_only_single_frames() -> None:
    with pytest.raises(InputError, match="one frame"):
        stenosis(np.zeros((3, 20, 20), bool), (0, 0), (1, 1))
    with pytest.raises(InputError, match="no vessel at"):
        stenosis(np.zeros((20, 20), bool), (0, 0), (1, 1))
