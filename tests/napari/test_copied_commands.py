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
from napari_darl.errors import DarlError
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
    widget.frames.resize_factor.setValue(1.25)
    widget.tabs.setCurrentIndex(1)
    words = copied(widget)
    assert words[1:3] == ["assess", str(path)]
    widget.frames.assess.click()
    window.finish()
    shown = [float(widget.frames.scores.item(row, 1).text()) for row in range(2)]
    run(words, "--json")
    printed = capsys.readouterr().out  # napari prints its notifications, too
    scores = json.loads(printed[printed.index("{\n") :])["frames"].values()
    np.testing.assert_allclose(list(scores), shown, atol=5.1e-4)  # the widget rounds

    widget.tabs.setCurrentIndex(0)
    widget.pairs.count.setValue(3)
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


def test_segmenting_a_folder(window: Window, tmp_path: Path, untrained_path: Path) -> None:
    images = tmp_path / "my images"
    images.mkdir()
    write_frames(images / "a.tif")
    widget = window.dock("Segment a folder")
    widget.model.choose(str(untrained_path))
    widget.copy.click()
    assert "no folder" in window.messages[-1]
    widget.folder.setText(str(images))
    widget.cleaning.value = widget.cleaning.value.updated(threshold=0.4)
    widget.resize_factor.setValue(1.5)
    words = copied(widget)
    assert words[1:5] == ["segment", str(images), "--output", str(images)]  # beside the images
    widget.output.setText(str(tmp_path / "window"))
    widget.list_images()
    window.wait(lambda: len(widget.session.outcomes) == 1)
    widget.button.click()
    window.finish()
    run(copied(widget))  # finds the masks done
    assert widget.session.outcomes[0].state == "done"
    words[4] = str(tmp_path / "shell")
    run(words)
    np.testing.assert_array_equal(
        tifffile.imread(tmp_path / "shell" / "a_mask.tif"), tifffile.imread(tmp_path / "window" / "a_mask.tif")
    )


def test_refining(window: Window, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, untrained_path: Path) -> None:
    path = write_frames(tmp_path / "series.tif")
    window.viewer.open(str(path), plugin="napari")
    widget = window.open_segment(1.25)
    widget.model.choose(str(untrained_path))
    mask = window.segment(widget)
    form = widget.refine
    form.copy_with(tmp_path / "corrections.tif")
    assert "Nothing is corrected" in window.messages[-1]
    mask.data[0, 20:30, 20:30] = 1 - mask.data[0, 20:30, 20:30]
    mask.refresh()
    form.copy_with(tmp_path / "corrections.tif")
    words = shlex.split(QApplication.clipboard().text())
    told: list[Any] = []

    def keep(model: str, corrected: Any, others: Any, *, options: Any, **_: Any) -> None:
        told.append((model, corrected, others, options))
        raise DarlError("That is enough.")

    monkeypatch.setattr("napari_darl.refining.refine.refine", keep)
    form.refine()
    window.finish()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit):
            cli.main()
    (model, ((frame, labels),), (other,), options), (*same, by_shell) = told
    assert same[0] == model == str(untrained_path)
    ((movie, stack),), (unsaid,) = same[1:]
    np.testing.assert_array_equal(movie.data[0], frame.data)
    np.testing.assert_array_equal(stack[0], labels)
    assert (stack[1] == -1).all()
    assert set(np.unique(labels)) == {-1, 0, 1}
    np.testing.assert_array_equal(unsaid.data, other.data)
    assert (by_shell.resize, by_shell.bright) == (options.resize, options.bright) == (1.25, False)


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
