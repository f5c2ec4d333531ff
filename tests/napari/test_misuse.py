"""Users click twice, rename, delete, paint and replace arrays at the wrong moment; nothing of theirs is lost."""

from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from qtpy.QtWidgets import QScrollArea
from windows import Window

from napari_darl._napari.layers import NO_IMAGE
from napari_darl.inference.cleaning import clean_mask
from napari_darl.samples import sample_angiogram

FRAME = sample_angiogram()[200:264, 200:296]
MOVIE = np.stack([FRAME] * 4)


def run_command(window: Window) -> None:
    from napari_darl._napari.commands import segment_vessels

    segment_vessels(window.viewer)


def bare(layer: Any) -> Any:
    return getattr(layer, "__wrapped__", layer)


def segmented(window: Window, widget: Any) -> Any:
    widget.segment()
    window.finish()
    return window.viewer.layers[-1]


def set_threshold(widget: Any, value: float) -> None:
    widget.cleaning.controls["threshold"].setValue(value)


def threshold_of(layer: Any) -> float:
    return float(layer.metadata["napari-darl"]["threshold"])


def test_a_double_click_starts_and_a_later_click_cancels(window: Window, pause: Event) -> None:
    from qtpy.QtWidgets import QApplication

    window.viewer.add_image(MOVIE, name="movie")
    widget = window.open_segment(resize=1)
    widget.button.click()
    widget.button.click()
    window.wait(lambda: len(window.viewer.layers) == 2)
    assert widget.button.text() == "Cancel"
    window.qtbot.wait(QApplication.doubleClickInterval())
    widget.button.click()
    window.finish()
    assert window.messages == ["Stopped: 1 of 4 frames are segmented."]


def test_one_run_at_a_time_by_widget_and_command(window: Window) -> None:
    viewer = window.viewer
    viewer.add_image(MOVIE, name="a")
    widget = window.open_segment(resize=1)
    widget.segment()
    run_command(window)
    widget.segment()
    first, second = window.messages
    assert first == second
    assert "'a' is being segmented" in first
    window.finish()
    assert [layer.name for layer in viewer.layers] == ["a", "a vessels"]

    run_command(window)
    assert widget.button.text() == "Cancel"
    window.finish()
    assert widget.button.text() == "Segment"
    assert len(viewer.layers) == 2


def test_a_threshold_chosen_while_the_model_loads_holds(window: Window) -> None:
    viewer = window.viewer
    viewer.add_image(MOVIE, name="movie")
    widget = window.open_segment(resize=1)
    for threshold in (0.8, 0.3):
        widget.segment()
        set_threshold(widget, threshold)
        window.finish()
        assert widget.cleaning.value.threshold == threshold
        assert threshold_of(viewer.layers[1]) == threshold
        result = widget._segmenter.result_on(viewer.layers[1])
        expected = clean_mask(result.probability, widget.cleaning.value)
        np.testing.assert_array_equal(viewer.layers[1].data, expected)
    assert len(viewer.layers) == 2


def test_undo_is_independent_of_the_threshold(window: Window) -> None:
    viewer = window.viewer
    viewer.add_image(FRAME, name="a")
    widget = window.open_segment(resize=1)
    mask = segmented(window, widget)
    set_threshold(widget, 0.9)
    kept = mask.data.copy()
    mask.undo()
    mask.redo()
    np.testing.assert_array_equal(mask.data, kept)
    assert widget.cleaning.isEnabled()
    mask.fill((0, 0), 2)
    filled = mask.data.copy()
    mask.undo()
    np.testing.assert_array_equal(mask.data, kept)
    mask.redo()
    np.testing.assert_array_equal(mask.data, filled)
    assert not widget.cleaning.isEnabled()


def test_the_first_dab_of_a_brush_stroke_claims_the_mask(window: Window) -> None:
    window.viewer.add_image(FRAME, name="a")
    widget = window.open_segment(resize=1)
    mask = bare(segmented(window, widget))
    mask._begin_stroke()  # as the brush does when the button goes down
    mask.paint((5, 5), 1)
    assert not widget.cleaning.isEnabled()
    mask._commit_stroke()


def test_segmenting_one_frame_again_keeps_the_others(window: Window) -> None:
    viewer = window.viewer
    viewer.add_image(MOVIE, name="movie")
    widget = window.open_segment(resize=1)
    mask = segmented(window, widget)
    kept = mask.data.copy()
    assert kept.any(axis=(1, 2)).all()
    widget.frames.setCurrentIndex(1)
    segmented(window, widget)
    np.testing.assert_array_equal(mask.data, kept)
    assert len(viewer.layers) == 2


