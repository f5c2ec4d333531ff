"""Training in napari: start, watch, stop, resume, segment with the model; and its faults."""

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from windows import Window

from napari_darl.inference.loading import load_model
from napari_darl.models import model_path
from napari_darl.samples import sample_angiogram
from napari_darl.synthetic.phantom import phantom_angiogram


@pytest.fixture(scope="module")
def stacks() -> tuple[np.ndarray, np.ndarray]:
    """Angiograms, real and synthetic, and other frames without vessels."""
    rng = np.random.default_rng(0)
    made = [((phantom_angiogram((128, 128), rng)[0] + 1) * 127.5).astype(np.uint8) for _ in range(3)]
    real = sample_angiogram()
    angiograms = np.stack([real[y : y + 128, x : x + 128] for y in (128, 256) for x in (128, 256)] + made)
    ramp = np.linspace(90, 160, 128)
    backgrounds = np.stack([rng.normal(ramp[:, None] * turn, 3, (128, 128)) for turn in (0.8, 1.0, 1.2)])
    return angiograms, backgrounds.clip(0, 255).astype(np.uint8)


def open_train(window: Window, folder: Path, steps: int) -> Any:
    """Open the widget, and set it to small batches: a step takes some tenths of a second."""
    widget = window.dock("Train a model")
    widget.form.folder.setText(str(folder))
    widget.form.steps.setValue(steps)
    widget.form.batch.setValue(1)
    widget.form.preview_every.setValue(2)
    return widget


def steps_shown(widget: Any) -> int:
    """Number of points of the curve of the cycle loss."""
    import pyqtgraph as pg

    curves = {item.name(): item for item in widget.plot.findChild(pg.PlotWidget).listDataItems()}
    return len(curves["cycle"].xData) if "cycle" in curves else 0


def previews(window: Window) -> list[Any]:
    return [layer for layer in window.viewer.layers if layer.name.startswith("preview: ")]


def choose(picker: Any, text: str) -> None:
    """Choose an entry as a user does."""
    picker.choices.setCurrentIndex(picker.choices.findText(text))
    picker.choices.activated.emit(picker.choices.currentIndex())


