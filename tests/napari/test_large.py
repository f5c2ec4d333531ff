"""Large frames, which appear part by part."""

from typing import Any

import dask.array as da
import numpy as np
import pytest
from napari import settings
from windows import Window

from napari_darl._napari.segmenting.segmenter import Segmenter
from napari_darl.inference.segment import segment
from napari_darl.samples import sample_angiogram

SIDE = 64  # of a tile, so that a small frame counts as large


@pytest.fixture
def large(window: Window) -> Any:
    """The widget, and a dask layer of many parts whose lower right is in view."""
    settings.get_plugin_settings("napari-darl").segmenting.tile_size = SIDE
    frame = sample_angiogram()[100:292, 150:406]
    layer = window.viewer.add_image(da.from_array(frame, chunks=(100, 100)), name="slide")
    window.viewer.scene.camera.center = (180, 240)
    widget = window.open_segment()
    widget.resize_factor.setValue(1.0)
    assert layer in window.viewer.layers
    return frame, widget


def test_parts_appear_when_ready_and_add_up_to_the_whole(window: Window, large: Any) -> None:
    frame, widget = large
    widget.segment()
    window.wait(lambda: len(window.viewer.layers) == 2)
    mask, seen = window.viewer.layers[1], []

    def look() -> bool:
        seen.append((mask.data.any(), mask.data[:96, :128].any()))
        return not window.busy()

    window.wait(look)
    assert (True, False) in seen  # what the viewer shows comes first
    np.testing.assert_array_equal(mask.data, segment(frame, tile=SIDE, resize=1.0))
    widget.cleaning.controls["smallest_piece"].setValue(200)
    window.wait(lambda: mask.data.sum() < segment(frame, tile=SIDE, resize=1.0).sum())


def test_a_threshold_chosen_while_parts_come_in_holds_for_all(window: Window, large: Any) -> None:
    frame, widget = large
    widget.segment()
    window.wait(lambda: len(window.viewer.layers) == 2 and window.viewer.layers[1].data.any())
    widget.cleaning.controls["threshold"].setValue(0.9)
    assert window.busy()
    mask = window.viewer.layers[1]
    window.finish()
    np.testing.assert_array_equal(mask.data, segment(frame, tile=SIDE, resize=1.0, threshold=0.9))


def test_cancelling_keeps_the_finished_parts(window: Window, large: Any) -> None:
    _, widget = large
    widget.segment()
    window.wait(lambda: len(window.viewer.layers) == 2 and window.viewer.layers[1].data.any())
    Segmenter.of(window.viewer).cancel()
    window.finish()
    mask = window.viewer.layers[1].data
    assert mask.any()
    assert not mask[:64, :64].any()
    assert any("Stopped" in message for message in window.messages)