def test_layers_are_renamed(window: Window) -> None:
    viewer = window.viewer
    for name in ("a", "b"):
        viewer.add_image(FRAME, name=name)
    widget = window.open_segment(resize=1)
    widget.image.value = bare(viewer.layers["b"])
    widget.resize_factor.setValue(2)
    viewer.layers["b"].name = "c"
    viewer.layers["a"].name = "b"
    assert widget.image.value is bare(viewer.layers["c"])
    assert widget.image.native.currentText() == "c"
    assert widget.resize_factor.value() == 2
    widget.segment()
    viewer.layers["c"].name = "d"
    window.finish()
    mask = viewer.layers[-1]
    assert mask.name == "d vessels"
    assert mask.metadata["napari-darl"]["source"] == "c"
    viewer.layers["d"].name = "e"
    segmented(window, widget)
    assert [layer.name for layer in viewer.layers] == ["b", "e", "d vessels"]


@pytest.mark.usefixtures("styled")
def test_unusual_layer_names(window: Window) -> None:
    widget = window.open_segment(resize=1)
    content = widget.findChild(QScrollArea).widget()
    window.viewer.add_image(FRAME, name="a")
    width = content.minimumSizeHint().width()
    window.viewer.layers.clear()
    for name in ("long_name_of_a_microscope_" * 9, "R&D", "<b>x</b>", "äöü / \\ : ?", ""):
        window.viewer.add_image(FRAME, name=name)
        widget.resize_factor.setValue(1)
        mask = segmented(window, widget)
        assert mask.name == f"{window.viewer.layers[0].name} vessels"
        assert widget.cleaning.title().startswith(f"Mask: {mask.name}"[:8].replace("&", "&&"))
        mask.paint((5, 5), 1)
        assert mask.name in widget.state.text()
        assert content.minimumSizeHint().width() <= width
        window.viewer.layers.clear()


def test_a_mask_outlives_its_image(window: Window) -> None:
    viewer = window.viewer
    viewer.add_image(MOVIE, name="a")
    widget = window.open_segment(resize=1)
    mask = segmented(window, widget)
    del viewer.layers["a"]
    before = mask.data.sum()
    set_threshold(widget, 0.9)
    window.wait(lambda: mask.data.any(axis=(1, 2)).all() and mask.data[3].sum() < before / 4)
    kept = mask.data.copy()
    widget.segment()
    run_command(window)
    window.finish()
    no_image, no_choice = window.messages
    assert no_image == NO_IMAGE
    assert no_choice.startswith("'a vessels' is a Labels layer.")
    viewer.add_image(FRAME, name="a")
    widget.resize_factor.setValue(1)
    segmented(window, widget)
    assert [layer.name for layer in viewer.layers] == ["a vessels", "a", "a vessels [1]"]
    np.testing.assert_array_equal(mask.data, kept)


def test_several_selected_layers_are_refused(window: Window) -> None:
    viewer = window.viewer
    for name in "ab":
        viewer.add_image(FRAME, name=name)
    viewer.layers.selection = set(viewer.__wrapped__.layers)
    run_command(window)
    (message,) = window.messages
    assert message.startswith("Several layers are selected.")


def test_other_labels_layers_are_left_alone(window: Window) -> None:
    viewer = window.viewer
    viewer.add_image(FRAME, name="a")
    widget = window.open_segment(resize=1)
    mask = segmented(window, widget)
    theirs = viewer.add_labels(np.arange(64 * 96).reshape(64, 96), name="cells")
    assert bare(viewer.layers.selection.active) is bare(theirs)
    before = mask.data.sum()
    set_threshold(widget, 0.9)
    assert widget.cleaning.title() == "Mask: a vessels"
    assert mask.data.sum() < before
    np.testing.assert_array_equal(theirs.data, np.arange(64 * 96).reshape(64, 96))
    run_command(window)
    (message,) = window.messages
    assert message.startswith("'cells' is a Labels layer.")


@pytest.mark.parametrize("shape", [MOVIE.shape, (3, 20, 20), (20, 20)])
def test_an_array_assigned_to_the_mask_is_kept(window: Window, pause: Event, shape: tuple[int, ...]) -> None:
    viewer = window.viewer
    viewer.add_image(MOVIE, name="movie")
    widget = window.open_segment(resize=1)
    widget.segment()
    window.wait(lambda: len(viewer.layers) == 2)
    viewer.layers[1].data = np.full(shape, 5)
    assert not widget.cleaning.isEnabled()
    pause.set()
    window.finish()
    assert viewer.layers[1].data.shape == shape
    segmented(window, widget)
    assert viewer.layers[2].name == "movie vessels [1]"
    assert viewer.layers[2].data.any(axis=(1, 2)).all()
    assert (viewer.layers[1].data == 5).all()


