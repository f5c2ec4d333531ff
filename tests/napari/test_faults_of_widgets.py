"""Faults while the widgets beside Segment and Train work: closed windows, deleted layers, full disks."""

import errno
import gc
import os
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
from napari._qt.qthreading import wait_for_workers_to_quit
from qtpy.QtCore import QThreadPool
from qtpy.QtWidgets import QApplication, QFileDialog
from scipy.ndimage import binary_dilation
from windows import Window

from napari_darl import load_model
from napari_darl._napari import task
from napari_darl._napari.task import Task
from napari_darl.samples import sample_angiogram

FRAME = sample_angiogram()[60:188, 150:278]
pytestmark = pytest.mark.usefixtures("quick_refining")
Start = Callable[[Window, Path, Path], Any]


def refine(window: Window, folder: Path, model: Path) -> Any:
    """Begin to refine the model with a corrected frame; return the widget."""
    window.viewer.add_image(np.stack([FRAME, FRAME.T]), name="stack")
    widget = window.open_segment(resize=1)
    mask = window.segment(widget)
    mask.data[0] = binary_dilation(mask.data[0], iterations=2)
    widget.refine.finished.click()
    mask.paint((0, 2, 2), 1)
    widget.refine.button.click()
    window.wait(lambda: "Refining" in widget.refine.state.text())
    return widget


def measure(window: Window, folder: Path, model: Path) -> Any:
    window.viewer.add_labels(np.stack([FRAME > 100] * 30).astype(np.uint8), name="run")
    widget = window.dock("Measure vessels")
    widget.button.click()
    window.wait(lambda: "frames measured" in widget.state.text())
    return widget


def segment_folder(window: Window, folder: Path, model: Path) -> Any:
    for number in range(12):
        iio.imwrite(folder / f"{number}.png", np.roll(FRAME, number))
    widget = window.dock("Segment a folder")
    widget.model.choose(str(model))
    widget.folder.setText(str(folder))
    widget.output.setText(str(folder / "out"))
    widget.list_images()
    window.wait(lambda: len(widget.session.outcomes) == 12)
    window.finish()
    widget.session.show(0)
    widget.button.click()
    window.wait(lambda: len(list((folder / "out").glob("*.tif"))) > 1)
    return widget


def inspect(window: Window, folder: Path, model: Path) -> Any:
    window.viewer.add_image(np.stack([FRAME, FRAME.T]), name="frames")
    widget = window.dock("Inspect a model")
    widget.pairs.count.setValue(200)
    widget.pairs.make.click()
    window.wait(lambda: "done" in widget.state.text())
    return widget


def export(window: Window, folder: Path, model: Path) -> Any:
    pytest.importorskip("onnxruntime")
    from napari_darl._napari.model_card import export_in_background

    export_in_background(str(model), folder / "a.onnx", window.viewer, overwrite=False)


@pytest.mark.parametrize("start", [refine, measure, segment_folder, inspect, export])
def test_the_window_is_closed_meanwhile(window: Window, tmp_path: Path, untrained_path: Path, start: Start) -> None:
    start(window, tmp_path, untrained_path)
    window.viewer.close()
    for _ in range(2):  # some workers were about to start
        wait_for_workers_to_quit()
        QApplication.processEvents()  # their last signals
    gc.collect()  # what only they have kept
    assert not task._under_way  # and nothing else has begun
    assert not [message for message in window.messages if "Exported" not in message]
    for path in (tmp_path / "out").glob("*"):
        assert not path.name.startswith(".")  # what has begun was finished
        assert iio.imread(path).shape == FRAME.shape


@pytest.mark.parametrize("start", [refine, segment_folder, inspect])
def test_all_layers_are_deleted_meanwhile(window: Window, tmp_path: Path, untrained_path: Path, start: Start) -> None:
    widget = start(window, tmp_path, untrained_path)
    window.viewer.layers.clear()
    if start is inspect:
        widget.pairs.make.click()  # enough of two hundred
    window.finish()
    assert not [message for message in window.messages if "mean Dice" not in message]
    if start is segment_folder:
        assert len(list((tmp_path / "out").glob("*_mask.tif"))) == 12
    elif start is refine:
        assert widget.refine.button.text() == "Refine"
        assert all("refined" in layer.name or "difference" in layer.name for layer in window.viewer.layers)
    else:
        assert all(layer.name.startswith("pairs") for layer in window.viewer.layers)


@pytest.mark.parametrize("start", [refine, measure, export])
def test_a_full_disk_keeps_everything_in_the_window(
    window: Window, tmp_path: Path, untrained_path: Path, monkeypatch: pytest.MonkeyPatch, start: Start
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr("napari_darl.io.atomic.os.fsync", full)
        widget = start(window, tmp_path, untrained_path)
        window.finish()
        if start is measure:
            window.wait(lambda: widget.button.text() == "Measure" and not widget._timer.isActive())
        save = {
            refine: lambda: widget.refine.keep_as("mine"),
            measure: lambda: widget.vessels.save.click(),
            export: lambda: None,
        }[start]
        save()
        window.wait(lambda: bool(window.messages))
    assert all(os.strerror(errno.ENOSPC) in message for message in window.messages)
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".safetensors", ".onnx", ".csv", ".part")]
    save()
    if start is export:
        export(window, tmp_path, untrained_path)
        window.wait(lambda: "Exported" in window.messages[-1])
        assert (tmp_path / "a.onnx").exists()
    elif start is refine:
        assert load_model(tmp_path / "models" / "mine.safetensors", "cpu").threshold > 0
    else:
        assert (tmp_path / "run_frames.csv").exists()


def test_a_task_that_nobody_holds_lives_until_its_end_is_heard(window: Window) -> None:
    told: list[int] = []
    ended: list[bool] = []
    kept = weakref.ref(
        Task(lambda _: iter([1]), window.viewer, title="", total=0, on_yield=told.append, on_end=ended.append)
    )
    assert QThreadPool.globalInstance().waitForDone(5000)
    gc.collect()  # before its signals are received
    assert kept() is not None
    window.wait(lambda: bool(ended), timeout=5000)
    assert (told, ended) == ([1], [False])
    window.wait(lambda: gc.collect() >= 0 and kept() is None, timeout=5000)
