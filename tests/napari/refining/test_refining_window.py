"""Correcting masks and refining the model in the window: keep, discard, stop, and what is left alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import binary_dilation
from windows import Window

from napari_darl import load_model
from napari_darl.models import model_info
from napari_darl.samples import sample_angiogram


@pytest.fixture
def segmented(window: Window, quick_refining: None) -> Any:
    """Three parts of a sample as a stack, segmented; the first two corrected by someone who draws vessels wider."""
    frame = sample_angiogram()
    stack = np.stack([frame[top : top + 128, left : left + 128] for top, left in ((60, 150), (180, 150), (180, 250))])
    window.viewer.add_image(stack, name="stack")
    widget = window.open_segment(resize=1)
    mask = window.segment(widget)
    for number in range(2):
        mask.data[number] = binary_dilation(mask.data[number], iterations=2)
        window.viewer.dims.set_current_step(0, number)
        widget.refine.finished.click()
    mask.paint((0, 2, 2), 1)
    return widget, mask


def test_a_refined_model_is_kept_and_used_on_another_stack(window: Window, segmented: Any) -> None:
    widget, mask = segmented
    edited = mask.data.copy()
    widget.refine.button.click()
    assert widget.refine.button.text() == "Stop"
    window.finish()
    refined, difference = window.viewer.layers[-2:]
    np.testing.assert_array_equal(mask.data, edited)
    np.testing.assert_array_equal(refined.data[:2], edited[:2])  # finished
    assert refined.data[2].sum() > 1.1 * mask.data[2].sum()
    np.testing.assert_array_equal(difference.data == 2, (refined.data == 1) & (mask.data == 0))

    path = widget.refine.keep_as("mine")
    assert load_model(path, "cpu").info["refined"]["label_free"] is False
    assert widget.model.model == str(path)
    assert not widget.refine.keep.isVisibleTo(widget)
    window.viewer.add_image(sample_angiogram()[:128, 100:228], name="another")
    widget.image.value = window.viewer.layers["another"]
    widget.resize_factor.setValue(1)
    used = window.segment(widget)
    assert used.metadata["napari-darl"]["model"] == path.name
    assert used.metadata["napari-darl"]["threshold"] == model_info(path)["threshold"]


def test_a_discarded_refinement_leaves_everything_as_it_was(window: Window, segmented: Any, tmp_path: Path) -> None:
    widget, mask = segmented
    layers, edited = list(window.viewer.layers), mask.data.copy()
    widget.refine.refine()
    window.finish()
    assert len(window.viewer.layers) == len(layers) + 2
    widget.refine.discard.click()
    assert list(window.viewer.layers) == layers
    np.testing.assert_array_equal(mask.data, edited)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_refining_can_be_stopped(window: Window, segmented: Any) -> None:
    widget, _ = segmented
    count, messages = len(window.viewer.layers), len(window.messages)
    widget.refine.refine()
    widget.refine.button.click()
    window.finish()
    window.wait(lambda: widget.refine.button.text() == "Refine")
    assert len(window.viewer.layers) == count
    assert len(window.messages) == messages
    assert "Stopped" in widget.refine.state.text()


def test_without_corrections_there_is_one_message(window: Window) -> None:
    window.viewer.add_image(sample_angiogram()[:128, 100:228], name="frame")
    widget = window.open_segment(resize=1)
    window.segment(widget)
    widget.refine.refine()
    assert len(window.messages) == 1
    assert not window.busy()
