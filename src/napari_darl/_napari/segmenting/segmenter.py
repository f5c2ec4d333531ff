"""Segmentation in a viewer: one run at a time, and the results of past runs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from napari.layers import Image, Layer
from napari.utils.notifications import show_info
from qtpy.QtCore import QObject, QTimer, Signal

from napari_darl._napari.layers import Index, bare, mask_layer, pixels, visible_frame
from napari_darl._napari.open_viewer import OpenViewer
from napari_darl._napari.segmenting.autosave import Autosave, edits_store
from napari_darl._napari.segmenting.edits import About
from napari_darl._napari.segmenting.options import Options, Update
from napari_darl._napari.segmenting.result import Result
from napari_darl._napari.segmenting.run import Run
from napari_darl._napari.task import Task
from napari_darl.errors import InputError
from napari_darl.frames.regions import EVERYTHING, FIELD_OF_VIEW, field_of_view
from napari_darl.inference.cleaning import Cleaning
from napari_darl.io.arrays import ImageData

if TYPE_CHECKING:
    import napari

_segmenters: "WeakKeyDictionary[napari.Viewer, Segmenter]" = WeakKeyDictionary()


@dataclass
class _Current:
    """The run under way, and how far it has come.

    Attributes
    ----------
    run : Run
        What the thread does.
    cleaning : Cleaning
        How its probabilities become masks.
    result : Result, optional
        Where its parts go; None before the first part.
    last : Update, optional
        The latest message; None while the model is loaded.
    finished : int
        Number of complete frames.
    """

    run: Run
    cleaning: Cleaning
    result: Result | None = None
    last: Update | None = None
    finished: int = 0

    def describe(self) -> str:
        """Return in a few words how far the run has come."""
        if self.last is None:
            return "Loading the model"
        part = self.last.part
        if part is not None and part.total > 1:
            return f"Segmented {part.number} of {part.total} parts"
        if self.run.total == 1:
            return f"Segmenting '{self.run.name}'"
        return f"Segmented {self.finished} of {self.run.total} frames"


class Segmenter(QObject):
    """Segments the layers of one viewer for the menu command and the widget; get it from `Segmenter.of(viewer)`.

    A result's mask follows the cleaning, and a further run replaces it, until the user edits it. Then it is left alone.

    Signals
    -------
    changed
        A run began, advanced or ended, or a result was edited by the user or removed.
    offered : str
        A model was trained in this viewer; widgets choose it.
    """

    changed = Signal()
    offered = Signal(str)

    def __init__(self, viewer: "napari.Viewer") -> None:
        super().__init__()
        self._viewer = OpenViewer(viewer)
        self._task: Task | None = None
        self._current: _Current | None = None
        self._results: list[Result] = []
        self.newest_model: str | None = None
        self._autosave = Autosave(self._visible)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._clean_next)
        viewer.layers.events.removed.connect(self._layer_removed)

    @classmethod
    def of(cls, viewer: "napari.Viewer") -> "Segmenter":
        """Return the viewer's segmenter, which is created by the first call."""
        viewer = bare(viewer)
        if viewer not in _segmenters:
            _segmenters[viewer] = cls(viewer)
        return _segmenters[viewer]

    @property
    def progress(self) -> str:
        """Return how far the run under way has come, in words; "" without a run."""
        return self._current.describe() if self._current else ""

    def offer(self, model: str) -> None:
        """Choose a model in all widgets, those that are open and those that will be opened."""
        self.newest_model = model
        self.offered.emit(model)

    def result_on(self, layer: Layer | None) -> Result | None:
        """Return the result whose mask is `layer`, or the latest one of the image `layer`, or None."""
        layer = bare(layer)
        matching = [result for result in self._results if layer is result.layer or layer is result.image]
        return matching[-1] if matching else None

    def run(self, image: Image, options: Options, cleaning: Cleaning) -> None:
        """Segment a layer in the background.

        Parameters
        ----------
        image : Image
            The layer.
        options : Options
            How to segment it.
        cleaning : Cleaning
            How probability becomes the mask.

        Raises
        ------
        InputError
            If another run is under way.
        """
        self._run_into(None, bare(image), options, cleaning)

    def restore(self, image: Image, name: str) -> Result | None:
        """Put edits that weren't saved into a new mask over their image, and segment the frames that weren't edited.

        Parameters
        ----------
        image : Image
            The layer.
        name : str
            What `find_edits` found for it.

        Returns
        -------
        Result or None
            The new result; None if the viewer is gone.

        Raises
        ------
        DarlError
            If the edits can't be read, or a run is under way.
        """
        viewer, image = self._viewer(), bare(image)
        self._refuse_second_run()
        if viewer is None:
            return None
        edits = edits_store().read(name)
        options = _options(edits.about, image)
        update = Update(options, edits.about.provenance)
        result = self._add_result(image, update, edits.about.cleaning, viewer, name)
        for index, frame in edits.frames.items():
            result.restore(index, frame.labels, frame.own)
            if frame.finished:
                result.finish(index, True)
        self._autosave.look_at(result, everywhere=True)
        if options.region.name != edits.about.region:
            show_info(f"The region '{edits.about.region}' isn't known any more. Other frames are segmented everywhere.")
        self._run_into(result, image, options, edits.about.cleaning)
        return result

    def finish(self, result: Result, finished: bool) -> None:
        """Tick the visible frame of a result as finished, or take the tick back."""
        result.finish(self._visible(result), finished)
        self._autosave.look_at(result)
        self.changed.emit()

    def _refuse_second_run(self) -> None:
        if self._current:
            raise InputError(
                f"'{self._current.run.image.name}' is being segmented. Wait until it is done, or cancel it."
            )

    def _run_into(self, result: Result | None, image: Image, options: Options, cleaning: Cleaning) -> None:
        """Segment a layer into a result, or into the image's own or a new one."""
        viewer = self._viewer()
        if viewer is None:
            return
        self._refuse_second_run()
        run = Run(image, options, viewer)
        self._current = _Current(run, cleaning, result)
        self._task = Task(
            run.work,
            viewer,
            title="Segmenting",  # a longer one would push the Cancel button out of napari's dock
            total=run.total if run.total > 1 else 0,
            on_yield=self._receive,
            on_end=self._end,
        )
        self.changed.emit()

    def cancel(self) -> None:
        """Stop the run under way after the current tile; the frames that it has segmented stay."""
        if self._task:
            self._task.cancel()

    def begin_with(self, image: Image | None, cleaning: Cleaning) -> None:
        """Set the cleaning for a run on an image that has no result yet."""
        current = self._current
        if current and current.result is None and current.run.image is image:
            current.cleaning = cleaning

    def clean(self, result: Result, cleaning: Cleaning) -> None:
        """Make the mask of a result again: the visible frame at once, the others when the window is idle."""
        if (viewer := self._viewer()) is not None:
            result.clean(cleaning, visible_frame(result.image, viewer))
            self._timer.start(0)

    def _clean_next(self) -> None:
        viewer = self._viewer()
        if viewer is None or not any(r.clean_next(visible_frame(r.image, viewer)) for r in self._results):
            self._timer.stop()

    def _receive(self, update: Update) -> None:
        viewer, current = self._viewer(), self._current
        if viewer is None or current is None:
            return
        if not current.run.is_current():
            raise InputError(f"The pixels of '{current.run.image.name}' were replaced. Segment the image again.")
        current.last = update
        if update.part is not None:
            if current.result is None:
                current.result = self._result_for(current, update, viewer)
            current.result.add(update.part)
            current.finished += update.part.is_last
            if self._task:
                self._task.show(current.finished)
        self.changed.emit()

    def _result_for(self, current: _Current, update: Update, viewer: "napari.Viewer") -> Result:
        """Return the image's latest result if the user hasn't edited it, else one with a new layer."""
        image = current.run.image
        latest = next((result for result in reversed(self._results) if result.image is image), None)
        if latest and latest.fits(image):
            latest.resume(update, current.cleaning)
            return latest
        return self._add_result(image, update, current.cleaning, viewer)

    def _add_result(
        self, image: Image, update: Update, cleaning: Cleaning, viewer: "napari.Viewer", edits: str | None = None
    ) -> Result:
        layer = mask_layer(image, viewer)
        viewer.add_layer(layer)  # may change its name, which a `Result` takes for the user's doing
        result = Result(image, layer, update, cleaning, self.changed.emit)
        self._results.append(result)
        self._autosave.watch(result, edits)
        return result

    def _visible(self, result: Result) -> Index:
        viewer = self._viewer()
        return visible_frame(result.image, viewer) if viewer is not None else min(result.done, default=())

    def _end(self, cancelled: bool) -> None:
        current, self._current, self._task = self._current, None, None
        if current and cancelled:
            show_info(f"Stopped: {current.finished} of {current.run.total} frames are segmented.")
        elif current and current.result and current.finished == current.run.total:
            _report_if_empty(current.result)
        self.changed.emit()

    def _layer_removed(self, event: Any) -> None:
        removed, current = event.value, self._current
        for result in self._results:
            if removed is result.layer:
                self._autosave.release(result)
        self._results = [result for result in self._results if removed is not result.layer]
        if current and self._task and removed in (current.run.image, current.result and current.result.layer):
            self._task.drop()
        self.changed.emit()


def _report_if_empty(result: Result) -> None:
    if not result.layer.data.any():
        show_info(
            f"No vessels were found in '{result.image.name}'. "
            "Try bright vessels, a lower threshold or another resize factor."
        )


def _options(about: About, image: Image) -> Options:
    """Return the options of edits; of a region that was drawn nothing is known but its name."""
    region = field_of_view(ImageData(pixels(image), bool(image.rgb))) if about.region == FIELD_OF_VIEW else EVERYTHING
    return Options(about.model, about.segment, region)
