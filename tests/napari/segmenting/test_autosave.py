"""Edits survive a crash: they are saved soon after each stroke, and offered again for the same image."""

import io
import os
import subprocess
import sys
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from windows import Window

from napari_darl._napari.segmenting.edits import About, Edits, EditStore, Frame
from napari_darl._napari.segmenting.saving import save_mask
from napari_darl._napari.settings import read_settings
from napari_darl.errors import FileError
from napari_darl.inference.cleaning import Cleaning
from napari_darl.inference.options import SegmentOptions
from napari_darl.samples import sample_angiogram


@pytest.fixture
def store(window: Window) -> EditStore:
    return EditStore(read_settings().edits)


def stack() -> Any:
    frame = sample_angiogram()
    return np.stack([frame[top : top + 96, 150:246] for top in (60, 120, 180)])


def files() -> list[Path]:
    return sorted(read_settings().edits.glob("*.npz"))


def stamps() -> list[int]:
    with suppress(FileNotFoundError):  # replaced meanwhile
        return [path.stat().st_mtime_ns for path in files()]
    return stamps()


def paint(window: Window, mask: Any, number: int) -> None:
    """Paint on a frame and wait until it is saved."""
    before = stamps()
    window.viewer.dims.set_current_step(0, number)
    mask.paint((number, 10, 10 + number), 2)  # another label than the mask has
    window.wait(lambda: stamps() != before)


@pytest.fixture
def edited(window: Window) -> tuple[Any, Any]:
    """The widget and a mask of three frames, of which the first and the last are edited, the last finished."""
    window.viewer.add_image(stack(), name="stack")
    widget = window.open_segment(resize=1)
    mask = window.segment(widget)
    paint(window, mask, 0)
    paint(window, mask, 2)
    before = stamps()
    widget.refine.finished.click()
    window.wait(lambda: stamps() != before)
    return widget, mask


def test_edits_are_restored_for_the_same_pixels_under_any_name(
    window: Window, edited: tuple[Any, Any], store: EditStore
) -> None:
    _, mask = edited
    labels = mask.data.copy()
    (file,) = files()
    assert file.stat().st_size < 20_000
    assert {index: frame.finished for index, frame in store.read(file.stem).frames.items()} == {(0,): False, (2,): True}
    window.viewer.layers.clear()
    window.viewer.add_image(stack()[:, ::-1], name="stack")  # other pixels
    window.wait(lambda: len(window.viewer.layers) == 1)
    window.viewer.dims.set_current_step(0, 1)
    widget = window.dock("Segment vessels")
    window.viewer.add_image(stack(), name="renamed")
    widget.image.value = window.viewer.layers["renamed"]
    window.wait(lambda: widget.unsaved.isVisibleTo(widget))
    assert "2 frames of 'stack'" in widget.unsaved.words.text()
    widget.unsaved.restore.click()
    restored = window.viewer.layers["renamed vessels"]
    np.testing.assert_array_equal(restored.data[[0, 2]], labels[[0, 2]])
    window.finish()
    np.testing.assert_array_equal(restored.data, labels)  # the other frame was segmented again
    assert not widget.unsaved.isVisibleTo(widget)
    window.viewer.dims.set_current_step(0, 2)
    assert widget.refine.finished.isChecked()
    paint(window, restored, 1)
    assert files() == [file]
    assert set(store.read(file.stem).frames) == {(0,), (1,), (2,)}


def test_saving_the_mask_removes_the_edits(window: Window, edited: tuple[Any, Any], tmp_path: Path) -> None:
    _, mask = edited
    assert files()
    save_mask(mask, str(tmp_path / "mask.darl.tif"))
    assert not files()
    paint(window, mask, 1)
    assert len(files()) == 1


def test_undo_reaches_other_frames_and_their_saved_edits(
    window: Window, edited: tuple[Any, Any], store: EditStore
) -> None:
    _, mask = edited
    (file,) = files()
    own = store.read(file.stem).frames[(0,)].own
    window.viewer.dims.set_current_step(0, 1)
    mask.undo()  # the stroke on the last frame
    mask.undo()  # the one on the first
    np.testing.assert_array_equal(mask.data[0], own)
    window.wait(lambda: set(store.read(file.stem).frames) == {(2,)})  # which is finished
    mask.redo()
    window.wait(lambda: set(store.read(file.stem).frames) == {(0,), (2,)})


def test_discarded_edits_are_gone(window: Window, edited: tuple[Any, Any]) -> None:
    window.viewer.layers.clear()
    window.wait(lambda: not window.viewer.layers)
    widget = window.dock("Segment vessels")
    window.viewer.add_image(stack(), name="stack")
    window.wait(lambda: widget.unsaved.isVisibleTo(widget))
    widget.unsaved.discard.click()
    assert not widget.unsaved.isVisibleTo(widget)
    assert not files()


