"""A folder in the window: listed, segmented, stepped through, edited and resumed, with the files of the shell."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
from command_line import run
from qtpy.QtCore import Qt
from windows import Window

from napari_darl import read_provenance, segment
from napari_darl._napari.segmenting.segmenter import Segmenter
from napari_darl.errors import FileError
from napari_darl.samples import sample_angiogram

FRAME = sample_angiogram()[:96, :112]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Four good images of several kinds and two bad ones."""
    folder = tmp_path / "images"
    folder.mkdir()
    iio.imwrite(folder / "a.png", FRAME)
    (folder / "b.png").write_bytes(b"no picture")
    tifffile.imwrite(
        folder / "c.tif",
        np.stack([FRAME, FRAME[::-1]]),
        photometric="minisblack",
        resolution=(50, 25),
        resolutionunit="CENTIMETER",
        metadata={"axes": "TYX"},
    )
    iio.imwrite(folder / "d.png", np.stack([FRAME[:, ::-1]] * 3, -1))
    np.save(folder / "e.npy", np.full((64, 64), 3.0))
    iio.imwrite(folder / "f.png", FRAME[::-1, ::-1])
    return folder


def opened(window: Window, images: Path, model: Path) -> Any:
    """Open the widget on a folder, with masks in `out` beside it; wait until all states are known."""
    widget = window.dock("Segment a folder")
    widget.model.choose(str(model))
    widget.folder.setText(str(images))
    widget.output.setText(str(images.parent / "out"))
    widget.list_images()
    window.wait(lambda: widget.session.count and len(widget.session.outcomes) == widget.session.count)
    window.finish()
    return widget


def states(widget: Any) -> list[str]:
    return [widget.images.topLevelItem(row).text(1) for row in range(widget.images.topLevelItemCount())]


def names(window: Window) -> list[str]:
    return [layer.name for layer in window.viewer.layers]


def test_all_are_segmented_as_by_the_shell(window: Window, images: Path, untrained_path: Path) -> None:
    widget = opened(window, images, untrained_path)
    assert states(widget) == ["to do"] * 6
    widget.button.click()
    assert widget.button.text() == "Cancel"
    window.finish()
    assert states(widget) == ["done", "failed", "done", "done", "failed", "done"]
    assert widget.button.text() == "Segment all"
    assert "4 done, 2 failed" in widget.state.text()
    assert "damaged" in widget.images.topLevelItem(1).toolTip(1)
    assert run("segment", images, "--output", images.parent / "shell", "--model", untrained_path) == 2
    for path in (images.parent / "shell").iterdir():
        np.testing.assert_array_equal(tifffile.imread(images.parent / "out" / path.name), tifffile.imread(path))
        assert read_provenance(images.parent / "out" / path.name) == read_provenance(path)
    assert run("segment", images, "--output", images.parent / "out", "--model", untrained_path) == 2


def test_images_without_vessels_are_told_once(window: Window, images: Path, untrained_path: Path) -> None:
    iio.imwrite(images / "d.png", np.stack([0 * FRAME, FRAME, 0 * FRAME], -1))
    widget = opened(window, images, untrained_path)
    widget.cleaning.value = widget.cleaning.value.updated(threshold=0.99)
    widget.list_images()
    window.finish()
    widget.button.click()
    window.finish()
    assert "4 done, 2 failed" in widget.state.text()
    window.wait(lambda: len(window.messages) == 2)
    alike, coloured = window.messages
    assert alike.startswith(f"3 images ({images / 'a.png'}, {images / 'c.tif'} and {images / 'f.png'}): No vessels")
    assert coloured.startswith(f"{images / 'd.png'}: No vessels were found. ")
    assert "Of its colours, green shows something" in coloured


