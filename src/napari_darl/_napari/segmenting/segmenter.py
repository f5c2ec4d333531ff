"""Path A in a viewer: one run at a time, and what the runs have found."""

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

from napari.layers import Image, Layer
from napari.utils.notifications import show_info
from qtpy.QtCore import QObject, QTimer, Signal

from napari_darl._napari.layers import bare, mask_layer, visible_frame
from napari_darl._napari.segmenting.result import Result
from napari_darl._napari.segmenting.run import Options, Part, Run
from napari_darl._napari.task import Task
from napari_darl.errors import InputError
from napari_darl.inference.cleaning import Cleaning

if TYPE_CHECKING:
    import napari

_segmenters: "WeakKeyDictionary[napari.Viewer, Segmenter]" = WeakKeyDictionary()


class Segmenter(QObject):
    """Segments layers of one viewer, for the menu command and the widget alike; `Segmenter.of(viewer)` is the one.

    A result's mask follows the cleaning, and a further run replaces it, until a person edits it: then it is theirs.

    Signals
    -------
    changed
        A run began, came on or ended, or a result was edited by a person or removed.
    offered : str
        A model was made in this window, to be chosen where models are chosen.
    """

    changed = Signal()
    offered = Signal(str)

    def __init__(self, viewer: "napari.Viewer") -> None:
        super().__init__()
        self._viewer = ref(viewer)
        self._task: Task | None = None
        self._run: Run | None = None
        self._results: list[Result] = []
        self.newest_model: str | None = None
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._clean_next)
        viewer.layers.events.removed.connect(self._layer_removed)

    @classmethod
    def of(cls, viewer: "napari.Viewer") -> "Segmenter":
        """Give the viewer's segmenter, made when first asked for."""
        viewer = bare(viewer)
        if viewer not in _segmenters:
            _segmenters[viewer] = cls(viewer)
        return _segmenters[viewer]

    @property
    def progress(self) -> str:
        """Where the run under way stands, in words; "" without one."""
        return self._run.progress() if self._run else ""

    def offer(self, model: str) -> None:
        """Have widgets choose a model, those that are open and those that will be."""
        self.newest_model = model
        self.offered.emit(model)

    def result_on(self, layer: Layer | None) -> Result | None:
        """Give the result whose mask is `layer`, or the last one of the image `layer`; none if there is none."""
        layer = bare(layer)
        found = [result for result in self._results if layer is result.layer or layer is result.image]
        return found[-1] if found else None

    def run(self, image: Image, options: Options, cleaning: Cleaning) -> None:
        """Segment a layer in the background.

        Raises
        ------
        InputError
            If another run is under way.
        """
        viewer = self._viewer()
        if viewer is None:
            return
        if self._run:
            raise InputError(f"'{self._run.image.name}' is being segmented: wait for it, or cancel it first")
        run = self._run = Run(bare(image), options, cleaning, viewer)
        self._task = Task(
            run.work,
            viewer,
            title="Segmenting",  # a longer one would push the Cancel button out of napari's dock
            total=run.total if run.total > 1 else 0,
            on_yield=self._take,
            on_end=self._end,
        )
        self.changed.emit()

    def cancel(self) -> None:
        """Stop the run under way after the tile at hand; the frames that it has found stay."""
        if self._task:
            self._task.cancel()

    def begin_with(self, image: Image | None, cleaning: Cleaning) -> None:
        """Have a run on an image that has found nothing yet make its masks like this."""
        if self._run and self._run.result is None and self._run.image is image:
            self._run.cleaning = cleaning

    def clean(self, result: Result, cleaning: Cleaning) -> None:
        """Make the mask of a result anew: the visible frame at once, the others as time allows."""
        if (viewer := self._viewer()) is not None:
            result.clean(cleaning, visible_frame(result.image, viewer))
            self._timer.start(0)

    def _clean_next(self) -> None:
        viewer = self._viewer()
        if viewer is None or not any(r.clean_next(visible_frame(r.image, viewer)) for r in self._results):
            self._timer.stop()

    def _take(self, found: Any) -> None:
        """Take what a run yields: first where its model comes from, then its frames."""
        viewer, run = self._viewer(), self._run
        if viewer is None or run is None:
            return
        if not run.is_current():
            raise InputError(f"'{run.image.name}' has got other pixels: segment it again")
        if not run.provenance:
            run.provenance = found
        else:
            if run.result is None:
                run.result = self._result_for(run, viewer)
            if isinstance(found, Part):
                run.result.add_part(found)
                run.parts = found.number, found.total
            else:
                run.result.add(*found)
            run.finished += run.parts[0] == run.parts[1]
            if self._task:
                self._task.show(run.finished)
        self.changed.emit()

    def _result_for(self, run: Run, viewer: "napari.Viewer") -> Result:
        """Continue the image's last result if nobody has edited it, else add a layer."""
        last = next((result for result in reversed(self._results) if result.image is run.image), None)
        if last and last.fits(run.image):
            if run.options.whole or not last.is_of(run.image, run.options):
                last.start_over(run.options, run.cleaning)
            last.follow()
            last.note(run.provenance)
            return last
        layer = mask_layer(run.image, viewer)
        result = Result(run.image, layer, run.options, run.cleaning, self.changed.emit)
        result.note(run.provenance)
        self._results.append(result)
        viewer.add_layer(layer)
        return result

    def _end(self, cancelled: bool) -> None:
        run, self._run, self._task = self._run, None, None
        if run and cancelled:
            show_info(f"Stopped: {run.finished} of {run.total} frames are segmented.")
        elif run and run.result and run.finished == run.total and not run.result.layer.data.any():
            show_info(
                f"No vessels were found in '{run.image.name}': try bright vessels, a lower threshold or another resize."
            )
        self.changed.emit()

    def _layer_removed(self, event: Any) -> None:
        gone = event.value
        self._results = [result for result in self._results if gone is not result.layer]
        if self._run and self._task and gone in (self._run.image, self._run.result and self._run.result.layer):
            self._task.drop()
        self.changed.emit()
