"""The choice of models and devices with outdated lists, damaged files, unreadable folders and no GPU."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fuzzing.models import published_checkpoint
from windows import Window

from napari_darl.models import bundled_models
from napari_darl.samples import sample_angiogram

FRAME = sample_angiogram()[200:264, 200:296]
BROWSE, IMPORT = "Browse...", "Import released .pth..."


@pytest.fixture
def model(untrained_path: Path, tmp_path: Path) -> Path:
    """A model of the user's, outside of the model folder."""
    path = tmp_path / "runs" / "mine.safetensors"
    path.parent.mkdir()
    path.write_bytes(untrained_path.read_bytes())
    return path


def preferences() -> Any:
    from napari.settings import get_plugin_settings

    return get_plugin_settings("napari-darl").segmenting


def listed(widget: Any) -> list[str]:
    choices = widget.model._choices
    return [text for index in range(choices.count()) if (text := choices.itemText(index))]


def pick(widget: Any, text: str) -> None:
    """Choose an entry of the list of models, as a click does."""
    choices = widget.model._choices
    index = choices.findText(text)
    assert index >= 0
    choices.setCurrentIndex(index)
    choices.activated.emit(index)


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[[object], None]:
    """Let the file dialog return a path; "" stands for its Cancel button."""
    from qtpy.QtWidgets import QFileDialog

    def with_path(path: object) -> None:
        monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))

    return with_path


def test_a_released_checkpoint_is_imported_in_the_background(
    window: Window, tmp_path: Path, answer: Callable[[object], None]
) -> None:
    released = tmp_path / "X_G.pth"
    released.write_bytes(published_checkpoint()[released.name])
    answer(released)
    widget = window.open_segment()
    for name in ("X_G.safetensors", "X_G_2.safetensors"):
        pick(widget, IMPORT)
        assert window.busy()
        window.finish()
        assert widget.model.model == str(tmp_path / "models" / name)
    assert window.messages == []
    widget.model.show_card()
    assert "X_G.pth" in card(widget)


def test_the_list_has_bundled_models_remembered_ones_and_those_of_the_folder(
    window: Window, model: Path, tmp_path: Path, answer: Callable[[object], None]
) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "kept.safetensors").write_bytes(model.read_bytes())
    (folder / "notes.txt").touch()
    bundled = list(bundled_models())
    widget = window.open_segment()
    assert listed(widget) == [*bundled, "models/kept.safetensors", BROWSE, IMPORT]
    assert widget.model.model == bundled[0]

    answer("")
    pick(widget, BROWSE)
    assert widget.model.model == widget.model._choices.currentText() == bundled[0]
    answer(model)
    pick(widget, BROWSE)
    assert widget.model.model == str(model)
    assert listed(widget) == [*bundled, "runs/mine.safetensors", "models/kept.safetensors", BROWSE, IMPORT]
    pick(widget, "models/kept.safetensors")
    again = listed(widget)
    assert again == [*bundled, "models/kept.safetensors", "runs/mine.safetensors", BROWSE, IMPORT]
    assert widget.model._choices.currentText() == "models/kept.safetensors"
    pick(widget, bundled[0])
    assert listed(widget) == again

    (model.parent).rename(tmp_path / "moved")
    pick(widget, bundled[0])
    assert listed(widget) == [*bundled, "models/kept.safetensors", BROWSE, IMPORT]
    assert window.messages == []


def test_the_chosen_model_segments(window: Window, model: Path) -> None:
    window.viewer.add_image(FRAME, name="frame")
    widget = window.open_segment()
    widget.resize_factor.setValue(1)
    widget.model.choose(model)
    widget.segment()
    window.wait(lambda: len(window.viewer.layers) == 2 and not window.busy())
    assert window.viewer.layers[1].metadata["napari-darl"]["model"] == model.name


