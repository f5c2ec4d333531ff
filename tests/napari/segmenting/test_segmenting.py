"""Segmenting in napari: open, click, move sliders, paint, cancel."""

import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from qtpy.QtWidgets import QApplication
from windows import Window

from napari_darl import cli
from napari_darl._napari.segmenting.saving import save_mask
from napari_darl.darl.checkpoint import save_model
from napari_darl.darl.config import LITE
from napari_darl.darl.model import build
from napari_darl.inference.cleaning import clean_mask
from napari_darl.samples import sample_angiogram


def menu_action(viewer: Any, *titles: str) -> Any:
    """Find an entry in napari's menu bar."""
    menu = viewer.__wrapped__.window._qt_window.menuBar()
    for title in titles:
        menu.aboutToShow.emit() if hasattr(menu, "aboutToShow") else None
        action = next(action for action in menu.actions() if action.text().replace("&", "") == title)
        menu = action.menu()
    return action


def click_segment(viewer: Any) -> None:
    menu_action(viewer, "Layers", "Segment", "Segment vessels (DARL)").trigger()


def corners(layer: Any) -> np.ndarray:
    return np.array([layer.data_to_world(corner) for corner in np.array(layer.extent.data)])


@pytest.fixture
def movie() -> np.ndarray:
    """24 frames of an empty field in which a dark line appears, and grows from frame to frame."""
    rng = np.random.default_rng(0)
    frames = rng.normal(150, 4, (24, 96, 128)).clip(0, 255).astype(np.uint8)
    for number, frame in enumerate(frames):
        frame[46:50, 10 : 20 + 4 * number] //= 2
    return frames


def test_user_segments_adjusts_paints_and_segments_again(window: Window) -> None:
    viewer = window.viewer
    viewer.open_sample("napari-darl", "angiogram")
    click_segment(viewer)
    window.wait(lambda: len(viewer.layers) == 2 and not window.busy())
    image, mask = viewer.layers
    assert mask.name == "angiogram vessels"
    assert mask.data.dtype == np.uint8
    assert mask.data.flags.writeable
    assert 0.02 < mask.data.mean() < 0.2
    np.testing.assert_allclose(corners(mask), corners(image))
    assert mask.metadata["napari-darl"]["model"] == "default"

    widget = window.open_segment()
    before = mask.data.copy()
    widget.cleaning.controls["threshold"].setValue(0.9)
    assert mask.data.sum() < before.sum()  # at once: no event was processed in between
    widget.cleaning.controls["threshold"].setValue(0.5)
    np.testing.assert_array_equal(mask.data, before)
    widget.cleaning.controls["smallest_piece"].setValue(2000)
    assert mask.data.sum() < before.sum()

    kept = mask.data.copy()
    mask.paint((10, 10), 1)
    mask.undo()
    np.testing.assert_array_equal(mask.data, kept)
    assert not widget.cleaning.isEnabled()
    assert "left alone" in widget.state.text()
    mask.paint((20, 20), 1)
    kept = mask.data.copy()

    widget.button.click()
    assert widget.button.text() == "Cancel"
    window.wait(lambda: len(viewer.layers) == 3 and not window.busy())
    assert viewer.layers[2].name == "angiogram vessels [1]"
    assert widget.cleaning.isEnabled()
    widget.cleaning.controls["threshold"].setValue(0.7)
    np.testing.assert_array_equal(mask.data, kept)
    assert viewer.layers[2].metadata["napari-darl"]["threshold"] == 0.7


def test_a_further_run_reuses_an_unedited_mask(window: Window) -> None:
    viewer = window.viewer
    viewer.open_sample("napari-darl", "angiogram")
    widget = window.open_segment()
    for _ in range(2):
        widget.segment()
        window.wait(lambda: len(viewer.layers) == 2 and not window.busy())
    viewer.layers[1].name = "mine"
    widget.segment()
    window.wait(lambda: len(viewer.layers) == 3 and not window.busy())


def test_cancelling_keeps_the_segmented_frames_and_the_visible_one_comes_first(window: Window, movie: Any) -> None:
    viewer = window.viewer
    viewer.add_image(movie, name="movie", axis_labels=("t", "y", "x"))
    viewer.dims.set_current_step(0, 17)
    widget = window.open_segment()
    assert widget.frames.itemText(0) == "all: 24 t"
    widget.segment()
    window.wait(lambda: len(viewer.layers) == 2)
    result = widget._segmenter.result_on(viewer.layers[1])
    assert (17,) in result.done
    assert (16,) not in result.done
    widget.button.click()
    window.finish()
    assert 1 <= len(result.done) < 24
    assert window.messages == [f"Stopped: {len(result.done)} of 24 frames are segmented."]
    assert widget.button.text() == "Segment"
    widget.segment()
    window.wait(lambda: len(result.done) == 24 and not window.busy())
    assert len(viewer.layers) == 2


def test_the_threshold_reaches_all_frames_of_a_stack(window: Window, movie: Any) -> None:
    viewer = window.viewer
    viewer.add_image(movie[-6:], name="movie")
    widget = window.open_segment()
    widget.segment()
    window.wait(lambda: len(viewer.layers) == 2 and not window.busy())
    mask, result = viewer.layers[1], widget._segmenter.result_on(viewer.layers[1])
    widget.cleaning.controls["threshold"].setValue(0.97)
    window.wait(lambda: np.array_equal(mask.data, clean_mask(result.probability, widget.cleaning.value)))
    assert widget.cleaning.value.threshold == result.cleaning.threshold == 0.97


