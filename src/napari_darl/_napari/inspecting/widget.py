"""The Inspect widget: synthetic pairs and what path A finds in them, and how sure path A is of real frames."""

from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image
from napari.utils.notifications import show_error, show_info
from qtpy.compat import isalive
from qtpy.QtWidgets import (
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QTabWidget,
    QWidget,
)

from napari_darl._napari.command_line import copy_button, copy_command
from napari_darl._napari.device_picker import DevicePicker
from napari_darl._napari.geometry import geometry
from napari_darl._napari.inspecting import display, work
from napari_darl._napari.inspecting.tables import ResultTable
from napari_darl._napari.layers import bare, frames_shape, layout, visible_frame
from napari_darl._napari.pickers import (
    ModelPicker,
    explanation,
    resize_box,
    scrolled_column,
    show_polarity,
    spin_box,
    vessels_choice,
)
from napari_darl._napari.segmenting.segmenter import Segmenter
from napari_darl._napari.stacks import StackPicker
from napari_darl._napari.task import Task, Work
from napari_darl.inference.options import SegmentOptions

if TYPE_CHECKING:
    import napari.viewer

    from napari_darl._napari.inspecting.display import Geometry
    from napari_darl._napari.inspecting.work import FrameSettings, JudgedPair, NoisyResult, PairSettings
    from napari_darl.inference.trust import Trust

_SAMPLED = "none: sampled from noise"


