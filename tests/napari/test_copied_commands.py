"""*Copy as command* in the widgets: the copied command gives what the widget gives."""

import json
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
from napari_darl.samples import sample_angiogram
from napari_darl.training.config import training_config


def copied(widget: Any) -> list[str]:
    widget.copy.click()
    words = shlex.split(QApplication.clipboard().text())
    assert words[0] == "napari-darl"
    return words


def run(words: list[str], *more: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [*words, *more])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    assert not ended.value.code


def write_frames(path: Path) -> Path:
    frame = sample_angiogram()
    tifffile.imwrite(path, np.stack([frame[60:156, 150:246], frame[180:276, 150:246]]), photometric="minisblack")
    return path


def test_assessing(window: Window, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_frames(tmp_path / "the frames.tif")
    window.viewer.open(str(path), plugin="napari")
    widget = window.dock("Inspect a model")
    widget.resize_factor.setValue(1.25)
    widget.tabs.setCurrentIndex(1)
    words = copied(widget)
    assert words[1:3] == ["assess", str(path)]
    widget.assess.click()
    window.finish()
    shown = [float(widget.scores.item(row, 1).text()) for row in range(2)]
    run(words, "--json")
    printed = capsys.readouterr().out  # napari prints its notifications, too
    scores = json.loads(printed[printed.index("{\n") :])["frames"].values()
    np.testing.assert_allclose(list(scores), shown, atol=5.1e-4)  # the widget rounds

    widget.tabs.setCurrentIndex(0)
    widget.count.setValue(3)
    words = copied(widget)
    assert words[1] == "synthesize"
    assert words[words.index("--count") + 1] == "3"


def test_measuring(window: Window, tmp_path: Path) -> None:
    mask = np.zeros((60, 80), np.uint8)
    mask[20:26, 5:70] = 255
    tifffile.imwrite(tmp_path / "a mask.tif", mask)
    layer = window.viewer.open(str(tmp_path / "a mask.tif"), plugin="napari", layer_type="labels")[0]
    layer.scale, layer.units = (0.5, 0.25), ("mm", "mm")
    widget = window.dock("Measure vessels")
    words = copied(widget)
    assert words[1:3] == ["measure", str(tmp_path / "a mask.tif")]
    assert words[words.index("--pixel-size") + 1] == "0.5,0.25"
    widget.button.click()
    window.wait(lambda: widget.measurement is not None)
    window.finish()
    found = widget.measurement.found()
    words[words.index("--output") + 1] = str(tmp_path / "tables")
    run(words)
    told = json.loads((tmp_path / "tables" / "measurements.json").read_text())["summaries"]["a mask"]
    assert told["unit"] == found.unit == "mm"
    for name, value in found.summary.items():
        if isinstance(value, float):
            assert told[name] == pytest.approx(value, nan_ok=True), name


def test_layers_without_a_file_are_named(window: Window) -> None:
    window.viewer.add_image(sample_angiogram(), name="image")
    window.viewer.add_labels(np.ones((9, 9), np.uint8), name="mask")
    assert copied(window.dock("Measure vessels"))[2] == "mask.tif"
    assert "mask.tif" in window.messages[-1]
    assert "save them first" in window.messages[-1]
    assert copied(window.open_segment())[2] == "image.tif"
    assert "save them first" in window.messages[-1]


def test_training(window: Window, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_frames(tmp_path / "series.tif")
    widget = window.dock("Train a model")
    widget.form.angiograms.choose(path)
    widget.form.steps.setValue(7)
    widget.form.seed.setValue(3)
    widget.form.folder.setText(str(tmp_path / "a run"))
    words = copied(widget)
    started: list[Any] = []

    def keep(*arguments: Any, **options: Any) -> Any:
        started.append((arguments, options))
        raise SystemExit(0)

    monkeypatch.setattr("napari_darl.training.trainer.Trainer", keep)
    run(words)
    ((config, output, frames, *_), _) = started[0]
    assert config == training_config("lite", steps=7, seed=3)
    assert output == tmp_path / "a run"
    np.testing.assert_array_equal(frames, tifffile.imread(path))
    order = widget.form.order(resume=False)
    assert (order.steps, order.changes["seed"], order.preset) == (7, 3, "lite")
    widget.form.batch.setValue(2)
    widget.copy.click()
    assert "batch" in window.messages[-1]