def test_frames_are_segmented_one_by_one(window: Window, movie: Any) -> None:
    viewer = window.viewer
    viewer.add_image(movie, name="movie")
    widget = window.open_segment()
    widget.frames.setCurrentIndex(1)
    for step in (20, 22):
        viewer.dims.set_current_step(0, step)
        widget.segment()
        window.finish()
    result = widget._segmenter.result_on(viewer.layers[1])
    assert result.done == {(20,), (22,)}
    assert len(viewer.layers) == 2


def test_frames_of_another_model_in_the_same_file_never_mix(window: Window, movie: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    viewer = window.viewer
    viewer.add_image(movie, name="movie")
    widget = window.open_segment()
    widget.frames.setCurrentIndex(1)
    for step in (20, 22):
        save_model(path, build(LITE, seed=step)[0].eval())
        widget.model.choose(path)
        widget.resize_factor.setValue(1)
        viewer.dims.set_current_step(0, step)
        widget.segment()
        window.finish()
    assert widget._segmenter.result_on(viewer.layers[1]).done == {(22,)}


def test_axis_labels_decide_which_axes_are_frames(window: Window, movie: Any) -> None:
    viewer = window.viewer
    viewer.add_image(np.moveaxis(movie[-3:], 0, 2), rgb=False, name="movie", axis_labels=("y", "x", "t"))
    viewer.add_image(movie[-3:], name="plain")
    widget = window.open_segment()
    for layer in tuple(viewer.layers)[:2]:
        widget.image.value = layer
        widget.segment()
        window.finish()
    turned, plain = (
        next(layer for layer in viewer.layers if layer.name == f"{name} vessels") for name in ("movie", "plain")
    )
    np.testing.assert_array_equal(np.moveaxis(turned.data, 2, 0), plain.data)


def test_painting_while_a_stack_is_segmented_is_kept(window: Window, movie: Any) -> None:
    viewer = window.viewer
    viewer.add_image(movie, name="movie")
    widget = window.open_segment()
    widget.segment()
    window.wait(lambda: len(viewer.layers) == 2)
    mask = viewer.layers[1]
    assert len(widget._segmenter.result_on(mask).done) < 24
    mask.selected_label = 3
    mask.paint((23, 5, 5), 3)
    window.finish()
    assert (mask.data[23] == 3).any()
    assert not (mask.data[23] == 1).any()
    assert mask.data[22].any()


def test_the_mask_equals_that_of_the_library(window: Window, movie: Any) -> None:
    from napari_darl import segment

    viewer = window.viewer
    viewer.add_image(255 - movie[23], name="bright")
    widget = window.open_segment()
    widget.vessels.setCurrentText("bright")
    widget.resize_factor.setValue(2.0)
    widget.segment()
    window.wait(lambda: len(viewer.layers) == 2 and not window.busy())
    np.testing.assert_array_equal(viewer.layers[1].data, segment(255 - movie[23], bright=True, resize=2.0))
    assert widget.cleaning.value.model_dump().items() <= viewer.layers[1].metadata["napari-darl"].items()


def test_the_copied_command_and_the_saved_mask_repeat_the_result(window: Window, tmp_path: Path) -> None:
    path = tmp_path / "two frames.tif"
    frame = sample_angiogram()
    tifffile.imwrite(path, np.stack([frame[60:156, 150:246], frame[180:276, 150:246]]), photometric="minisblack")
    window.viewer.open(str(path), plugin="napari")
    widget = window.open_segment(resize=1.25)
    widget.cleaning.controls["threshold"].setValue(0.4)
    widget.cleaning.controls["smallest_piece"].setValue(20)
    mask = window.segment(widget)
    assert mask.data.any(axis=(1, 2)).all()
    save_mask(mask, str(tmp_path / "saved.darl.tif"))
    widget.copy.click()
    words = shlex.split(QApplication.clipboard().text())
    assert words[:3] == ["napari-darl", "segment", str(path)]
    at = words.index("--output") + 1
    copied = [*words[:at], str(tmp_path / "a"), *words[at + 1 :]]
    like = [*words[:at], str(tmp_path / "b"), "--like", str(tmp_path / "saved.darl.tif")]
    for number, command in enumerate((copied, like)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", command)
            with pytest.raises(SystemExit) as ended:
                cli.main()
        assert not ended.value.code
        again = tifffile.imread(tmp_path / "ab"[number] / "two frames_mask.tif")
        np.testing.assert_array_equal(again == 255, mask.data == 1)

    widget.frames.setCurrentIndex(1)
    window.viewer.dims.set_current_step(0, 1)
    widget.copy.click()
    assert QApplication.clipboard().text().endswith("--frames 1")
    widget.region.value = "field of view"
    widget.copy.click()
    assert "--fov auto" in QApplication.clipboard().text()
    window.viewer.add_labels(np.ones((96, 96), np.uint8), name="drawn")
    widget.region.value = window.viewer.layers["drawn"].__wrapped__
    widget.copy.click()
    assert "region 'drawn'" in window.messages[-1]
