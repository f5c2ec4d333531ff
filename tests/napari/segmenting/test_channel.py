"""The channel of colour images in the Segment widget."""

from pathlib import Path

import numpy as np
from windows import Window

from napari_darl import segment
from napari_darl.samples import sample_angiogram

FRAME = sample_angiogram()[:96, :112]


def test_a_red_signal(window: Window, untrained_path: Path) -> None:
    red = np.stack([FRAME, np.full_like(FRAME, 7), np.zeros_like(FRAME)], -1)
    window.viewer.add_image(red, rgb=True, name="red")
    widget = window.open_segment()
    widget.model.choose(untrained_path)
    assert not widget.channel.isHidden()
    widget.segment()
    window.finish()
    assert len(window.viewer.layers) == 1
    assert "Of its colours, red shows something" in window.messages[-1]
    widget.channel.setCurrentText("red")
    mask = window.segment(widget)
    np.testing.assert_array_equal(mask.data, segment(FRAME, untrained_path))
    assert mask.metadata["napari-darl"]["channel"] == "red"
    widget.image.value = window.viewer.__wrapped__.add_image(FRAME, name="grey")
    assert widget.channel.isHidden()