class InspectWidget(QWidget):
    """Shows what a model does, so that it can be judged without ground truth.

    Policy: one task at a time. Each result replaces the layers of the former one, unless the user has renamed or edited
    one of these. The tables refer to the latest ones.
    """

    def __init__(self, viewer: "napari.viewer.Viewer") -> None:
        super().__init__()
        self._viewer = viewer
        self._task: Task | None = None
        self._stacks: dict[ResultTable, Image] = {}
        self._results: defaultdict[str, display.Results] = defaultdict(partial(display.Results, viewer))
        self.model = ModelPicker(viewer)
        if newest := Segmenter.of(viewer).newest_model:
            self.model.choose(newest)
        self.device = DevicePicker()
        self.tabs = QTabWidget()
        self.tabs.addTab(self._pairs_tab(), "Synthetic pairs")
        self.tabs.addTab(self._frames_tab(), "Real frames")
        self.tabs.setTabToolTip(0, "What path B makes, and what path A finds in it.")
        self.tabs.setTabToolTip(1, "How sure path A is of your own frames.")
        self.copy = copy_button()
        self.copy.clicked.connect(self._copy)
        self.state = explanation()
        top = QFormLayout()
        top.addRow("model", self.model)
        top.addRow("device", self.device)
        column = scrolled_column(self)
        column.addLayout(top)
        column.addWidget(self.tabs, 1)
        column.addWidget(self.copy)
        column.addWidget(self.state)

        if any(isinstance(bare(layer), Image) for layer in viewer.layers):
            self.backgrounds.choose(self.frames.chosen)
        for table in (self.pairs, self.scores, self.noises):
            table.chosen.connect(partial(self._show_row, table))
        Segmenter.of(viewer).offered.connect(self.model.choose)

    def _pairs_tab(self) -> QWidget:
        sampled = {_SAMPLED: f"The denoiser samples backgrounds of {work.SIDE} x {work.SIDE} pixels."}
        self.backgrounds = StackPicker(
            self._viewer, sampled, 0, "Frames into which path B draws vessels; best without contrast agent."
        )
        self.count = spin_box(1, 10_000, 8, "Number of pairs.")
        self.noise_level = spin_box(0, 1999, 0, "Timestep up to which backgrounds are noised; 0 adds no noise.")
        self.make = QPushButton("Make pairs")
        self.make.setToolTip("Makes synthetic angiograms with their masks, and segments them again.")
        self.chain = QPushButton("Show chain")
        self.chain.setToolTip("Shows as a stack how the denoiser makes a background from noise, step by step.")
        self.save = QPushButton("Save pairs...")
        self.save.setToolTip("Makes the pairs again, of all sizes, and saves them in a folder to train other networks.")
        self.pairs = ResultTable("pair", "Dice", "clDice", tip="The cycle masks against the pseudo-masks.")
        self.make.clicked.connect(self._make_pairs)
        self.save.clicked.connect(self._ask_save)
        self.chain.clicked.connect(self._show_chain)

        tab = QWidget()
        form = QFormLayout(tab)
        form.addRow("backgrounds", self.backgrounds)
        form.addRow("pairs", self.count)
        form.addRow("noise level", self.noise_level)
        row = QHBoxLayout()
        for button in (self.make, self.save, self.chain):
            row.addWidget(button)
        form.addRow(row)
        form.addRow(self.pairs)
        return tab

    def _frames_tab(self) -> QWidget:
        self.frames = StackPicker(self._viewer, {}, 0, "Real frames on which the model is tested.")
        self.vessels = vessels_choice()
        show_polarity(self.vessels, self.model.model)
        self.model.changed.connect(self._show_polarity)
        self.resize_factor = resize_box(may_estimate=True)
        self.assess = QPushButton("Assess frames")
        self.assess.setToolTip("Scores each frame without labels, and adds maps of uncertainty.")
        self.scores = ResultTable("frame", "score", tip="How sure the model is of each frame, 0 to 1.")
        self.words = explanation()
        self.levels = QLineEdit("50, 100, 200, 400")
        self.levels.setToolTip("Timesteps, separated by commas, up to which the visible frame is noised.")
        self.try_noise = QPushButton("Try noise")
        self.try_noise.setToolTip("Segments the visible frame at these timesteps, and with Gaussian noise.")
        self.noises = ResultTable("view", "noise", "vessel %", "Dice", tip="Masks under noise against that without it.")
        self.assess.clicked.connect(self._assess)
        self.try_noise.clicked.connect(self._try_noise)

        tab = QWidget()
        form = QFormLayout(tab)
        form.addRow("frames", self.frames)
        form.addRow("vessels", self.vessels)
        form.addRow("resize", self.resize_factor)
        form.addRow(self.assess)
        form.addRow(self.scores)
        form.addRow(self.words)
        form.addRow("noise levels", self.levels)
        form.addRow(self.try_noise)
        form.addRow(self.noises)
        return tab

    def _show_polarity(self) -> None:
        show_polarity(self.vessels, self.model.model)

    def save_pairs(self, folder: Path) -> None:
        """Synthesise pairs into a folder, in the background."""
        self._run(
            partial(work.save_pairs, self._pair_settings(), folder),
            "Saving pairs",
            lambda names: show_info(f"{len(names)} pairs were saved in {folder}."),
        )

    def _pair_settings(self) -> "PairSettings":
        return work.PairSettings(
            self.model.model,
            self.device.device,
            self.count.value(),
            self.noise_level.value(),
            self.backgrounds.reading(),
        )

    def _frame_settings(self) -> "FrameSettings | None":
        """Return the settings, or None after an error message if there are no frames."""
        reading = self.frames.reading()
        if reading is None:
            show_error("There are no frames. Open some, or choose a folder of frames.")
            return None
        options = SegmentOptions(
            bright=self.vessels.currentText() == "bright",
            resize=self.resize_factor.value() or None,
            device=self.device.device,
        )
        return work.FrameSettings(self.model.model, options, reading)

    def _make_pairs(self) -> None:
        if self._stop():
            return
        show = partial(self._show_pairs, self.backgrounds.layer_geometry())
        self._run(partial(work.make_pairs, self._pair_settings()), "Making pairs", show)

    def _show_chain(self) -> None:
        if self._stop():
            return
        sampling = partial(work.sample_background, self.model.model, self.device.device)
        self._run(sampling, "Sampling", lambda steps: self._results["chain"].show([display.chain_layer(steps)]))

    def _try_noise(self) -> None:
        if self._stop() or (settings := self._frame_settings()) is None:
            return
        try:
            levels = [int(part) for part in self.levels.text().split(",") if part.strip()]
        except ValueError:
            show_error(f"The noise levels are '{self.levels.text()}'. Enter timesteps, separated by commas.")
            return
        chosen, index = self.frames.chosen, 0
        if isinstance(chosen, Image) and chosen.ndim > 2:
            index = int(np.ravel_multi_index(visible_frame(chosen, self._viewer), frames_shape(chosen)[:-2]))
        show = partial(self._show_noise, self.frames.layer_geometry())
        self._run(partial(work.try_noise, settings, index, levels), "Trying noise", show)

    def _assess(self) -> None:
        if self._stop() or (settings := self._frame_settings()) is None:
            return
        chosen = self.frames.chosen
        if isinstance(chosen, Image):  # the maps get its axes, whatever their order
            show = partial(self._show_scores, geometry(chosen), layout(chosen))
        else:
            show = partial(self._show_scores, self.frames.layer_geometry(), np.asarray)
        self._run(partial(work.assess_frames, settings), "Assessing", show)

    def _ask_save(self) -> None:
        if self._stop():
            return
        folder = QFileDialog.getExistingDirectory(self, "Folder for the pairs")
        if folder:
            self.save_pairs(Path(folder))

    def _copy(self) -> None:
        """Copy what the shown tab does: `synthesize` or `assess`."""
        model = {"model": self.model.model, "device": self.device.device if self.device.device != "auto" else None}
        if self.tabs.currentIndex() == 0:
            stack = None if self.backgrounds.chosen == _SAMPLED else self.backgrounds.source()
            count, level = self.count.value(), self.noise_level.value()
            options = {"output": "pairs", "count": count, "backgrounds": stack, "noise_level": level or None, **model}
            copy_command("synthesize", {}, options)
        elif (source := self.frames.source()) is None:
            show_error("No command takes several layers. Choose one layer, a folder or a file of frames.")
        else:
            options = {"resize": self.resize_factor.value() or None, self.vessels.currentText(): True, **model}
            copy_command("assess", {"frames.tif": source}, options)

    def _stop(self) -> bool:
        """Stop the task under way, for which all buttons serve; return whether there was one."""
        if self._task is None:
            return False
        self._task.cancel()
        return True

    def _run(self, job: Work, title: str, show: Callable[[list[Any]], None]) -> None:
        """Start a task. What it has yielded is shown at its end, also if it was stopped or has failed."""
        results: list[Any] = []
        texts = {button: button.text() for button in (self.make, self.save, self.chain, self.assess, self.try_noise)}

        def receive(result: Any) -> None:
            if not isalive(self):  # type: ignore[no-untyped-call] # the widget was closed meanwhile
                if self._task:
                    self._task.drop()
                return
            results.append(result)
            self.state.setText(f"{title}: {len(results)} done")

        def end(cancelled: bool) -> None:
            self._task = None
            if not isalive(self):  # type: ignore[no-untyped-call]
                return
            for button, text in texts.items():
                button.setText(text)
            self.state.setText("Stopped." if cancelled else "")
            if results:
                show(results)

        for button in texts:
            button.setText("Stop")
        self.state.setText("Loading the model...")
        self._task = Task(job, self._viewer, title=title, total=0, on_yield=receive, on_end=end)

    def _show_pairs(self, where: "Geometry", results: "list[JudgedPair]") -> None:
        layers = display.pair_layers(results, where)
        self._results["pairs"].show(layers)
        self._stacks[self.pairs] = layers[1]
        self.pairs.fill((result.dice, result.cldice) for result in results)
        self.pairs.selectRow(0)
        dice, cldice = (np.mean(values) for values in zip(*((r.dice, r.cldice) for r in results), strict=True))
        show_info(
            f"{len(results)} pairs: mean Dice {dice:.2f} and clDice {cldice:.2f} of the cycle masks against the "
            "pseudo-masks."
        )

    def _show_scores(self, where: "Geometry", laid_out: Callable[[Any], Any], results: "list[Trust]") -> None:
        maps = laid_out(np.stack([trust.uncertainty for trust in results]))
        scores = [trust.score for trust in results]
        self._stacks[self.scores] = layer = display.uncertainty_layer(maps, where)
        self._results["uncertainty"].show([layer])
        self.scores.fill((score,) for score in scores)
        worst = int(np.argmin(scores))
        self.words.setText(
            f"The mean score is {np.mean(scores):.2f}; look at frame {worst} first ({scores[worst]:.2f}). A score of 1 "
            "means that all views of a frame give the same, certain mask. The score ranks frames about as an expert "
            "would. It is no Dice, and it can't show what the model has never learned."
        )

    def _show_noise(self, where: "Geometry", results: "list[NoisyResult]") -> None:
        layers = display.noise_layers(results, where)
        self._results["noise"].show(layers)
        self._stacks[self.noises] = layers[0]
        rows = [result.robustness for result in results]
        self.noises.fill((row.noise, row.vessel, row.agreement) for row in rows)
        self.noises.selectRow(0)

    def _show_row(self, table: ResultTable, number: int) -> None:
        layer = self._stacks.get(table)
        if layer is not None and layer in self._viewer.layers:
            display.show_frame(self._viewer, layer, number)