def test_edits_that_cant_be_saved_are_told_once(window: Window) -> None:
    folder = read_settings().edits
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("a file in place of the folder")
    window.viewer.add_image(stack()[0], name="frame")
    mask = window.segment(window.open_segment(resize=1))
    mask.paint((10, 10), 2)
    window.wait(lambda: bool(window.messages))
    mask.paint((40, 40), 2)
    window.qtbot.wait(1500)
    (message,) = window.messages
    assert "crash" in message
    assert str(folder) in message


KILLED = """
import os, signal, sys
import numpy as np, napari, tifffile
from napari import settings
settings.get_plugin_settings("napari-darl").segmenting.model_folder = sys.argv[2]
from qtpy.QtCore import QTimer
viewer = napari.Viewer(show=False)
viewer.add_image(tifffile.imread(sys.argv[1]), name="before")
widget = viewer.window.add_plugin_dock_widget("napari-darl", "Segment vessels")[1]
widget.resize_factor.setValue(1)
widget.segment()

def paint():
    if len(viewer.layers) < 2 or widget.button.text() != "Segment":
        QTimer.singleShot(50, paint)
        return
    mask = viewer.layers[-1]
    mask.paint((0, 20, 20), 2)
    np.save(sys.argv[3], mask.data)
    look()

def look():
    if not [name for name in os.listdir(sys.argv[4]) if name.endswith(".npz")] if os.path.isdir(sys.argv[4]) else True:
        QTimer.singleShot(50, look)
        return
    os.kill(os.getpid(), signal.SIGKILL)

paint()
napari.run(force=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_killed_napari_gives_its_corrections_back(window: Window, tmp_path: Path) -> None:
    import tifffile

    image, painted = tmp_path / "image.tif", tmp_path / "painted.npy"
    tifffile.imwrite(image, stack(), photometric="minisblack")
    arguments = [str(image), str(read_settings().models), str(painted), str(read_settings().edits)]
    environment = os.environ | {"NAPARI_CONFIG": str(tmp_path / "killed.yaml")}
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], env=environment, capture_output=True, timeout=300)
    assert done.returncode == -9, done.stderr.decode()[-2000:]
    window.viewer.add_image(stack(), name="after")
    widget = window.dock("Segment vessels")
    window.wait(lambda: widget.unsaved.isVisibleTo(widget))
    widget.unsaved.restore.click()
    window.finish()
    np.testing.assert_array_equal(window.viewer.layers["after vessels"].data, np.load(painted))


def some_edits(digest: str = "x") -> Edits:
    about = About(
        image="frame",
        saved="2026-11-26 08:10",
        shape=(2, 6, 7),
        model="default",
        segment=SegmentOptions(),
        cleaning=Cleaning(threshold=0.4),
        region="everything",
        provenance={"model": "default", "resize": 0.5},
    )
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, (6, 7)).astype(np.uint8)
    return Edits(about, {(1,): Frame(labels, labels == 1, digest, True)})


def test_a_store_gives_back_what_was_written(tmp_path: Path) -> None:
    store, edits = EditStore(tmp_path / "edits"), some_edits()
    store.write("a", edits)
    read = store.read("a")
    assert read.about == edits.about
    for was, now in zip(edits.frames[(1,)], read.frames[(1,)], strict=True):
        np.testing.assert_array_equal(now, was)


def test_a_store_finds_edits_by_content_and_passes_over_damaged_files(tmp_path: Path) -> None:
    store = EditStore(tmp_path)
    assert store.find((2, 6, 7), lambda _: "x") is None
    store.write("a", some_edits())
    good = store.path("a").read_bytes()
    empty, claim = io.BytesIO(), io.BytesIO()
    about = np.load(store.path("a"))["about"]
    np.savez(empty, about=about)
    with zipfile.ZipFile(claim, "w") as archive:
        header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1099511627776,), }"
        archive.writestr("about.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    cases = (b"", good[:200], good[: len(good) // 2], b"PK\x03\x04" + bytes(99), empty.getvalue(), claim.getvalue())
    for number, damaged in enumerate(cases):
        store.path(f"damaged{number}").write_bytes(damaged)
        with pytest.raises(FileError, match="can't be read"):
            store.read(f"damaged{number}")
    assert store.find((2, 6, 7), lambda _: "x") == "a"
    assert store.find((2, 6, 7), lambda _: "other") is None
    assert store.find((3, 6, 7), lambda _: "x") is None
    assert store.find((2, 6, 7), lambda _: "x", frozenset({"a"})) is None


def test_a_store_keeps_the_newest_thirty(tmp_path: Path) -> None:
    store = EditStore(tmp_path)
    for number in range(32):
        store.write(str(number), some_edits())
        os.utime(store.path(str(number)), (number, number))
    store.write("last", some_edits())
    assert len(list(tmp_path.iterdir())) == 30
    assert store.path("last").exists()
    assert not store.path("2").exists()