def test_replacing_an_images_array(window: Window) -> None:
    viewer = window.viewer
    viewer.add_image(FRAME, name="a")
    widget = window.open_segment(resize=1)
    mask = segmented(window, widget)
    kept = mask.data.copy()
    viewer.layers["a"].data = np.concatenate([MOVIE, MOVIE], axis=2)
    assert widget.frames.itemText(0).startswith("all: 4")
    assert widget.frames.isEnabled()
    widget.resize_factor.setValue(1)
    assert segmented(window, widget).data.shape == (4, 64, 192)
    np.testing.assert_array_equal(mask.data, kept)
    viewer.layers["a"].axis_labels = ("t", "y", "x")
    assert widget.frames.itemText(0) == "all: 4 t"
    assert window.messages == []


def test_a_mask_is_saved_and_opened_again(window: Window, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from qtpy.QtWidgets import QFileDialog

    answers: Iterator[str] = iter(["", "vessels", "vessels", "file/vessels.darl.tif"])

    def answer(_: Any, __: str, name: str, *___: Any) -> tuple[str, str]:
        assert name == "movie vessels.darl.tif"
        chosen = next(answers)
        return str(tmp_path / chosen) if chosen else "", ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", answer)
    viewer = window.viewer
    place = {"scale": (2, 0.3, 0.3), "translate": (0, 5, 7), "units": ("s", "mm", "mm"), "axis_labels": ("t", "y", "x")}
    viewer.add_image(MOVIE, name="movie", **place)
    widget = window.open_segment(resize=1)
    assert not widget.save.isEnabled()
    mask = segmented(window, widget)
    set_threshold(widget, 0.6)
    window.wait(lambda: not widget._segmenter._timer.isActive())
    widget.save.click()
    assert not list(tmp_path.glob("*.tif"))
    widget.save.click()
    path = tmp_path / "vessels.darl.tif"
    written = path.read_bytes()
    widget.save.click()
    (tmp_path / "file").touch()
    widget.save.click()
    assert path.read_bytes() == written
    there, unwritable = window.messages
    assert there.startswith(f"{path} already exists.")
    assert str(tmp_path / "file" / path.name) in unwritable
    assert "File exists" in unwritable

    (again,) = viewer.open(path, plugin="napari-darl")
    np.testing.assert_array_equal(again.data, mask.data)
    assert again.name == "movie vessels [1]"
    for key in ("scale", "translate", "units", "axis_labels"):
        np.testing.assert_array_equal(getattr(again, key), getattr(mask, key))
    assert again.metadata["napari-darl"] == mask.metadata["napari-darl"]
    assert threshold_of(again) == 0.6
    viewer.layers.selection.active = again
    assert widget.cleaning.title() == "Mask: movie vessels"


@pytest.mark.parametrize("how", ["in place", "in a layer of the same array", "moved"])
def test_a_mask_changed_without_a_brush_is_kept(window: Window, how: str) -> None:
    viewer = window.viewer
    viewer.add_image(FRAME, name="a")
    widget = window.open_segment(resize=1)
    mask = segmented(window, widget)
    if how == "in place":
        mask.data[:9] = 5
    elif how == "moved":
        mask.translate = (3, 4)
    else:
        viewer.add_labels(mask.data, name="b").paint((5, 5), 7)
        viewer.layers.selection.active = mask
    kept = mask.data.copy()
    if how != "moved":
        widget.cleaning.controls["threshold"].setValue(0.9)
    widget.resize_factor.setValue(1.0)
    other = segmented(window, widget)
    assert bare(other) is not bare(mask)
    np.testing.assert_array_equal(mask.data, kept)
    assert tuple(mask.translate) == ((3, 4) if how == "moved" else (0, 0))


def test_replacing_an_images_array_ends_its_run(window: Window, pause: Event) -> None:
    viewer = window.viewer
    viewer.add_image(MOVIE, name="a")
    widget = window.open_segment(resize=1)
    widget.segment()
    window.wait(lambda: len(viewer.layers) == 2)
    viewer.layers["a"].data = np.concatenate([MOVIE, MOVIE], axis=2)
    pause.set()
    window.finish()
    (message,) = window.messages
    assert "pixels of 'a'" in message
    assert viewer.layers[1].data.shape == MOVIE.shape


def test_replacing_an_array_by_one_of_the_same_shape_clears_the_mask(window: Window) -> None:
    viewer = window.viewer
    viewer.add_image(MOVIE, name="a")
    widget = window.open_segment(resize=1)
    mask = segmented(window, widget)
    viewer.layers["a"].data = MOVIE[::-1].copy()
    widget.frames.setCurrentIndex(1)
    viewer.dims.set_current_step(0, 2)
    assert bare(segmented(window, widget)) is bare(mask)
    assert [bool(frame.any()) for frame in mask.data] == [number == 2 for number in range(len(MOVIE))]
