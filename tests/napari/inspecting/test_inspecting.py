"""Inspecting a model in napari: pairs and their agreement, scores of real frames, noise."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Image, Labels, Layer
from windows import Window

from napari_darl._napari.inspecting.display import Results
from napari_darl._napari.layers import visible_frame
from napari_darl._napari.stacks import stack_geometry
from napari_darl.errors import DarlError
from napari_darl.inference import trust
from napari_darl.inference.options import SegmentOptions
from napari_darl.inference.trust import Trust, assess
from napari_darl.samples import sample_angiogram


@pytest.fixture
def frames() -> np.ndarray:
    whole = sample_angiogram()
    return np.stack([whole[y : y + 160, 128:288] for y in (64, 128, 192)])


def open_inspect(window: Window) -> Any:
    widget = window.dock("Inspect a model")
    widget.pairs.count.setValue(4)
    return widget


def done(window: Window, widget: Any) -> bool:
    return not window.busy() and widget.pairs.make.text() == "Make pairs"


def column(table: Any, number: int) -> list[float]:
    return [float(table.item(row, number).text()) for row in range(table.rowCount())]


def test_user_steps_through_pairs(window: Window, frames: np.ndarray) -> None:
    viewer = window.viewer
    own = viewer.add_image(
        frames, name="backgrounds", scale=(2, 0.5, 0.5), translate=(0, 3, 4), rotate=10, units=("s", "mm", "mm")
    )
    widget = open_inspect(window)
    widget.pairs.make.click()
    assert widget.pairs.make.text() == "Stop"
    window.wait(lambda: done(window, widget))
    names = [layer.name for layer in viewer.layers]
    assert names == [
        "backgrounds",
        *(f"pairs: {k}" for k in ("background", "synthetic angiogram", "pseudo-mask", "cycle mask")),
    ]
    assert [layer.name for layer in viewer.layers.selection] == ["backgrounds"]
    fake, pseudo, cycle = viewer.layers[2:]
    assert fake.data.shape == (4, 160, 160)
    assert pseudo.contour == cycle.contour == 1
    for corner in ((0, 0), (159, 0), (0, 159)):
        place = own.data_to_world((0, *corner))[1:]
        for layer in viewer.layers[1:]:
            np.testing.assert_allclose(layer.data_to_world((0, *corner))[1:], place, atol=1e-6)

    dice = column(widget.pairs.table, 1)
    assert all(0 <= value <= 1 for value in dice)
    widget.pairs.table.sortItems(1)
    assert column(widget.pairs.table, 1) == sorted(dice)
    for row in (3, 1):
        widget.pairs.table.selectRow(row)
        pair = int(widget.pairs.table.item(row, 0).text())
        assert viewer.dims.point[0] == pytest.approx(fake.data_to_world((pair, 0, 0))[0])
        assert pair == int(np.argsort(dice, kind="stable")[row])

    first = list(viewer.layers)
    viewer.layers["pairs: cycle mask"].visible = False
    widget.pairs.count.setValue(2)
    widget.pairs.make.click()
    window.wait(lambda: done(window, widget))
    assert [layer.name for layer in viewer.layers] == names
    assert not set(first[1:]) & set(viewer.layers)
    assert len(viewer.layers["pairs: synthetic angiogram"].data) == 2
    assert [layer.visible for layer in viewer.layers] == [True, False, True, True, False]
    widget.pairs.table.selectRow(1)
    assert viewer.dims.point[0] == pytest.approx(viewer.layers[2].data_to_world((1, 0, 0))[0])


@pytest.mark.parametrize("change", ["renamed", "painted"])
def test_results_that_the_user_changed_stay(window: Window, change: str) -> None:
    results = Results(window.viewer)

    def shown(value: int) -> list[Layer]:
        layers = [Image(np.full((8, 8), value), name="frame"), Labels(np.full((8, 8), value), name="mask")]
        results.show(layers)
        return layers

    first = shown(1)
    if change == "renamed":
        first[0].name = "mine"
    else:
        first[1].data[2, 3] = 0
    second = shown(2)
    third = shown(3)
    layers = window.viewer.__wrapped__.layers
    assert list(layers) == [*first, *third]
    assert not set(second) & set(layers)
    assert third[1].name == "mask [1]"  # as napari names what has a taken name


def test_frames_are_judged_as_they_were_segmented(window: Window, frames: np.ndarray, untrained_path: Path) -> None:
    frames = frames[:, :96, :96]  # which `fundus` enlarges fourfold
    red = np.stack([frames[0], np.full_like(frames[0], 7), np.zeros_like(frames[0])], -1)
    image = window.viewer.__wrapped__.add_image(red, rgb=True, name="red")
    other = window.viewer.__wrapped__.add_image(frames, name="other")
    segment = window.open_segment()
    segment.image.value = image
    segment.model.choose(untrained_path)
    segment.vessels.setCurrentText("bright")
    segment.channel.setCurrentText("red")
    segment.resize_factor.setValue(0.5)
    window.segment(segment)
    widget = open_inspect(window)
    tab = widget.frames

    def chosen() -> tuple[str, str, str, float]:
        return widget.model.model, tab.channel.currentText(), tab.vessels.currentText(), tab.resize_factor.value()

    tab.stack.choose(image)
    assert chosen() == (str(untrained_path), "red", "bright", 0.5)
    tab.assess.click()
    window.wait(lambda: done(window, widget))
    expected = assess(frames[0], untrained_path, SegmentOptions(bright=True, resize=0.5))
    assert column(tab.scores, 1) == [pytest.approx(expected.score, abs=1e-3)]

    tab.vessels.setCurrentText("dark")
    tab.stack.choose(image)  # the same run isn't taken twice: the user's choice stays
    assert chosen()[2] == "dark"
    segment.image.value = other
    segment.model.choose("fundus")
    assert segment._estimated
    window.segment(segment)
    assert chosen()[2] == "dark"  # of other frames
    tab.stack.choose(other)
    assert chosen() == ("fundus", "green", "dark", 0)
    assert tab.channel.isHidden()  # of grey frames
    tab.stack.choose(image)
    assert not tab.channel.isHidden()


def test_user_looks_for_doubtful_frames(window: Window, frames: np.ndarray) -> None:
    doubtful = frames.copy()
    doubtful[1] = np.random.default_rng(0).normal(128, 20, frames[1].shape)
    image = window.viewer.add_image(doubtful, name="angiograms")
    widget = open_inspect(window)
    widget.frames.assess.click()
    window.wait(lambda: done(window, widget))
    layer = window.viewer.layers["uncertainty"]
    assert layer.data.shape == frames.shape
    assert 0 <= layer.data.min() < layer.data.max() <= 0.5
    np.testing.assert_array_equal(layer.extent.world, image.extent.world)
    scores = column(widget.frames.scores, 1)
    assert min(scores[0], scores[2]) > scores[1]
    assert "look at frame 1 first" in widget.frames.words.text()


@pytest.mark.parametrize("kind", ["movie in ms", "z, t", "t last"])
def test_the_uncertainty_lies_over_its_frames(window: Window, frames: np.ndarray, kind: str) -> None:
    viewer, crops = window.viewer, frames[:, :96, :96]
    if kind == "movie in ms":
        image = viewer.add_image(crops, scale=(66.7, 0.5, 0.5), translate=(100, 0, 0), units=("ms", "mm", "mm"))
    elif kind == "z, t":
        image = viewer.add_image(np.stack([crops, crops[::-1]]), scale=(2, 3, 1, 1))
    else:
        image = viewer.add_image(np.moveaxis(crops, 0, -1), axis_labels=("y", "x", "t"), rgb=False)
    widget = open_inspect(window)
    widget.frames.resize_factor.setValue(1)
    widget.frames.assess.click()
    window.wait(lambda: done(window, widget))
    layer = viewer.layers["uncertainty"]
    assert layer.data.shape == image.data.shape
    np.testing.assert_allclose(layer.extent.world, image.extent.world)
    widget.frames.scores.selectRow(4 if kind == "z, t" else 2)
    assert visible_frame(image, viewer) == visible_frame(layer, viewer) == ((1, 1) if kind == "z, t" else (2,))


def test_blank_frames_and_bright_vessels(window: Window, frames: np.ndarray) -> None:
    frames = np.stack([frames[0], 255 - frames[0], np.zeros_like(frames[0])])
    window.viewer.add_image(frames, name="frames")
    widget = open_inspect(window)
    scores = []
    for vessels in ("dark", "bright"):
        widget.frames.vessels.setCurrentText(vessels)
        widget.frames.assess.click()
        window.wait(lambda: done(window, widget))
        scores.append(column(widget.frames.scores, 1))
    assert scores[0][0] == scores[1][1] > 0.5
    assert scores[0][2] == scores[1][2] == 0
    widget.pairs.make.click()
    window.wait(lambda: done(window, widget))
    assert "1 of 3 backgrounds" in window.messages[0]
    assert len(window.viewer.layers["pairs: background"].data) == 4


def test_results_before_an_error_are_shown(window: Window, frames: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    assessed: list[object] = []

    def short_of_memory(frame: object, *arguments: object) -> Trust:
        assessed.append(frame)
        if len(assessed) == len(frames):
            raise DarlError("Memory ran out.")
        return assess(frame, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(trust, "assess", short_of_memory)
    window.viewer.add_image(frames, name="frames")
    widget = open_inspect(window)
    widget.frames.resize_factor.setValue(1)
    widget.frames.assess.click()
    window.wait(lambda: done(window, widget))
    assert window.messages == ["Memory ran out."]
    assert widget.frames.scores.rowCount() == 2


def test_user_tries_noise(window: Window, frames: np.ndarray) -> None:
    image = window.viewer.add_image(frames, name="angiograms", scale=(1, 0.5, 0.5))
    window.viewer.dims.set_current_step(0, 2)
    widget = open_inspect(window)
    widget.frames.levels.setText("few")
    widget.frames.try_noise.click()
    assert "few" in window.messages[-1]
    widget.frames.levels.setText("50, 800")
    widget.frames.try_noise.click()
    window.wait(lambda: done(window, widget))
    rows = [widget.frames.noises.item(row, 1).text() for row in range(widget.frames.noises.rowCount())]
    assert rows == ["none", "t=50", "t=800", "sigma=10", "sigma=25", "sigma=50"]
    agreement = column(widget.frames.noises, 3)
    assert agreement[0] == 1
    assert agreement[1] > agreement[2]
    frame, mask = window.viewer.layers[1:]
    np.testing.assert_array_equal(frame.data[0], frames[2])
    assert mask.data.shape == (6, 160, 160)
    for layer in (frame, mask):
        np.testing.assert_allclose(layer.extent.world[:, 1:], image.extent.world[:, 1:])
    widget.frames.noises.selectRow(2)
    assert window.viewer.dims.point[0] == 2


def test_user_watches_a_background_emerge_from_noise(window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_darl._napari.inspecting import work as inspection

    monkeypatch.setattr(inspection, "SIDE", 64)
    widget = open_inspect(window)  # without a single layer
    widget.pairs.chain.click()
    window.wait(lambda: done(window, widget))
    assert window.viewer.layers["reverse process"].data.shape == (51, 64, 64)
    widget.pairs.count.setValue(2)
    widget.pairs.make.click()
    window.wait(lambda: done(window, widget))
    assert window.viewer.layers["pairs: background"].data.shape == (2, 64, 64)


def test_saving_pairs_never_overwrites(window: Window, frames: np.ndarray, tmp_path: Path) -> None:
    window.viewer.add_image(frames, name="backgrounds")
    widget = open_inspect(window)
    for _ in range(2):
        widget.save_pairs(tmp_path / "pairs")
        window.wait(lambda: done(window, widget))
    assert len(list((tmp_path / "pairs" / "angiograms").iterdir())) == 4
    first, second = window.messages
    assert first.startswith("4 pairs ")
    assert str(tmp_path / "pairs") in second


def test_stopping_closing_and_nothing_to_inspect(window: Window, frames: np.ndarray) -> None:
    widget = open_inspect(window)
    widget.frames.try_noise.click()
    widget.frames.assess.click()
    assert [message[:12] for message in window.messages] == ["There are no"] * 2
    widget.pairs.backgrounds.choose(window.viewer.add_image(frames, name="frames"))
    widget.pairs.count.setValue(1000)
    widget.pairs.make.click()
    window.wait(lambda: "done" in widget.state.text())
    widget.pairs.make.click()
    window.wait(lambda: done(window, widget))
    made = len(window.viewer.layers["pairs: background"].data)
    assert 0 < made < 1000
    widget.pairs.make.click()
    window.viewer.window.remove_dock_widget(widget.parent())
    window.finish()
    window.viewer.add_image(frames, name="later")  # the closed widget hears nothing of it
    window.qtbot.wait(50)


@pytest.mark.parametrize("ndim", [2, 4])
def test_geometry_of_stacks_over_layers_of_other_dimensions(ndim: int) -> None:
    from napari.layers import Image

    image = Image(
        np.zeros((2,) * (ndim - 2) + (5, 7)), scale=(3,) * (ndim - 2) + (0.5, 2), rotate=20 if ndim == 2 else 0
    )
    stack = Image(np.zeros((6, 5, 7)), **stack_geometry(image))
    for corner in ((0, 0), (4, 0), (0, 6)):
        wanted = image.data_to_world((0,) * (ndim - 2) + corner)[-2:]
        np.testing.assert_allclose(stack.data_to_world((5, *corner)), (5 if ndim == 2 else 15, *wanted), atol=1e-9)
