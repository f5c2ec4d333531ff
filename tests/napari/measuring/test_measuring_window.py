"""A user measures vessels: tables, paths, movies, stenoses, another mask."""

import csv
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measured_vessels import FORK, LESION, done, drawn, measured, open_measure
from qtpy.QtCore import QCoreApplication, Qt
from qtpy.QtWidgets import QScrollArea
from windows import Window

from napari_darl._napari.task import Task


def drag(points: Any, to: tuple[float, float]) -> None:
    """Drag the second point, as napari does: the first call says where the drag begins."""
    for place in (tuple(points.data[1]), to):
        points.__wrapped__._move({1}, place)


def summary(widget: Any) -> dict[str, str]:
    table = widget.vessels.summary
    return {table.item(row, 0).text(): table.item(row, 1).text() for row in range(table.rowCount())}


def test_no_count_is_left_if_measuring_ends_while_its_bar_is_redrawn(
    window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.viewer.add_labels(np.stack([FORK] * 3), name="mask")
    widget = open_measure(window)

    def redraw(*_: object) -> None:
        while widget._task is not None:  # napari processes events in it, here until the last
            QCoreApplication.sendPostedEvents()

    measured(window, widget)
    monkeypatch.setattr(Task, "show", redraw)
    measured(window, widget)  # adds no layers, whose events would clear the line
    assert len(widget.measurement.frames) == 3
    assert widget.state.text() == ""


def test_a_user_measures_a_mask_and_saves_its_tables(window: Window, tmp_path: Path) -> None:
    viewer = window.viewer
    place = {"scale": (0.2, 0.2), "translate": (3, 4), "rotate": 20, "units": ("mm", "mm")}
    mask = viewer.add_labels(FORK, name="mask", **place)
    widget = open_measure(window)
    assert "Lengths are in mm: a pixel is 0.2 x 0.2 mm" in widget.form.unit_line.text()
    found = measured(window, widget)
    assert found.unit == "mm"
    assert float(summary(widget)["branch points"]) == 1
    paths, points = viewer.layers["mask paths"], viewer.layers["mask branch points"]
    assert len(paths.data) == len(paths.features) == 3
    np.testing.assert_allclose(sorted(paths.features["diameter"]), [1, 1.2, 2], atol=0.06)
    assert {"frame"}.isdisjoint(paths.features.columns)
    assert set(paths.features["unit"]) == {"mm"}
    np.testing.assert_allclose(points.data, [[60.3, 80]], atol=3)
    np.testing.assert_allclose(paths.data_to_world(paths.data[0][0]), mask.data_to_world(paths.data[0][0]), atol=1e-9)
    assert viewer.layers.selection.active == paths
    assert len(np.unique(paths.edge_color, axis=0)) == 3

    widget.write_tables(tmp_path)
    with (tmp_path / "mask_segments.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 3
    told = json.loads((tmp_path / "mask_measured.json").read_text())
    assert (told["unit"], told["provenance"]["mask"]) == ("mm", "mask")
    assert told["provenance"]["pixel_size_from"] == "from the layer's scale"


def test_the_widget_fits_a_window_of_800_px_and_the_table_lies_below_the_picture(window: Window) -> None:
    window.viewer.add_labels(FORK, name="mask")
    widget = open_measure(window)
    measured(window, widget)
    assert 0 < widget.findChild(QScrollArea).widget().heightForWidth(380) < 700
    widget.vessels.features.click()
    table = next(inner for name, inner in window.viewer.window.dock_widgets.items() if "Features" in name)
    dock = table.parent()
    main = dock.parent()
    assert main.dockWidgetArea(dock) == Qt.DockWidgetArea.BottomDockWidgetArea
    main.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, dock)
    widget.vessels.features.click()
    assert main.dockWidgetArea(dock) == Qt.DockWidgetArea.LeftDockWidgetArea  # where the user has put it


def test_a_row_and_its_path_select_each_other(window: Window) -> None:
    viewer = window.viewer
    viewer.add_labels(FORK, name="mask")
    widget = open_measure(window)
    measured(window, widget)
    widget.vessels.features.click()
    paths = viewer.layers["mask paths"]
    docked = [dock for name, dock in viewer.window.dock_widgets.items() if "Features" in name]
    table = docked[0].table
    table.selectRow(1)
    window.wait(lambda: len(paths.selected_data) == 1)
    (number,) = paths.selected_data
    paths.selected_data = {2}
    window.wait(lambda: len(table.selectionModel().selectedRows()) == 1)
    model = table.model()
    assert model.mapToSource(table.selectionModel().selectedRows()[0]).row() == 2
    assert number in (0, 1, 2)
    assert np.argmax(paths.edge_width) == 2

    from napari_darl._napari.measuring.overlay import _select_clicked

    class Press:
        position = tuple(paths.data[0][len(paths.data[0]) // 2 - 1 : len(paths.data[0]) // 2 + 1].mean(axis=0))
        view_direction = None
        dims_displayed = (0, 1)

    _select_clicked(paths.__wrapped__, Press())
    assert set(paths.selected_data) == {0}


def test_a_click_on_a_path_shows_its_row(window: Window) -> None:
    mask = np.zeros((200, 60), bool)
    mask[3:-3:8, 5:55] = mask[4:-3:8, 5:55] = True
    window.viewer.add_labels(mask.astype(np.uint8), name="mask")
    widget = open_measure(window)
    measured(window, widget)
    widget.vessels.features.click()
    table = next(inner for name, inner in window.viewer.window.dock_widgets.items() if "Features" in name).table
    table.resize(300, 150)
    table.horizontalScrollBar().setValue(3)
    assert table.rowAt(table.viewport().height() - 1) < 20
    window.viewer.layers["mask paths"].selected_data = {20}
    window.wait(lambda: table.visualRect(table.model().index(20, 3)).bottom() <= table.viewport().height())
    assert table.horizontalScrollBar().value() == 3


def test_the_numbers_go_out_of_date_when_the_mask_is_edited(window: Window) -> None:
    viewer = window.viewer
    mask = viewer.add_labels(FORK.copy(), name="mask")
    widget = open_measure(window)
    measured(window, widget)
    assert widget.state.text() == ""
    mask.paint((20, 40), 1)
    window.wait(lambda: "OUT OF DATE: The mask was edited" in widget.state.text())
    measured(window, widget)
    assert widget.state.text() == ""
    assert [layer.name for layer in viewer.layers] == ["mask", "mask paths", "mask branch points"]
    mask.data[:, 100:] = 0  # without telling napari
    mask.refresh()
    window.wait(lambda: "OUT OF DATE" in widget.state.text())
    measured(window, widget)
    widget.form.pixel_size.own.setChecked(True)
    widget.form.pixel_size.side.setValue(0.5)
    window.wait(lambda: "The pixel size was changed" in widget.state.text())
    assert measured(window, widget).unit == "mm"
    viewer.layers["mask paths"].add_paths(np.array([[1.0, 1], [9, 9]]))  # it is the user's from now on
    measured(window, widget)
    assert len([layer for layer in viewer.layers if "paths" in layer.name]) == 2


def test_units_are_never_guessed(window: Window) -> None:
    viewer = window.viewer
    mask = viewer.add_labels(FORK, name="mask", scale=(0.3, 0.3))
    widget = open_measure(window)
    assert widget.form.unit_line.text().startswith("Lengths are in PIXELS")
    assert measured(window, widget).segments["diameter"].max() == pytest.approx(10, abs=0.2)
    mask.units = ("mm", "mm")
    assert "Lengths are in mm" in widget.form.unit_line.text()
    mask.metadata = {
        "pixel size from": "ImagerPixelSpacing: at the detector, where vessels appear larger than they are"
    }
    mask.scale = (0.31, 0.31)
    assert "PIXELS" in widget.form.unit_line.text()
    assert "detector" in widget.form.unit_line.text()
    widget.form.pixel_size.set(0.25, "mm", "from a catheter of 6 F")
    assert "from a catheter of 6 F" in widget.form.unit_line.text()


def test_a_movie_has_a_curve_with_a_cursor(window: Window) -> None:
    viewer = window.viewer
    movie = np.stack([drawn((60.3, 5, 60.3, end, 4)) for end in (20.3, 60.3, 100.3, 140.3, 80.3)])
    viewer.add_labels(movie, name="run", scale=(40, 0.2, 0.2), units=("ms", "mm", "mm"), axis_labels=("t", "y", "x"))
    widget = open_measure(window)
    assert widget.form.stack.currentText() == "movie"
    found = measured(window, widget)
    assert found.summary["peak_frame"] == 3
    assert found.summary["time_to_peak"] == 120
    assert "Most is filled in frame 3, 120 ms" in widget.vessels.peak.text()
    viewer.dims.set_current_step(0, 2)
    window.wait(lambda: done(window, widget))
    assert widget.vessels.curve.frame == 2
    paths = viewer.layers["run paths"]
    assert set(paths.data[0][:, 0]) == {2}
    widget.vessels.curve._cursor.setValue(4)
    window.wait(lambda: done(window, widget) and viewer.dims.current_step[0] == 4)
    window.wait(lambda: set(paths.data[0][:, 0]) == {4})
    assert float(summary(widget)["total length"]) == pytest.approx(0.2 * 83.3, rel=0.02)


def test_a_volume_is_measured_as_a_whole(window: Window) -> None:
    volume = np.zeros((20, 40, 60), np.uint8)
    volume[8:12, 18:22, 5:55] = 1
    window.viewer.add_labels(volume, name="volume", axis_labels=("z", "y", "x"))
    widget = open_measure(window)
    assert widget.form.stack.currentText() == "volume"
    found = measured(window, widget)
    assert found.segments["length"] == pytest.approx([50], rel=0.03)
    assert "vessel volume" in summary(widget)
    widget.form.stack.setCurrentText("movie")
    assert len(measured(window, widget).frames["frame"]) == 20


def test_a_stenosis_follows_its_points(window: Window, tmp_path: Path) -> None:
    viewer = window.viewer
    mask = viewer.add_labels(LESION, name="mask", scale=(0.2, 0.2), units=("mm", "mm"))
    widget = open_measure(window)
    tab = widget.stenosis
    tab.place.click()
    points = viewer.layers["stenosis points"]
    assert viewer.layers.selection.active == points
    assert points.mode == "add"
    points.add((62, 20))
    points.add((72, 130))
    window.wait(lambda: tab.found is not None and not tab.busy)
    assert tab.found.percent_diameter == pytest.approx(50, abs=5)
    assert "50 %" in tab.result.text() or "4" in tab.result.text()
    assert points.mode == "select"
    assert len(tab.plot.values) == len(tab.found.diameter)
    assert "stenosis path" in viewer.layers
    before = tab.found
    points.selected_data = {1}
    drag(points, (73, 145))
    window.wait(lambda: tab.found is not before and not tab.busy)
    assert tab.found.position[-1] > before.position[-1]

    class Move:
        type = "mouse_press"

    before, event = tab.found, Move()
    own = next(call for call in points.__wrapped__.mouse_drag_callbacks if isinstance(call, partial))
    following = own(points.__wrapped__, event)
    next(following)
    points.__wrapped__.data[1] = (70, 110)  # napari keeps this to itself until the button is released
    event.type = "mouse_move"
    next(following)
    window.wait(lambda: tab.found is not before and not tab.busy)
    assert tab.found.position[-1] < before.position[-1]
    tab.write(tmp_path / "curve.csv")
    with (tmp_path / "curve.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == len(tab.found.diameter)
    points.add((66, 40))  # the third replaces the first
    window.wait(lambda: len(points.data) == 2 and not tab.busy)
    drag(points, (5, 5))
    window.wait(lambda: "no vessel at" in tab.result.text())
    assert len(tab.plot.values) == 0
    viewer.layers.remove(mask)
    drag(points, (60, 60))
    window.qtbot.wait(50)


def test_a_catheter_calibrates(window: Window) -> None:
    y, x = np.mgrid[:120, :160]
    shadow = 2 * np.sqrt(np.maximum(5.0**2 - (y - 60.3 - 0.1 * (x - 80)) ** 2, 0))
    image = window.viewer.add_image(200 - 4 * shadow, name="image")
    window.viewer.add_labels((shadow > 0).astype(np.uint8), name="mask")
    widget = open_measure(window)
    tab = widget.stenosis
    tab.place_catheter.click()
    assert "Choose the image" in window.messages[-1]
    widget.form.image.value = image
    tab.place_catheter.click()
    points = window.viewer.layers["catheter points"]
    points.add((54.3, 20))
    points.add((66.3, 140))
    window.wait(lambda: widget.form.pixel_size.own.isChecked())
    assert widget.form.pixel_size.side.value() == pytest.approx(0.2, rel=0.05)
    assert "from a catheter of 6 F" in widget.form.unit_line.text()


def test_two_masks_are_compared(window: Window) -> None:
    viewer = window.viewer
    other = FORK.copy()
    other[:, 110:] = 0
    mask = viewer.add_labels(np.stack([FORK, FORK]), name="mask")
    expert = viewer.add_labels(np.stack([FORK, other]), name="expert")
    widget = open_measure(window)
    widget.form.masks.value = mask
    tab = widget.compare
    assert tab.other.value is expert.__wrapped__  # the only other one
    tab.other.value = None
    tab.button.click()
    assert "Two masks are needed" in window.messages[-1]
    tab.other.value = expert
    tab.button.click()
    window.wait(lambda: not window.busy() and tab.button.text() == "Compare")
    assert [tab.scores.item(row, 0).text() for row in range(3)] == ["0", "1", "mean"]
    assert float(tab.scores.item(0, 1).text()) == 1
    assert float(tab.scores.item(1, 4).text()) == 1  # recall
    assert float(tab.scores.item(1, 3).text()) < 1  # precision
    differences = viewer.layers["mask and expert: differences"].data
    assert set(np.unique(differences[0])) == {0, 1}
    assert set(np.unique(differences[1])) == {0, 1, 2}
    viewer.add_labels(FORK, name="small")
    tab.other.value = viewer.layers["small"]
    tab.button.click()
    assert "Choose masks of the same frames" in window.messages[-1]


def test_what_stands_in_the_way_is_one_sentence(window: Window) -> None:
    viewer = window.viewer
    widget = open_measure(window)
    for button in (widget.button, widget.vessels.features, widget.vessels.save, widget.stenosis.place):
        button.click()
    assert [message.split(".")[0] for message in window.messages] == [
        "There is no mask",
        "There is no table yet",
        "There is nothing to save yet",
        "There is no mask to measure in",
    ]
    viewer.add_image(np.zeros((50, 60)), name="other")
    viewer.add_labels(np.zeros((120, 160), np.uint8), name="empty")
    widget.form.image.value = viewer.layers["other"]
    widget.button.click()
    assert "Choose the image that the mask belongs to" in window.messages[-1]
    widget.form.image.value = None
    measured(window, widget)
    assert "holds no vessel" in window.messages[-1]
    assert len(viewer.layers) == 2


def test_a_mask_removed_meanwhile_and_a_closed_widget(window: Window) -> None:
    viewer = window.viewer
    movie = np.stack([FORK] * 60)
    mask = viewer.add_labels(movie, name="run")
    widget = open_measure(window)
    widget.button.click()
    viewer.layers.remove(mask)
    window.wait(lambda: not window.busy() and widget.button.text() == "Measure")
    assert "was removed" in widget.state.text()
    viewer.add_labels(movie, name="second")
    widget.button.click()
    window.wait(lambda: "frames measured" in widget.state.text())
    widget.button.click()
    window.wait(lambda: done(window, widget))
    assert "of 60 frames are measured" in window.messages[-1]
    assert 0 < len(widget.measurement.frames) < 60
    widget.button.click()
    viewer.window.remove_dock_widget(widget.parent())
    window.wait(lambda: not window.busy())
    viewer.add_labels(FORK, name="later")  # the closed widget hears nothing of it
    viewer.layers["second"].data = movie
    window.qtbot.wait(50)


def test_colours_and_labels_by_themselves(window: Window) -> None:
    viewer = window.viewer
    labels = np.zeros((120, 160), np.int32)
    labels[20:26, 10:150], labels[26:32, 10:150] = 2, 5
    image = viewer.add_image(np.stack([labels * 20.0] * 3, axis=-1).astype(np.uint8), rgb=True, name="image")
    viewer.add_labels(labels, name="labels")
    widget = open_measure(window)
    widget.form.image.value = image
    widget.form.separate.setChecked(True)
    found = measured(window, widget)
    assert found.segments["label"].tolist() == [2, 5]
    assert "diameter_profile" in found.segments