def test_stepping_shows_masks_in_place_and_saves_edits(window: Window, images: Path, untrained_path: Path) -> None:
    widget = opened(window, images, untrained_path)
    session, viewer, out = widget.session, window.viewer.__wrapped__, images.parent / "out"
    widget.next.click()
    window.finish()
    assert names(window) == ["a", "a vessels"]
    mask = viewer.layers["a vessels"]
    np.testing.assert_array_equal(mask.data, segment(FRAME, untrained_path))
    assert states(widget)[:2] == ["done", "failed"]  # the next one was tried ahead

    mask.data[10:20, 30:40] = 1
    mask.refresh()
    expected = mask.data * np.uint8(255)
    window.qtbot.keyClick(viewer.window._qt_viewer.canvas.native, Qt.Key.Key_PageDown)
    window.finish()
    assert session.current == 1
    np.testing.assert_array_equal(tifffile.imread(out / "a_mask.tif"), expected)
    assert read_provenance(out / "a_mask.tif")["edited"]
    assert states(widget)[0] == "edited"
    assert "b.png is damaged" in widget.state.text()
    assert names(window) == []

    window.qtbot.keyClick(widget.folder, Qt.Key.Key_PageDown)
    window.finish()
    image, mask = viewer.layers["c"], viewer.layers["c vessels"]
    assert image.data.shape == mask.data.shape == (2, 96, 112)
    np.testing.assert_allclose(image.scale, mask.scale)
    np.testing.assert_allclose(mask.scale[1:], (400, 200))
    assert (
        [str(unit) for unit in mask.units]
        == [str(unit) for unit in image.units]
        == ["pixel", "micrometer", "micrometer"]
    )

    session.step(-1)
    window.finish()
    session.step(-1)
    window.finish()
    np.testing.assert_array_equal(viewer.layers["a vessels"].data, expected // 255)
    before = (out / "a_mask.tif").stat().st_mtime_ns
    widget.button.click()
    window.finish()
    assert (out / "a_mask.tif").stat().st_mtime_ns == before
    assert run("segment", images, "--output", out, "--model", untrained_path, "--overwrite") == 2
    np.testing.assert_array_equal(tifffile.imread(out / "a_mask.tif"), expected)


def test_a_stroke_is_saved_a_second_later(window: Window, images: Path, untrained_path: Path) -> None:
    widget = opened(window, images, untrained_path)
    out = images.parent / "out"
    widget.session.show(0)
    window.finish()
    mask = window.viewer.__wrapped__.layers["a vessels"]
    for rows in (slice(0, 5), slice(5, 9)):  # the second stroke follows the first one's save
        mask.data_setitem((np.repeat(np.arange(rows.start, rows.stop), 2), np.tile([4, 5], rows.stop - rows.start)), 1)
        expected = mask.data * np.uint8(255)
        window.wait(lambda wanted=expected: np.array_equal(tifffile.imread(out / "a_mask.tif"), wanted))
    window.wait(lambda: states(widget)[0] == "edited")
    assert read_provenance(out / "a_mask.tif")["edited"]
    before = (out / "a_mask.tif").stat().st_mtime_ns
    widget.session.step(1)
    window.finish()
    assert (out / "a_mask.tif").stat().st_mtime_ns == before


def test_a_stroke_that_cannot_be_saved_is_told_once(
    window: Window, images: Path, untrained_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    widget = opened(window, images, untrained_path)
    widget.session.show(0)
    window.finish()

    def full(*_: Any) -> None:
        raise FileError("The disk is full.")

    monkeypatch.setattr("napari_darl.batch.results.write_edited", full)
    mask = window.viewer.__wrapped__.layers["a vessels"]
    mask.data_setitem((np.array([3]), np.array([4])), 1)
    window.wait(lambda: window.messages == ["The disk is full."])
    widget.next.click()
    assert widget.session.current == 0
    assert window.messages == ["The disk is full."]
    monkeypatch.undo()
    widget.next.click()
    window.finish()
    assert widget.session.current == 1


def test_edits_are_saved_when_the_layer_goes_or_the_window_closes(
    window: Window, images: Path, untrained_path: Path
) -> None:
    widget = opened(window, images, untrained_path)
    out = images.parent / "out"
    for number, name in ((0, "a"), (3, "d")):
        widget.session.show(number)
        window.finish()
        mask = window.viewer.__wrapped__.layers[f"{name} vessels"]
        mask.data[:5] = 1 - mask.data[:5]
        expected = mask.data * np.uint8(255)
        if name == "a":
            window.viewer.__wrapped__.layers.remove(mask)
        else:
            window.viewer.__wrapped__.layers.clear()
        np.testing.assert_array_equal(tifffile.imread(out / f"{name}_mask.tif"), expected)
        assert read_provenance(out / f"{name}_mask.tif")["edited"]


def test_masks_of_others_are_shown_and_left(window: Window, images: Path, untrained_path: Path) -> None:
    out = images.parent / "out"
    out.mkdir()
    tifffile.imwrite(out / "a_mask.tif", np.full((96, 112), 100, np.uint8))
    assert run("segment", images / "f.png", "--output", out, "--model", untrained_path, "--threshold", 0.3) == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    widget = opened(window, images, untrained_path)
    assert (states(widget)[0], states(widget)[5]) == ("left as it is", "left as it is")
    widget.session.show(0)
    window.finish()
    layer = window.viewer.__wrapped__.layers["a vessels"]
    assert not layer.editable
    layer.data[:] = 0
    widget.session.step(1)
    window.finish()
    widget.button.click()
    window.finish()
    assert {name: (out / name).read_bytes() for name in before} == before
    assert "doesn't say which image" in widget.images.topLevelItem(0).toolTip(1)
    widget.cleaning.value = widget.cleaning.value.updated(threshold=0.3)
    widget.list_images()
    window.wait(lambda: len(widget.session.outcomes) == 6)
    window.finish()
    assert states(widget)[5] == "done"


def test_cancel_keeps_what_is_done_and_another_window_resumes(
    window: Window, images: Path, untrained_path: Path
) -> None:
    widget = opened(window, images, untrained_path)
    widget.button.click()
    window.wait(lambda: "done" in states(widget))
    widget.button.click()
    window.finish()
    done = {path.name: path.stat().st_mtime_ns for path in (images.parent / "out").iterdir()}
    assert 1 <= len(done) < 4
    assert states(widget).count("done") == len(done)
    widget.session.segment_all()
    window.finish()
    assert states(widget).count("done") == 4
    assert done.items() <= {p.name: p.stat().st_mtime_ns for p in (images.parent / "out").iterdir()}.items()


KILLED = """
import sys
from pathlib import Path
import napari
from qtpy.QtCore import QTimer
from napari_darl._napari.folder.session import FolderSession
from napari_darl._napari.folder.work import Order

viewer = napari.Viewer(show=False)
session = FolderSession.of(viewer)
edited = []

def edit():
    if session.shown is not None and session.shown.mask is not None and not edited:
        session.shown.mask.data[:8] = 1
        edited.append(True)
        session.step(1)
        session.segment_all()

timer = QTimer()
timer.timeout.connect(edit)
timer.start(10)
session.listed.connect(lambda: session.show(0))
session.list(Order(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
napari.run()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_killed_window_resumes(window: Window, tmp_path: Path, untrained_path: Path) -> None:
    images, out = tmp_path / "images", tmp_path / "out"
    images.mkdir()
    for number in range(10):
        iio.imwrite(images / f"{number}.png", np.roll(FRAME, number, 1))
    for name in ("bad.png", "worse.tif"):
        (images / name).write_bytes(b"damaged")
    command = [sys.executable, "-c", KILLED, *map(str, (images, out, untrained_path))]
    environment = os.environ | {"NAPARI_CONFIG": str(tmp_path / "killed.yaml")}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and len(list(out.glob("*_mask.tif"))) < 4:
            time.sleep(0.01)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("*_mask.tif")}
    assert 4 <= len(before) < 10

    widget = opened(window, images, untrained_path)
    assert states(widget)[0] == "edited"
    assert states(widget).count("done") == len(before) - 1
    widget.button.click()
    window.finish()
    assert states(widget) == ["edited", *["done"] * 9, "failed", "failed"]
    assert before.items() <= {path.name: path.stat().st_mtime_ns for path in out.glob("*_mask.tif")}.items()
    assert (tifffile.imread(out / "0_mask.tif")[:8] == 255).all()
    for number in range(1, 10):
        expected = 255 * segment(np.roll(FRAME, number, 1), untrained_path)
        np.testing.assert_array_equal(tifffile.imread(out / f"{number}_mask.tif"), expected)


def test_a_trained_model_is_chosen_in_widgets_that_are_open_and_opened(window: Window, untrained_path: Path) -> None:
    before = window.dock("Segment a folder")
    Segmenter.of(window.viewer).offer(str(untrained_path))
    for widget in (before, window.dock("Segment a folder")):
        assert widget.order().model == str(untrained_path)
    Segmenter.of(window.viewer).offer("fluorescence")
    assert window.dock("Segment a folder").order().options.bright is True