def test_an_import_outlives_its_widget(
    window: Window, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import gc
    import weakref
    from threading import Event

    from napari_darl._napari import pickers

    closed = Event()

    def slow(_: Path, folder: Path) -> Path:
        closed.wait(10)
        return model

    monkeypatch.setattr(pickers, "import_released", slow)
    dock, widget = window.viewer.window.add_plugin_dock_widget("napari-darl", "Segment vessels")
    widget.model.import_checkpoint(tmp_path / "X_G.pth")
    window.viewer.window.remove_dock_widget(dock)
    kept = weakref.ref(widget)
    del dock, widget
    window.qtbot.wait(20)
    closed.set()
    window.finish()
    gc.collect()  # what the task has kept
    assert kept() is None
    assert window.messages == []


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_damaged_file_is_reported_once(
    window: Window, tmp_path: Path, answer: Callable[[object], None], suffix: str
) -> None:
    window.viewer.add_image(FRAME, name="frame")
    path = tmp_path / f"damaged{suffix}"
    path.write_bytes(b"PK\x03\x04 and no more")
    answer(path)
    widget = window.open_segment()
    pick(widget, IMPORT if suffix == ".pth" else BROWSE)
    if suffix == ".pth":
        assert widget.model.model == "default"
    else:
        widget.segment()
    window.finish()
    (message,) = window.messages
    assert str(path) in message
    assert len(window.viewer.layers) == 1
    assert not (tmp_path / "models" / "damaged.safetensors").exists()
    if suffix == ".safetensors":
        widget.model.show_card()
        assert window.messages == [message, message]


def test_a_model_is_exported_from_its_card(
    window: Window, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    from qtpy.QtWidgets import QFileDialog

    from napari_darl._napari.model_card import CardDialog

    widget = window.open_segment()
    widget.model.choose(model)
    for name, kind, written in (
        ("mine", "ONNX graph (*.onnx)", "mine.onnx"),
        ("mine.onnx", "ONNX graph (*.onnx)", "mine.onnx"),  # the dialog has asked
        ("mine", "Package for the BioImage Model Zoo (*.zip)", "mine.zip"),
        ("mine", "ONNX graph (*.onnx)", ""),  # the dialog has asked about another name
        ("", "", ""),
    ):
        (tmp_path / written).is_file() and (tmp_path / written).write_bytes(b"")
        answer = (str(tmp_path / name) if name else "", kind)
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, answer=answer: answer)
        widget.model.show_card()
        (dialog,) = widget.model.findChildren(CardDialog)
        window.messages.clear()
        dialog.action.click()
        dialog.reject()
        window.wait(lambda name=name: bool(window.messages) == bool(name))
        window.finish()
        if written:
            assert window.messages[0].startswith(f"Exported to {tmp_path / written}")
            assert (tmp_path / written).stat().st_size > 10_000
        elif name:
            assert "mine.onnx exists already" in window.messages[0]
        window.qtbot.wait(50)


def card(widget: Any) -> str:
    """Return the text of the model's card, and close the card."""
    from qtpy.QtWidgets import QDialog, QDialogButtonBox, QTextBrowser

    (dialog,) = widget.model.findChildren(QDialog)
    assert dialog.isVisible()
    text: str = dialog.findChild(QTextBrowser).toPlainText()
    dialog.findChild(QDialogButtonBox).button(QDialogButtonBox.StandardButton.Close).click()
    assert not dialog.isVisible()
    return text


def test_the_card_of_any_model_opens_and_closes(window: Window, model: Path) -> None:
    widget = window.open_segment()
    widget.model._card.click()
    assert "ARCADE" in card(widget)
    widget.model.choose(model)
    window.qtbot.wait(20)  # until the dialog is deleted
    widget.model._card.click()
    assert str(model) in card(widget)
    model.unlink()
    widget.model._card.click()
    (message,) = window.messages
    assert f"'{model}'" in message


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_the_device_is_described_and_a_missing_one_is_refused(window: Window) -> None:
    window.viewer.add_image(FRAME, name="frame")
    widget = window.open_segment()
    line = widget.device.line
    window.wait(lambda: "Looking" not in line.text())
    assert line.text().startswith(("CPU: ", "GPU: Apple"))
    widget.device.choices.setCurrentText("cpu")
    window.wait(lambda: line.text() == "CPU, as chosen")
    widget.device.choices.setCurrentText("cuda")
    window.wait(lambda: "'cuda'" in line.text())
    widget.segment()
    window.finish()
    assert window.messages == [line.text()]


def test_the_preferences_are_followed(window: Window, model: Path, tmp_path: Path) -> None:
    from napari_darl._napari.segmenting.options import preferred_options

    own = preferences()
    own.device = "cpu"
    own.tile_size = 128
    widget = window.open_segment()
    assert widget.device.device == "cpu"
    options = preferred_options()
    assert (options.segment.device, options.segment.tile) == ("cpu", 128)
    own.model_folder = str(tmp_path / "elsewhere")  # while the widget is open
    widget.model.choose(model)
    assert (tmp_path / "elsewhere" / "recent.txt").read_text() == str(model)
    own.model_folder = "  "
    assert "napari-darl" in str(widget.model._folder)
    own.model_folder = "~/models"
    assert widget.model._folder == Path.home() / "models"


def test_napari_refuses_invalid_preferences(window: Window) -> None:
    from pydantic import ValidationError

    for key, value in (("tile_size", 100), ("tile_size", -64), ("tile_size", 1 << 20), ("device", "gpu")):
        with pytest.raises(ValidationError):
            setattr(preferences(), key, value)


@pytest.mark.parametrize("nonsense", ["tile_size: 100", "device: gpu", "model_folder: [1"])
def test_the_widget_opens_with_invalid_preferences(window: Window, tmp_path: Path, nonsense: str) -> None:
    from napari import settings

    (tmp_path / "napari-darl.yaml").write_text(f"segmenting:\n  {nonsense}\n")
    settings._clear_plugin_settings_cache()
    window.viewer.add_image(FRAME, name="frame")
    widget = window.open_segment()
    widget.resize_factor.setValue(1)
    widget.segment()
    window.finish()
    assert window.messages == []
    assert len(window.viewer.layers) == 2


@pytest.mark.parametrize("folder", ["file", "~nobody of that name"])
def test_an_unusable_model_folder_is_reported_and_nothing_else_breaks(
    window: Window, model: Path, tmp_path: Path, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("file", "~nobody of that name"):
        (tmp_path / name).touch()
    preferences().model_folder = folder
    widget = window.open_segment()
    widget.model.choose(model)
    assert widget.model.model == str(model)
    (message,) = window.messages
    assert "recent.txt" in message
    window.viewer.add_image(FRAME, name="frame")
    widget.resize_factor.setValue(1)
    widget.segment()
    window.wait(lambda: len(window.viewer.layers) == 2 and not window.busy())


def test_an_unreadable_model_folder_counts_as_empty(
    window: Window, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat = Path.stat

    def locked(self: Path, *args: Any, **keywords: Any) -> Any:  # for root, who may run the tests, nothing is
        if "locked" in str(self):
            raise PermissionError(13, "Permission denied")
        return stat(self, *args, **keywords)

    monkeypatch.setattr(Path, "stat", locked)
    preferences().model_folder = str(tmp_path / "locked")
    assert listed(window.open_segment()) == [*bundled_models(), BROWSE, IMPORT]


def test_a_frame_is_segmented_in_the_tiles_of_the_preferences(window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_darl._napari.commands import segment_vessels
    from napari_darl.inference.predictor import Predictor

    seen: list[tuple[int, ...]] = []

    def noted(self: Predictor, tiles: torch.Tensor, wanted: object = None) -> torch.Tensor:
        seen.append(tuple(tiles.shape[2:]))
        return torch.zeros_like(tiles)

    monkeypatch.setattr(Predictor, "__call__", noted)
    preferences().tile_size = 64
    preferences().device = "cpu"
    window.viewer.add_image(sample_angiogram()[100:260, 150:310], name="frame")
    segment_vessels(window.viewer)
    window.wait(lambda: len(window.viewer.layers) == 2 and not window.busy())
    assert len(seen) > 9
    assert np.max(seen) == 64
