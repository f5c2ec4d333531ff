"""The Inspect widget: pairs that path B makes and what path A finds in them; how sure path A is of real frames."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from napari.utils.colormaps import DirectLabelColormap
from napari.utils.notifications import show_error, show_info
from qtpy.compat import isalive
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QTableWidget,
    QTableWidgetItem,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from napari_darl._napari.geometry import geometry
from napari_darl._napari.inspecting.work import SIZE, assessing, making, noising, sampling, saving
from napari_darl._napari.layers import (
    bare,
    frame_order,
    frames_shape,
    keeping_selection,
    layout,
    to_world,
    visible_frame,
)
from napari_darl._napari.pickers import DevicePicker, ModelPicker, explanation, resize_box, vessels_choice
from napari_darl._napari.segmenting.segmenter import Segmenter
from napari_darl._napari.stacks import Reading, StackPicker
from napari_darl._napari.task import Task, Work

if TYPE_CHECKING:
    import napari.viewer

    from napari_darl.evaluation.robustness import Robustness
    from napari_darl.inference.noise import NoisyView
    from napari_darl.inference.synthesize import SyntheticPair
    from napari_darl.inference.trust import Trust

_PSEUDO, _CYCLE = "#20c0ff", "#ff8020"
_CONTOUR = 1  # px
_SAMPLED = "none: sampled from noise"


class InspectWidget(QWidget):
    """Shows what a model makes, so that a person can judge it without ground truth.

    Policy: each click makes new layers, which are the user's from then on; the tables point into the latest ones.
    """

    def __init__(self, viewer: "napari.viewer.Viewer") -> None:
        super().__init__()
        self._viewer = viewer
        self._task: Task | None = None
        self._stacks: dict[QTableWidget, Image] = {}
        self.model = ModelPicker(viewer)
        if newest := Segmenter.of(viewer).newest_model:
            self.model.choose(newest)
        self.device = DevicePicker()
        sampled = {_SAMPLED: f"The denoiser makes {SIZE} x {SIZE} pixels of background by the reverse process."}
        self.backgrounds = StackPicker(
            viewer, sampled, 0, "Frames that path B draws vessels into; best without contrast."
        )
        self.count = _spin(1, 10_000, 8, "Pairs to make.")
        self.noise_level = _spin(0, 1999, 0, "Timestep at which backgrounds are noised; 0 leaves them as they are.")
        self.make = QPushButton("Make pairs")
        self.chain = QPushButton("Show chain")
        self.chain.setToolTip("How the denoiser makes a background out of noise, step by step, as a stack.")
        self.save = QPushButton("Save pairs...")
        self.save.setToolTip("Makes the pairs anew, all sizes, into a folder: to train other networks with.")
        self.pairs = _table("pair", "Dice", "clDice")
        self.frames = StackPicker(viewer, {}, 0, "Real frames, to see how sure the model is of them.")
        self.vessels = vessels_choice()
        self.resize_factor = resize_box(guessed=True)
        self.assess = QPushButton("Assess frames")
        self.scores = _table("frame", "score")
        self.levels = QLineEdit("50, 100, 200, 400")
        self.levels.setToolTip("Timesteps at which path A looks at the frame that you see, noised accordingly.")
        self.try_noise = QPushButton("Try noise")
        self.try_noise.setToolTip("Segments the frame that you see at these timesteps, and with Gaussian noise.")
        self.noises = _table("view", "noise", "vessel %", "Dice")
        self.state = explanation()
        self.words = explanation()
        self._lay_out()

        self.make.clicked.connect(self._make_pairs)
        self.save.clicked.connect(self._ask_save)
        self.assess.clicked.connect(self._assess)
        self.chain.clicked.connect(self._show_chain)
        self.try_noise.clicked.connect(self._try_noise)
        if any(isinstance(bare(layer), Image) for layer in viewer.layers):
            self.backgrounds.choose(self.frames.chosen)
        for table in (self.pairs, self.scores, self.noises):
            table.itemSelectionChanged.connect(lambda table=table: self._jump(table))
        Segmenter.of(viewer).offered.connect(self.model.choose)

    def save_pairs(self, folder: Path) -> None:
        """Make pairs into a folder, in the background."""
        self._run(
            partial(saving, self.backgrounds.reading(), self._settings(), folder),
            "Saving pairs",
            lambda done: show_info(f"{len(done)} pairs saved in {folder}."),
        )

    def _lay_out(self) -> None:
        top = QFormLayout()
        top.addRow("model", self.model)
        top.addRow("device", self.device)
        made, real = QWidget(), QWidget()
        self.tabs = QTabWidget()
        self.tabs.addTab(made, "What path B makes")
        self.tabs.addTab(real, "Real frames")
        form = QFormLayout(made)
        form.addRow("backgrounds", self.backgrounds)
        form.addRow("pairs", self.count)
        form.addRow("noise level", self.noise_level)
        row = QHBoxLayout()
        row.addWidget(self.make)
        row.addWidget(self.save)
        row.addWidget(self.chain)
        form.addRow(row)
        form.addRow(self.pairs)
        form = QFormLayout(real)
        form.addRow("frames", self.frames)
        form.addRow("vessels", self.vessels)
        form.addRow("resize", self.resize_factor)
        form.addRow(self.assess)
        form.addRow(self.scores)
        form.addRow(self.words)
        form.addRow("noise levels", self.levels)
        form.addRow(self.try_noise)
        form.addRow(self.noises)
        column = QVBoxLayout(self)
        column.addLayout(top)
        column.addWidget(self.tabs, 1)
        column.addWidget(self.state)

    @property
    def _buttons(self) -> tuple[QPushButton, ...]:
        return (self.make, self.save, self.chain, self.assess, self.try_noise)

    def _settings(self) -> dict[str, Any]:
        return {
            "model": self.model.model,
            "device": self.device.device,
            "count": self.count.value(),
            "noise_level": self.noise_level.value(),
            "bright": self.vessels.currentText() == "bright",
            "resize": self.resize_factor.value() or None,
        }

    def _real_frames(self) -> Reading | None:
        reading = self.frames.reading()
        if reading is None:
            show_error("There are no frames: open some, or choose a folder of them.")
        return reading

    def _make_pairs(self) -> None:
        if self._stop():
            return
        work = partial(making, self.backgrounds.reading(), self._settings())
        source = self.backgrounds.place()
        self._run(work, "Making pairs", lambda found: self._show_pairs(found, source))

    def _show_chain(self) -> None:
        if self._stop():
            return

        def show(found: list[Any]) -> None:
            with keeping_selection(self._viewer):
                self._add(Image, np.stack(found), "reverse process", {}, contrast_limits=(-1, 1))

        self._run(partial(sampling, self._settings()), "Sampling", show)

    def _try_noise(self) -> None:
        if self._stop() or (reading := self._real_frames()) is None:
            return
        try:
            levels = [int(part) for part in self.levels.text().split(",") if part.strip()]
        except ValueError:
            show_error(f"The noise levels are '{self.levels.text()}': give timesteps with commas between them.")
            return
        source, chosen, index = self.frames.place(), self.frames.chosen, 0
        if isinstance(chosen, Image) and chosen.ndim > 2:
            index = int(np.ravel_multi_index(visible_frame(chosen, self._viewer), frames_shape(chosen)[:-2]))
        work = partial(noising, reading, self._settings(), index, levels)
        self._run(work, "Trying noise", lambda found: self._show_noise(found, source))

    def _assess(self) -> None:
        if self._stop() or (reading := self._real_frames()) is None:
            return
        chosen = self.frames.chosen
        if isinstance(chosen, Image):  # over its frames, whatever their axes
            source, laid_out = geometry(chosen), layout(chosen)
        else:
            source, laid_out = self.frames.place(), np.asarray

        def show(found: "list[Trust]") -> None:
            maps = np.stack([trust.uncertainty for trust in found])
            self._show_scores([trust.score for trust in found], laid_out(maps), source)

        self._run(partial(assessing, reading, self._settings()), "Assessing", show)

    def _ask_save(self) -> None:
        if self._stop():
            return
        folder = QFileDialog.getExistingDirectory(self, "Folder for the pairs")
        if folder:
            self.save_pairs(Path(folder))

    def _stop(self) -> bool:
        """Stop what is under way, which the buttons do then; tell whether there was something."""
        if self._task is None:
            return False
        self._task.cancel()
        return True

    def _run(self, work: Work, title: str, show: Callable[[list[Any]], None]) -> None:
        """Do work whose last word is none; show what it has found, also if a person stops it or it fails."""
        found: list[Any] = []
        texts = {button: button.text() for button in self._buttons}

        def take(thing: Any) -> None:
            if not isalive(self):  # type: ignore[no-untyped-call] # the widget was closed meanwhile
                if self._task:
                    self._task.drop()
                return
            found.append(thing)
            self.state.setText(f"{title}: {len(found)} done")

        def end(cancelled: bool) -> None:
            self._task = None
            if not isalive(self):  # type: ignore[no-untyped-call]
                return
            for button, text in texts.items():
                button.setText(text)
            self.state.setText("Stopped." if cancelled else "")
            if done := [thing for thing in found if thing is not None]:
                show(done)

        for button in texts:
            button.setText("Stop")
        self.state.setText("Loading the model...")
        self._task = Task(work, self._viewer, title=title, total=0, on_yield=take, on_end=end)

    def _show_pairs(self, found: "list[tuple[SyntheticPair, float, float]]", source: dict[str, Any]) -> None:
        pairs = [pair for pair, *_ in found]
        with keeping_selection(self._viewer):
            self._add(Image, np.stack([pair.background for pair in pairs]), "pairs: background", source, visible=False)
            fake = self._add(Image, np.stack([pair.angiogram for pair in pairs]), "pairs: fake angiogram", source)
            for kind, masks, colour in (
                ("pseudo-mask", [pair.mask for pair in pairs], _PSEUDO),
                ("cycle mask", [pair.cycle_probability > 0.5 for pair in pairs], _CYCLE),
            ):
                colours = DirectLabelColormap(color_dict={None: colour, 0: "transparent", 1: colour})
                layer = self._add(Labels, np.stack(masks).astype(np.uint8), f"pairs: {kind}", source, colormap=colours)
                layer.contour = _CONTOUR
        _fill(self.pairs, [(dice, cldice) for _, dice, cldice in found])
        self._stacks[self.pairs] = fake
        self.pairs.selectRow(0)
        means = np.mean([values for _, *values in found], axis=0)
        show_info(f"{len(found)} pairs: mean Dice {means[0]:.2f}, clDice {means[1]:.2f} of what went in and came back.")

    def _show_scores(self, scores: list[float], maps: Any, source: dict[str, Any]) -> None:
        with keeping_selection(self._viewer):
            layer = self._add(
                Image,
                maps,
                "uncertainty",
                source,
                rgb=False,
                colormap="magma",
                blending="additive",
                contrast_limits=(0, 0.5),
            )
        _fill(self.scores, [(score,) for score in scores])
        self._stacks[self.scores] = layer
        worst = int(np.argmin(scores))
        self.words.setText(
            f"Mean score {np.mean(scores):.2f}; the frame to look at first is {worst} ({scores[worst]:.2f}). A score "
            "of 1 says that all views of a frame give the same sure mask. It orders frames, more or less, as an expert "
            "would; it isn't a Dice, and says nothing of what the model doesn't know."
        )

    def _show_noise(self, found: "list[tuple[NoisyView, Robustness]]", source: dict[str, Any]) -> None:
        colours = DirectLabelColormap(color_dict={None: _CYCLE, 0: "transparent", 1: _CYCLE})
        masks = np.stack([view.probability > 0.5 for view, _ in found]).astype(np.uint8)
        with keeping_selection(self._viewer):
            layer = self._add(Image, np.stack([view.frame for view, _ in found]), "noise: frame", source)
            self._add(Labels, masks, "noise: mask", source, colormap=colours, opacity=0.5)
        _fill(self.noises, [(row.noise, row.vessel, row.agreement) for _, row in found])
        self._stacks[self.noises] = layer
        self.noises.selectRow(0)

    def _add(self, kind: type, data: Any, name: str, source: dict[str, Any], **look: Any) -> Any:
        layer = kind(data, name=name, **source, **look)
        self._viewer.add_layer(layer)
        return layer

    def _jump(self, table: QTableWidget) -> None:
        """Show the pair or frame of the selected row."""
        rows = table.selectionModel().selectedRows()
        layer = self._stacks.get(table)
        if rows and layer is not None and layer in self._viewer.layers:
            leading = list(frame_order(layer)[:-2])
            point = np.zeros(layer.ndim)
            point[leading] = np.unravel_index(int(rows[0].data(Qt.ItemDataRole.DisplayRole)), frames_shape(layer)[:-2])
            world = to_world(layer, point, self._viewer)
            for axis in leading:
                self._viewer.dims.set_point(self._viewer.dims.ndim - layer.ndim + axis, world[axis])


def _fill(table: QTableWidget, rows: list[tuple[float | str, ...]]) -> None:
    table.setSortingEnabled(False)
    table.setRowCount(len(rows))
    for number, values in enumerate(rows):
        for column, value in enumerate((number, *values)):
            item = QTableWidgetItem()
            shown = round(value, 3) if isinstance(value, float) else value
            item.setData(Qt.ItemDataRole.DisplayRole, shown)  # sorted as a number, if it is one
            item.setFlags(Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsEnabled)
            table.setItem(number, column, item)
    table.setSortingEnabled(True)
    table.sortItems(0)


def _table(*header: str) -> QTableWidget:
    table = QTableWidget(0, len(header))
    table.setHorizontalHeaderLabels(header)
    table.verticalHeader().hide()
    table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    table.setMinimumHeight(110)
    return table


def _spin(low: int, high: int, value: int, tip: str) -> QSpinBox:
    box = QSpinBox()
    box.setRange(low, high)
    box.setValue(value)
    box.setToolTip(tip)
    return box
