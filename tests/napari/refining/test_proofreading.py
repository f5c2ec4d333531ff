"""Keys for proofreading: pressed in a real window, undone by napari, and bound to nothing else."""

from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from windows import Window

from napari_darl import doubtful_spots
from napari_darl._napari.refining.proofreading import KEYS
from napari_darl._napari.segmenting.segmenter import Segmenter
from napari_darl.samples import sample_angiogram


@pytest.fixture
def shown(window: Window) -> tuple[Any, Any, Any]:
    """The widget, a mask of two frames with a pixel size, and its result; the second frame is visible."""
    frame = sample_angiogram()
    frames = np.stack([frame[60:188, 150:278], frame[180:308, 150:278]])
    window.viewer.add_image(frames, name="stack", scale=(1, 0.5, 0.5))
    widget = window.open_segment(resize=1)
    mask = window.segment(widget)
    window.viewer.dims.set_current_step(0, 1)
    return widget, mask, Segmenter.of(window.viewer).result_on(mask)


def press(window: Window, key: str) -> None:
    canvas = window.viewer.__wrapped__.window._qt_viewer.canvas.native
    window.qtbot.keyClick(canvas, getattr(Qt.Key, f"Key_{key}"))


def point_at(window: Window, row: int, column: int) -> None:
    window.viewer.cursor.position = (1, row * 0.5, column * 0.5)


def test_next_goes_through_the_spots_in_order_and_counts(window: Window, shown: tuple[Any, Any, Any]) -> None:
    widget, _, result = shown
    spots = doubtful_spots(result.probability[1], result.cleaning.threshold)
    for number, spot in enumerate(spots[:2], 1):
        press(window, "N")
        assert widget.refine.told.text() == f"Doubtful: {number} of {len(spots)}"
        np.testing.assert_allclose(window.viewer.scene.camera.center[-2:], spot * 0.5)
    widget.refine.spot.click()
    assert widget.refine.told.text().startswith("Doubtful: 3 ")
    window.viewer.dims.set_current_step(0, 0)
    press(window, "N")
    assert widget.refine.told.text().startswith("Doubtful: 1 ")


def test_a_piece_is_removed_and_a_gap_joined_and_both_are_undone(window: Window, shown: tuple[Any, Any, Any]) -> None:
    widget, mask, result = shown
    before = mask.data.copy()
    mask.data[1] = 0
    mask.data[1, 60:64, 20:50] = mask.data[1, 60:64, 60:90] = 1
    mask.data[1, 100:103, 20:30] = 1
    drawn = mask.data.copy()
    result.probability[1] = 0.1
    result.probability[1, 60:64] = 0.45

    point_at(window, 101, 25)
    press(window, "K")
    assert not mask.data[1, 100:103].any()
    assert mask.data[1, 60:64].sum() == 4 * 60
    assert "30 pixels" in widget.refine.told.text()
    point_at(window, 62, 55)
    press(window, "J")
    assert mask.data[1, 61:63, 20:90].all()
    assert result.claimed
    mask.undo()
    assert not mask.data[1, :, 50:60].any()
    mask.undo()
    np.testing.assert_array_equal(mask.data, drawn)
    np.testing.assert_array_equal(mask.data[0], before[0])


def test_keys_that_can_do_nothing_say_so(window: Window, shown: tuple[Any, Any, Any]) -> None:
    widget, mask, _ = shown
    mask.data[1] = 0
    for key, position, said in (("K", (5, 5), "No piece"), ("J", (5, 5), "No gap"), ("J", (-50, 5), "isn't over")):
        point_at(window, *position)
        press(window, key)
        assert said in widget.refine.told.text()
    window.viewer.layers.remove(mask)
    for key in KEYS:
        press(window, key)
        assert "no mask" in widget.refine.told.text()


def test_accepting_ticks_the_visible_frame(window: Window, shown: tuple[Any, Any, Any]) -> None:
    widget, _, result = shown
    press(window, "G")
    assert result.finished == {(1,)}
    assert widget.refine.finished.isChecked()
    window.viewer.dims.set_current_step(0, 0)
    assert not widget.refine.finished.isChecked()
    window.viewer.dims.set_current_step(0, 1)
    press(window, "G")
    assert not result.finished


def test_the_keys_are_free_in_napari(window: Window) -> None:
    from napari._app_model import get_app_model
    from napari.layers import Image, Labels
    from napari.utils.action_manager import action_manager
    from napari.utils.shortcuts import default_shortcuts

    taken = {str(key) for keys in default_shortcuts.values() for key in keys}
    taken |= {str(key) for keys in action_manager._shortcuts.values() for key in keys}
    taken |= {str(binding.keybinding) for binding in get_app_model().keybindings}
    viewer = window.viewer.__wrapped__
    for keymap in (type(viewer).class_keymap, viewer.keymap, Image.class_keymap, Labels.class_keymap):
        taken |= {str(key) for key in keymap}
    assert {"P", "M", "Ctrl+R"} <= taken
    assert not taken & KEYS.keys()
    window.open_segment()
    assert {str(key) for key in viewer.keymap} >= KEYS.keys()


def test_a_mask_of_another_shape_is_left_alone(window: Window, shown: tuple[Any, Any, Any]) -> None:
    widget, mask, result = shown
    mask.data = np.ones((9, 9), np.uint8)
    for key in KEYS:
        press(window, key)
        assert "another shape" in widget.refine.told.text()
    assert result.claimed
    widget.refine.refine()
    assert "Nothing is corrected" in window.messages[-1]
    window.qtbot.wait(1200)  # edits would be saved now
    assert mask.data.all()