@pytest.mark.usefixtures("small_networks")
def test_user_trains_stops_resumes_and_segments(
    window: Window, stacks: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = window.viewer
    for data, name in zip(stacks, ("angiograms", "backgrounds"), strict=True):
        viewer.add_image(data, name=name, scale=(1, 0.3, 0.3), units=("pixel", "mm", "mm"))
    viewer.layers.selection.active = viewer.layers[0]
    viewer.scene.camera.zoom = 3.21
    own, camera = list(viewer.layers), (viewer.scene.camera.zoom, viewer.scene.camera.center)
    widget = open_train(window, tmp_path / "run", 2000)
    choose(widget.form.angiograms, "angiograms")
    choose(widget.form.backgrounds, "backgrounds")
    assert widget.form.angiograms.line.text().startswith("7 frames, 128 x 128.")
    assert widget.form.backgrounds.line.text() == "3 frames, 128 x 128"

    widget.button.click()
    assert widget.button.text() == "Stop"
    window.wait(lambda: len(previews(window)) == 6 and steps_shown(widget) > 3)
    assert "of 2000" in widget.state.text()
    widget.button.click()
    assert widget.state.text() == "Saving..."
    window.finish()
    assert widget.button.text() == "Start"
    assert "stopped and saved" in window.messages[-1]
    stopped = load_model(tmp_path / "run", "cpu").info["step"]
    assert 3 < stopped < 2000
    assert list(viewer.layers)[:2] == own
    assert [layer.name for layer in own] == ["angiograms", "backgrounds"]
    assert viewer.layers.selection == {own[0]}
    assert (viewer.scene.camera.zoom, viewer.scene.camera.center) == camera
    shown = {layer.name.removeprefix("preview: "): layer for layer in previews(window)}
    np.testing.assert_array_equal(shown["angiogram"].extent.world, shown["mask by path A"].extent.world)
    assert shown["angiogram"].units == own[0].units[-2:]
    assert shown["background"].extent.world[0][0] > own[0].extent.world[1][1]  # under the user's layers

    widget.look.click()
    assert viewer.scene.camera.center[1] > own[0].extent.world[1][1]
    shown["background"].contrast_limits = (-0.5, 0.5)
    widget.form.steps.setValue(stopped + 2000)
    monkeypatch.setattr(
        "napari_darl._napari.training.widget.QFileDialog.getExistingDirectory", lambda *_: str(tmp_path / "run")
    )
    before = shown["synthetic angiogram"].data.copy()
    widget.resume.click()
    window.wait(lambda: steps_shown(widget) > stopped + 2)
    widget.button.click()
    window.finish()
    assert load_model(tmp_path / "run", "cpu").info["step"] > stopped
    assert len(previews(window)) == 6
    assert tuple(shown["background"].contrast_limits) == (-0.5, 0.5)
    assert not np.array_equal(shown["synthetic angiogram"].data, before)

    segment = window.open_segment()
    assert segment.model.model == str(tmp_path / "run" / "model.safetensors")
    segment.image.value = own[0]
    segment.frames.setCurrentIndex(1)
    segment.button.click()
    window.wait(lambda: "angiograms vessels" in viewer.layers and not window.busy())
    made = viewer.layers["angiograms vessels"].metadata["napari-darl"]
    assert made["model"] == "model.safetensors"


@pytest.mark.usefixtures("small_networks")
def test_first_frames_of_series_are_the_backgrounds(window: Window, stacks: Any, tmp_path: Path) -> None:
    for data, name in zip((stacks[0][:5], stacks[0][3:]), ("one", "two"), strict=True):
        window.viewer.add_image(data, name=name)
    widget = open_train(window, tmp_path / "run", 1)
    window.viewer.layers.selection.update(window.viewer.layers)
    choose(widget.form.angiograms, "the selected image layers")
    assert widget.form.angiograms.line.text().startswith("9 frames")
    choose(widget.form.backgrounds, "first frames of each series")
    widget.form.first_frames.setValue(9)
    widget.button.click()
    window.finish()
    assert "9 frames" in window.messages[-1]
    widget.form.first_frames.setValue(1)
    widget.button.click()
    window.finish()
    assert window.messages[-1].startswith("Training is complete.")


@pytest.mark.usefixtures("small_networks")
def test_c_darl_on_a_folder_and_a_folder_that_holds_a_run(window: Window, stacks: Any, tmp_path: Path) -> None:
    from napari_darl.io.output import write_frames

    write_frames(tmp_path / "frames" / "stack.tif", stacks[0], provenance={})
    widget = open_train(window, tmp_path / "run", 1)
    widget.button.click()
    assert len(window.messages) == 1
    assert "no angiograms" in window.messages[0]
    widget.form.angiograms.choose(tmp_path / "frames")
    assert widget.form.angiograms.line.text().startswith("1 file, ")
    choose(widget.form.backgrounds, "none: train C-DARL")
    widget.button.click()
    window.finish()
    assert "c-darl" in (tmp_path / "run" / "config.json").read_text()
    saved = (tmp_path / "run" / "model.safetensors").read_bytes()
    widget.button.click()
    window.finish()
    assert str(tmp_path / "run") in window.messages[-1]
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == saved


def begin(window: Window, stacks: Any, tmp_path: Path, steps: int = 2000) -> Any:
    """Train on a layer, and wait for the first steps."""
    window.viewer.add_image(stacks[0], name="angiograms")
    widget = open_train(window, tmp_path / "run", steps)
    widget.form.autosave.setValue(1)
    widget.button.click()
    window.wait(lambda: len(previews(window)) == 6 and steps_shown(widget) > 2)
    return widget


def assert_trains_again(window: Window, widget: Any, folder: Path) -> None:
    window.finish()
    told = len(window.messages)
    widget.form.folder.setText(str(folder))
    widget.form.steps.setValue(1)
    widget.button.click()
    window.finish()
    (message,) = window.messages[told:]
    assert message.startswith(f"Training is complete. The model in '{folder.name}' is")


@pytest.mark.usefixtures("small_networks")
def test_deleted_layers_neither_stop_nor_come_back(window: Window, stacks: Any, tmp_path: Path) -> None:
    widget = begin(window, stacks, tmp_path)
    del window.viewer.layers["preview: background"]
    del window.viewer.layers["angiograms"]
    points = steps_shown(widget)
    window.wait(lambda: steps_shown(widget) > points + 4)
    assert len(previews(window)) == 5
    widget.button.click()
    window.finish()
    (message,) = window.messages
    assert "stopped and saved" in message
    assert load_model(tmp_path / "run", "cpu").info["step"] > 4
    window.viewer.add_image(stacks[0], name="others")
    assert_trains_again(window, widget, tmp_path / "again")


@pytest.mark.usefixtures("small_networks")
@pytest.mark.parametrize("fault", ["memory", "disk"])
def test_faults_in_a_run(
    window: Window, stacks: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    widget = begin(window, stacks, tmp_path)
    checkpoint = tmp_path / "run" / "checkpoint.safetensors"
    window.wait((tmp_path / "run" / "model.safetensors").exists)

    def out_of_memory(*_: Any) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        if fault == "memory":
            patch.setattr("napari_darl.training.trainer.Trainer._advance", out_of_memory)
        else:
            patch.setattr("napari_darl.io.atomic.os.fsync", full)
        window.finish()
    (message,) = window.messages
    assert ("memory" if fault == "memory" else os.strerror(errno.ENOSPC).lower()) in message.lower()
    saved = load_model(tmp_path / "run", "cpu").info["step"]
    assert saved > 0
    assert checkpoint.exists()
    assert widget.button.text() == "Start"
    window.messages.clear()
    assert_trains_again(window, widget, tmp_path / "again")


@pytest.mark.usefixtures("small_networks")
def test_a_run_folder_deleted_during_the_run(window: Window, stacks: Any, tmp_path: Path) -> None:
    widget = begin(window, stacks, tmp_path)
    window.wait((tmp_path / "run" / "checkpoint.safetensors").exists)
    (tmp_path / "run").rename(tmp_path / "deleted")  # at once: files come and go while the run saves
    shutil.rmtree(tmp_path / "deleted", ignore_errors=True)
    window.wait(lambda: not window.busy() or (tmp_path / "run" / "checkpoint.safetensors").exists())
    if window.busy():
        widget.button.click()
    window.finish()
    assert len(window.messages) == 1
    assert str(tmp_path / "run") in window.messages[0]
    window.messages.clear()
    assert_trains_again(window, widget, tmp_path / "again")


@pytest.mark.usefixtures("small_networks")
def test_closing_the_window_saves(window: Window, stacks: Any, tmp_path: Path) -> None:
    begin(window, stacks, tmp_path)
    window.viewer.close()
    window.wait(lambda: (tmp_path / "run" / "model.safetensors").exists())
    from napari._qt.qthreading import wait_for_workers_to_quit

    wait_for_workers_to_quit()
    assert load_model(tmp_path / "run", "cpu").info["step"] > 2


@pytest.mark.usefixtures("small_networks")
def test_a_widget_opened_during_a_run_shows_it(window: Window, stacks: Any, tmp_path: Path) -> None:
    widget = begin(window, stacks, tmp_path)
    window.viewer.window.remove_dock_widget(widget.parent())
    again = window.dock("Train a model")
    assert steps_shown(again) > 2
    assert again.form.folder.text() == str(tmp_path / "run")
    assert "of 2000" in again.state.text()
    again.button.click()
    window.finish()
    model = str(tmp_path / "run" / "model.safetensors")
    assert again.form.start_from.findData(model) > 0  # offered to begin with


@pytest.mark.usefixtures("small_networks")
def test_a_resumed_run_takes_the_steps_that_are_asked_for(
    window: Window, stacks: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    widget = begin(window, stacks, tmp_path)
    widget.button.click()
    window.finish()
    done = load_model(tmp_path / "run", "cpu").info["step"]
    dialog = "napari_darl._napari.training.widget.QFileDialog.getExistingDirectory"
    monkeypatch.setattr(dialog, lambda *_: str(tmp_path / "run"))
    widget.form.steps.setValue(1)
    widget.form.autosave.setValue(7)
    widget.resume.click()
    window.finish()
    assert f"already done {done} steps" in window.messages[-1]
    widget.form.steps.setValue(done + 2)
    widget.resume.click()
    window.finish()
    assert load_model(tmp_path / "run", "cpu").info["step"] == done + 2
    assert '"autosave": 7.0' in (tmp_path / "run" / "config.json").read_text()


def test_files_that_no_run_wrote_are_kept(window: Window, stacks: Any, tmp_path: Path) -> None:
    window.viewer.add_image(stacks[0], name="angiograms")
    widget = open_train(window, tmp_path, 1)
    for name in ("config.json", "losses.csv"):
        (tmp_path / name).write_text("mine")
        widget.button.click()
        window.finish()
        assert str(tmp_path / name) in window.messages[-1]
        assert (tmp_path / name).read_text() == "mine"
        (tmp_path / name).unlink()
    widget.form.folder.setText(" ")
    widget.button.click()
    assert "output folder is empty" in window.messages[-1]


def test_fine_tuning_takes_the_recipe_of_the_model(window: Window, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    shutil.copy(model_path("fundus"), folder / "mine.safetensors")
    shutil.copy(model_path("default"), folder / "fundus_clinic.safetensors")
    widget = open_train(window, tmp_path / "run", 1)
    for name, preset in (("fundus", "fundus"), ("default", "lite")):
        widget.form.start_from.setCurrentText(name)
        assert widget.form.preset.currentText() == preset
    for name, preset in (("mine", "fundus"), ("fundus_clinic", "lite")):
        widget.form.start_from.setCurrentIndex(widget.form.start_from.findData(str(folder / f"{name}.safetensors")))
        assert widget.form.preset.currentText() == preset
        assert widget.form.steps.value() == 500


def test_without_pyqtgraph_a_line_says_how_to_get_the_curves(
    window: Window, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from qtpy.QtWidgets import QLabel

    from napari_darl._napari.training import loss_plot
    from napari_darl._napari.training.loss_history import LossHistory

    monkeypatch.setattr(loss_plot, "pg", None)
    widget = open_train(window, tmp_path / "run", 1)
    losses = LossHistory()
    losses.add([(1, {"cycle": 0.5})])
    widget.plot.draw(losses)
    assert "pip install pyqtgraph" in widget.plot.findChild(QLabel).text()


def test_previews_of_another_size_keep_their_places(window: Window) -> None:
    from napari_darl._napari.training.previews import Previews
    from napari_darl.training.step import Preview

    shown = Previews(window.viewer.__wrapped__)
    shown.show(Preview(*[np.zeros((64, 64), np.float32)] * 6))
    before = [corners_of(layer) for layer in previews(window)]
    shown.show(Preview(*[np.zeros((128, 128), np.float32)] * 6))
    np.testing.assert_allclose([corners_of(layer) for layer in previews(window)], before)


def corners_of(layer: Any) -> Any:
    """Outer edges of the first and the last pixel."""
    return [layer.data_to_world((at, at)) for at in (-0.5, len(layer.data) - 0.5)]
