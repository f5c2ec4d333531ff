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
from qtpy.QtWidgets import QFileDialog, QFormLayout, QTabWidget, QWidget

from napari_darl._napari.command_line import copy_button, copy_command
from napari_darl._napari.device_picker import DevicePicker
from napari_darl._napari.geometry import geometry
from napari_darl._napari.inspecting import display, work
from napari_darl._napari.inspecting.frames_tab import FramesTab
from napari_darl._napari.inspecting.pairs_tab import PairsTab
from napari_darl._napari.inspecting.tables import ResultTable
from napari_darl._napari.layers import bare, layout
from napari_darl._napari.pickers import ModelPicker, explanation, scrolled_column
from napari_darl._napari.segmenting.segmenter import Segmenter
from napari_darl._napari.task import Task, Work
from napari_darl.errors import DarlError

if TYPE_CHECKING:
    import napari.viewer

    from napari_darl._napari.inspecting.display import Geometry
    from napari_darl._napari.inspecting.work import JudgedPair, NoisyResult
    from napari_darl._napari.segmenting.options import Options
    from napari_darl.inference.trust import Trust


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
        self._taken: Options | None = None
        self._results: defaultdict[str, display.Results] = defaultdict(partial(display.Results, viewer))
        self.model = ModelPicker(viewer)
        if newest := Segmenter.of(viewer).newest_model:
            self.model.choose(newest)
        self.device = DevicePicker()
        self.tabs = QTabWidget()
        self.pairs, self.frames = PairsTab(viewer), FramesTab(viewer)
        self.frames.suit(self.model.model)
        self.tabs.addTab(self.pairs, "Synthetic pairs")
        self.tabs.addTab(self.frames, "Real frames")
        self.tabs.setTabToolTip(0, "What path B makes, and what path A finds in it.")
        self.tabs.setTabToolTip(1, "How sure path A is of your own frames.")
        self.copy = copy_button()
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
            self.pairs.backgrounds.choose(self.frames.stack.chosen)
        self._connect()
        self._take_run()

    def _connect(self) -> None:
        self.model.changed.connect(self._model_changed)
        self.copy.clicked.connect(self._copy)
        self.pairs.make.clicked.connect(self._make_pairs)
        self.pairs.save.clicked.connect(self._ask_save)
        self.pairs.chain.clicked.connect(self._show_chain)
        self.frames.assess.clicked.connect(self._assess)
        self.frames.try_noise.clicked.connect(self._try_noise)
        for table in (self.pairs.table, self.frames.scores, self.frames.noises):
            table.chosen.connect(partial(self._show_row, table))
        segmenter = Segmenter.of(self._viewer)
        segmenter.offered.connect(self.model.choose)
        segmenter.changed.connect(self._take_run)
        self.frames.stack.changed.connect(self._take_run)

    def save_pairs(self, folder: Path) -> None:
        """Synthesise pairs into a folder, in the background."""
        self._run(
            partial(work.save_pairs, self.pairs.settings(*self._chosen), folder),
            "Saving pairs",
            lambda names: show_info(f"{len(names)} pairs were saved in {folder}."),
        )

    @property
    def _chosen(self) -> tuple[str, str]:
        """The model and the device."""
        return self.model.model, self.device.device

    def _model_changed(self) -> None:
        self.frames.suit(self.model.model)

    def _take_run(self) -> None:
        """Take the model and the options of the latest segmentation of the chosen frames, unless that was done."""
        image = self.frames.stack.chosen
        result = Segmenter.of(self._viewer).result_on(image) if isinstance(image, Image) else None
        if result is not None and result.options != self._taken:
            self._taken = result.options
            self.model.choose(result.options.model)
            self.frames.take(result.image, result.options)

    def _stop(self) -> bool:
        """Stop the task under way, for which all buttons serve; return whether there was one."""
        if self._task is None:
            return False
        self._task.cancel()
        return True

    def _make_pairs(self) -> None:
        if self._stop():
            return
        show = partial(self._show_pairs, self.pairs.backgrounds.layer_geometry())
        self._run(partial(work.make_pairs, self.pairs.settings(*self._chosen)), "Making pairs", show)

    def _show_chain(self) -> None:
        if self._stop():
            return
        sampling = partial(work.sample_background, *self._chosen)
        self._run(sampling, "Sampling", lambda steps: self._results["chain"].show([display.chain_layer(steps)]))

    def _try_noise(self) -> None:
        if self._stop():
            return
        try:
            settings, levels = self.frames.settings(*self._chosen), self.frames.noise_levels()
        except DarlError as error:
            show_error(str(error))
            return
        show = partial(self._show_noise, self.frames.stack.layer_geometry())
        self._run(partial(work.try_noise, settings, self.frames.visible_number(), levels), "Trying noise", show)

    def _assess(self) -> None:
        if self._stop():
            return
        try:
            settings = self.frames.settings(*self._chosen)
        except DarlError as error:
            show_error(str(error))
            return
        chosen = self.frames.stack.chosen
        if isinstance(chosen, Image):  # the maps get its axes, whatever their order
            show = partial(self._show_scores, geometry(chosen), layout(chosen))
        else:
            show = partial(self._show_scores, self.frames.stack.layer_geometry(), np.asarray)
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
        if self.tabs.currentWidget() is self.pairs:
            copy_command("synthesize", {}, {**self.pairs.command_options(), **model})
            return
        try:
            source, options = self.frames.command()
        except DarlError as error:
            show_error(str(error))
            return
        copy_command("assess", source, {**options, **model})

    def _run(self, job: Work, title: str, show: Callable[[list[Any]], None]) -> None:
        """Start a task. What it has yielded is shown at its end, also if it was stopped or has failed."""
        results: list[Any] = []
        buttons = (self.pairs.make, self.pairs.save, self.pairs.chain, self.frames.assess, self.frames.try_noise)
        texts = {button: button.text() for button in buttons}

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
        self._stacks[self.pairs.table] = layers[1]
        show_info(self.pairs.show_results(results))

    def _show_scores(self, where: "Geometry", laid_out: Callable[[Any], Any], results: "list[Trust]") -> None:
        maps = laid_out(np.stack([trust.uncertainty for trust in results]))
        self._stacks[self.frames.scores] = layer = display.uncertainty_layer(maps, where)
        self._results["uncertainty"].show([layer])
        self.frames.show_scores(results)

    def _show_noise(self, where: "Geometry", results: "list[NoisyResult]") -> None:
        layers = display.noise_layers(results, where)
        self._results["noise"].show(layers)
        self._stacks[self.frames.noises] = layers[0]
        self.frames.show_noises(results)

    def _show_row(self, table: ResultTable, number: int) -> None:
        layer = self._stacks.get(table)
        if layer is not None and layer in self._viewer.layers:
            display.show_frame(self._viewer, layer, number)
