"""Windows, widgets and progress bars that are opened and closed during a run leave nothing behind."""

import gc
import weakref
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from windows import Window

from napari_darl.samples import sample_angiogram

FRAME = sample_angiogram()[200:264, 200:296]
MOVIE = np.stack([FRAME] * 4)


def close_widget(window: Window, widget: Any) -> None:
    window.viewer.__wrapped__.window.remove_dock_widget(widget)
    window.qtbot.wait(20)
    gc.collect()


def set_threshold(widget: Any, value: float) -> None:
    widget.cleaning.controls["threshold"].setValue(value)


def threshold_of(layer: Any) -> float:
    return float(layer.metadata["napari-darl"]["threshold"])


def test_two_viewers_at_once(window: Window, request: pytest.FixtureRequest) -> None:
    others = request.getfixturevalue("make_napari_viewer")(strict_qt=True)
    widgets = []
    for viewer, number in ((window.viewer, 2), (others, 3)):
        viewer.add_image(np.stack([FRAME] * number), name="movie")
        widgets.append(viewer.window.add_plugin_dock_widget("napari-darl", "Segment vessels")[1])
        widgets[-1].segment()
    assert widgets[0]._segmenter is not widgets[1]._segmenter
    window.wait(lambda: not any(widget._segmenter.progress for widget in widgets))
    assert [len(viewer.layers) for viewer in (window.viewer, others)] == [2, 2]
    set_threshold(widgets[0], 0.7)
    assert threshold_of(window.viewer.layers[1]) == 0.7
    assert threshold_of(others.layers[1]) == 0.5
    assert widgets[1].cleaning.value.threshold == 0.5


def test_a_widget_closed_during_a_run_is_opened_again(window: Window, pause: Event) -> None:
    viewer = window.viewer
    viewer.add_image(MOVIE, name="movie")
    widget = window.open_segment(resize=1)
    set_threshold(widget, 0.4)
    widget.segment()
    gone = weakref.ref(widget)
    close_widget(window, widget)
    del widget
    window.wait(lambda: gc.collect() >= 0 and gone() is None)
    window.wait(lambda: len(viewer.layers) == 2)
    widget = window.open_segment(resize=1)
    assert widget.cleaning.value.threshold == 0.4
    assert widget.button.text() == "Cancel"
    assert widget.state.text() == "Segmented 1 of 4 frames..."
    pause.set()
    window.finish()
    np.testing.assert_array_equal(viewer.layers[1].data, MOVIE / np.float32(255) > 0.4)
    set_threshold(widget, 0.6)
    window.wait(lambda: np.array_equal(viewer.layers[1].data, MOVIE / np.float32(255) > 0.6))
    close_widget(window, widget)
    del widget
    assert window.open_segment(resize=1).cleaning.value.threshold == 0.6
    assert window.messages == []


def test_a_movie_is_scrolled_and_turned_while_it_is_segmented(window: Window, pause: Event) -> None:
    viewer = window.viewer
    viewer.add_image(MOVIE, name="movie")
    widget = window.open_segment(resize=1)
    widget.segment()
    window.wait(lambda: len(viewer.layers) == 2)
    for step in range(4):
        viewer.dims.set_current_step(0, step)
        set_threshold(widget, 0.4 + step / 100)
    viewer.dims.ndisplay = 3
    viewer.dims.order = (2, 0, 1)
    pause.set()
    window.finish()
    viewer.dims.ndisplay = 2
    set_threshold(widget, 0.6)
    window.wait(lambda: np.array_equal(viewer.layers[1].data, MOVIE / np.float32(255) > 0.6))
    assert window.messages == []


@pytest.mark.usefixtures("styled")
def test_themes_change_while_segmenting(window: Window, pause: Event) -> None:
    viewer = window.viewer
    viewer.add_image(MOVIE, name="movie")
    widget = window.open_segment(resize=1)
    widget.model.show_card()
    widget.segment()
    for theme in ("light", "dark", "system", "dark"):
        viewer.theme = theme
        window.qtbot.wait(20)
    pause.set()
    window.finish()
    assert viewer.layers[1].data.any(axis=(1, 2)).all()
    assert window.messages == []


@pytest.fixture
def seen(request: pytest.FixtureRequest, window: Window) -> Any:
    """A viewer whose window is shown."""
    return request.getfixturevalue("make_napari_viewer")(show=True, strict_qt=True)


def test_the_bar_in_the_activity_dock_counts_and_cancels(window: Window, seen: Any, pause: Event) -> None:
    from qtpy.QtWidgets import QProgressBar, QPushButton

    dialog = seen.window._qt_window._activity_dialog
    seen.add_image(MOVIE, name="movie")
    widget = seen.window.add_plugin_dock_widget("napari-darl", "Segment vessels")[1]
    widget.segment()
    window.wait(lambda: len(seen.layers) == 2)
    window.wait(dialog.isVisible)
    (bar,) = dialog.findChildren(QProgressBar)
    assert (bar.value(), bar.maximum()) == (1, 4)
    (cancel,) = (button for button in dialog.findChildren(QPushButton) if "ancel" in button.text())
    cancel.click()
    window.wait(lambda: not widget._segmenter.progress)
    assert not dialog.isVisible()
    assert window.messages == ["Stopped: 1 of 4 frames are segmented."]


def test_hundreds_of_quick_frames_all_arrive(window: Window, seen: Any, pause: Event) -> None:
    pause.set()
    seen.add_image(np.stack([255 - FRAME[:32, :32]] * 200), name="movie")
    widget = seen.window.add_plugin_dock_widget("napari-darl", "Segment vessels")[1]
    widget.segment()
    window.wait(lambda: not widget._segmenter.progress)
    np.testing.assert_array_equal(seen.layers[1].data, seen.layers[0].data / np.float32(255) > 0.5)
    assert len(widget._segmenter.result_on(seen.layers[1]).done) == 200
    assert window.messages == []


def use(window: Window, viewer: Any, pause: Event, moment: str) -> "tuple[weakref.ref[Any], weakref.ref[Any]]":
    """Segment up to the moment at which the viewer is closed; return the viewer and its segmenter."""
    viewer.add_image(MOVIE, name="movie")
    widget = viewer.window.add_plugin_dock_widget("napari-darl", "Segment vessels")[1]
    widget.segment()
    window.wait(lambda: len(viewer.layers) == 2)
    if moment == "idle":
        pause.set()
        window.wait(lambda: not widget._segmenter.progress)
        set_threshold(widget, 0.4)
        viewer.layers[1].paint((0, 5, 5), 1)
    if moment == "importing":
        widget.model.import_checkpoint(Path("nothing.pth"))
    return weakref.ref(viewer), weakref.ref(widget._segmenter)


@pytest.mark.parametrize("moment", ["idle", "running", "importing"])
def test_nothing_keeps_a_closed_viewer_alive(
    request: pytest.FixtureRequest, window: Window, pause: Event, moment: str
) -> None:
    viewer = request.getfixturevalue("make_napari_viewer")(strict_qt=True)
    references = use(window, viewer, pause, moment)
    viewer.close()
    del viewer

    def collected() -> bool:
        gc.collect()
        return not any(reference() for reference in references)

    window.wait(collected, timeout=10_000)
