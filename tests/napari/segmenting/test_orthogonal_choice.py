"""The choice of all three axes, which the widget offers for volumes."""

import numpy as np
import pytest
from windows import Window

from napari_darl import segment_probability
from napari_darl._napari.layers import slice_distance


def volume() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (33, 40, 48)).astype(np.uint8)


@pytest.mark.parametrize(
    ("geometry", "expected"),
    [
        ({}, 1.0),
        ({"scale": (3, 0.5, 0.5), "units": ("um", "um", "um"), "axis_labels": ("z", "y", "x")}, 6.0),
        ({"scale": (1, 500, 500), "units": ("um", "nm", "nm")}, 2.0),
        ({"scale": (2, 1, 4), "axis_labels": ("y", "x", "z")}, 4 / 2**0.5),
        ({"axis_labels": ("t", "y", "x")}, None),
        ({"units": ("ms", "um", "um")}, None),
    ],
)
def test_the_distance_of_slices_is_that_of_the_layer(
    window: Window, geometry: dict[str, object], expected: float | None
) -> None:
    layer = window.viewer.add_image(volume(), **geometry)
    assert slice_distance(layer) == (expected if expected is None else pytest.approx(expected))
    assert slice_distance(window.viewer.add_image(volume()[0])) is None
    assert slice_distance(window.viewer.add_image(volume()[None])) is None


def test_a_volume_is_segmented_along_three_axes(window: Window, untrained_path: object) -> None:
    layer = window.viewer.add_image(volume(), scale=(2, 1, 1), name="volume")
    widget = window.open_segment()
    widget.model.choose(str(untrained_path))
    widget.resize_factor.setValue(1)
    assert not widget.orthogonal.isHidden()
    widget.orthogonal.setChecked(True)
    mask = window.segment(widget)
    bright = widget.vessels.currentText() == "bright"
    expected = segment_probability(
        layer.data, untrained_path, bright=bright, resize=1, orthogonal=True, slice_distance=2
    )
    np.testing.assert_array_equal(mask.data, expected > 0.5)
    assert 0 < mask.data.mean() < 1
    widget.frames.setCurrentIndex(1)
    assert not widget.orthogonal.isEnabled()
    window.viewer.add_image(volume()[0], name="frame")
    widget.image.value = window.viewer.layers["frame"]
    assert widget.orthogonal.isHidden()
    assert not window.messages
