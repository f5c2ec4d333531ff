"""Segments the images of a folder that are asked for, in one task, the most urgent ones first."""

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from napari_darl._napari.folder.work import Listing, Queue, Step, segment_queue
from napari_darl._napari.open_viewer import OpenViewer
from napari_darl._napari.task import Task

if TYPE_CHECKING:
    import napari


class Runner(QObject):
    """Segments images of a listing in the background.

    Attributes
    ----------
    running : int, optional
        Number of the image that is being segmented.

    Signals
    -------
    stepped : Step
        The segmentation of an image began or ended.
    ended
        Nothing is being segmented any more.
    """

    stepped = Signal(object)
    ended = Signal()

    def __init__(self, viewer: "napari.Viewer") -> None:
        super().__init__()
        self._viewer = OpenViewer(viewer)
        self._listing: Listing | None = None
        self._queue = Queue()
        self._task: Task | None = None
        self.running: int | None = None

    @property
    def busy(self) -> bool:
        """Whether images are being segmented."""
        return self._task is not None

    def use(self, listing: Listing | None) -> None:
        """Segment images of another listing from now on; those of the one before are dropped."""
        self.cancel()
        self._listing = listing

    def want(self, numbers: list[int], *, first: bool = False) -> None:
        """Segment images after all that were asked for so far or, with `first`, before them."""
        self._queue.add([number for number in numbers if number != self.running], first=first)
        viewer = self._viewer()
        if viewer is None or self._listing is None or self._task is not None or not len(self._queue):
            return
        self._task = Task(
            partial(segment_queue, self._listing, self._queue),
            viewer,
            title="Segmenting",
            total=0,
            on_yield=self._receive,
            on_end=self._end,
            opens_dock=False,
        )

    def cancel(self) -> None:
        """Stop after the current tile; what is done stays."""
        self._queue.clear()
        if self._task:
            self._task.cancel()

    def _receive(self, step: Step) -> None:
        self.running = None if step.outcome else step.number
        self.stepped.emit(step)

    def _end(self, _: bool) -> None:
        self._task = None
        stopped, listing, self.running = self.running, self._listing, None
        if stopped is not None and listing and stopped < len(listing.jobs):
            # The outcome of a task that was stopped is dropped, though the image may have been done.
            self.stepped.emit(Step(stopped, listing.batch.look(listing.jobs[stopped])))
        self.want([])  # what was asked for while the task stopped
        if not self.busy:
            self.ended.emit()
