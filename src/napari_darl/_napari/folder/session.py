"""A folder in a viewer: what has become of its images, which one is shown, and what is read ahead."""

from collections import Counter
from collections.abc import Generator
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from qtpy.QtCore import QCoreApplication, QObject, QTimer, Signal

from napari_darl._napari.folder.contents import Contents, Shown, read_contents
from napari_darl._napari.folder.runner import Runner
from napari_darl._napari.folder.saver import Saver
from napari_darl._napari.folder.work import Listing, Order, Step, list_images
from napari_darl._napari.layers import bare
from napari_darl._napari.open_viewer import OpenViewer
from napari_darl._napari.task import Task
from napari_darl.errors import DarlError

if TYPE_CHECKING:
    import napari

    from napari_darl.batch.run import Outcome

_sessions: "WeakKeyDictionary[napari.Viewer, FolderSession]" = WeakKeyDictionary()


class FolderSession(QObject):
    """Segments a folder and shows its images one at a time; get it from `FolderSession.of(viewer)`.

    An edited mask is saved to its file a second after each stroke, when another image is shown, when its layer is
    removed, and when napari closes.

    Attributes
    ----------
    listing : Listing, optional
        The images; None before the first folder.
    outcomes : dict of int to Outcome
        What has become of the images that were looked at, by their numbers.
    runner : Runner
        Segments them.
    current : int, optional
        Number of the image that is shown, or is being opened.
    shown : Shown, optional
        Its layers.
    all_wanted : bool
        Whether all images are being segmented, not only the shown one and the next.

    Signals
    -------
    listed
        There is another list of images.
    changed : int
        Something became of an image, or of none in particular (-1).
    """

    listed = Signal()
    changed = Signal(int)

    def __init__(self, viewer: "napari.Viewer") -> None:
        super().__init__()
        self._viewer = OpenViewer(viewer)
        self.listing: Listing | None = None
        self.outcomes: dict[int, Outcome] = {}
        self.runner = Runner(viewer)
        self.current: int | None = None
        self.shown: Shown | None = None
        self.all_wanted = False
        self._ahead: tuple[int, Contents] | None = None
        self._again: Path | None = None  # what to show when the new list is there
        self._listing_task: Task | None = None
        self._opening: Task | None = None
        self._saver = Saver()
        self._saver.saved.connect(self._saved)
        self.runner.stepped.connect(self._stepped)
        self.runner.ended.connect(self._ended)
        viewer.layers.events.removed.connect(self._layer_removed)
        if (application := QCoreApplication.instance()) is not None:
            application.aboutToQuit.connect(self.save)

    @classmethod
    def of(cls, viewer: "napari.Viewer") -> "FolderSession":
        """Return the viewer's session, which is created by the first call."""
        viewer = bare(viewer)
        if viewer not in _sessions:
            _sessions[viewer] = cls(viewer)
        return _sessions[viewer]

    @property
    def count(self) -> int:
        """Number of images."""
        return len(self.listing.jobs) if self.listing else 0

    @property
    def left(self) -> int:
        """Number of images that are still to do."""
        from napari_darl.batch.results import State

        known = self.outcomes.values()
        return self.count - len(known) + sum(outcome.state is State.TO_DO for outcome in known)

    def describe(self) -> str:
        """Return in a few words what has become of the images."""
        states = Counter(str(outcome.state) for outcome in self.outcomes.values())
        told = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        return f"{self.count} images: {told}." if told else ""

    def list(self, order: Order) -> None:
        """List the images of a folder and what has become of them. The image that is shown is opened again."""
        again = None if self.listing is None or self.current is None else self.listing.jobs[self.current].source
        if not self._leave():
            return
        self._again = again
        self.runner.use(None)
        for task in (self._listing_task, self._opening):
            if task:
                task.drop()

        def work(_: Event) -> Generator[Listing | Step, None, None]:
            yield from list_images(order)

        self._listing_task = self._task("Listing", work, self._receive)

    def segment_all(self) -> None:
        """Segment all images that aren't done, from the shown one onwards, in the background."""
        from napari_darl.batch.results import State

        numbers = [*range(self.current or 0, self.count), *range(self.current or 0)]
        todo = (State.TO_DO, State.FAILED)
        self.runner.want([n for n in numbers if n not in self.outcomes or self.outcomes[n].state in todo])
        self.all_wanted = self.runner.busy
        self.changed.emit(-1)

    def step(self, by: int) -> None:
        """Show the next image (1) or the previous one (-1); at the ends, nothing happens."""
        self.show((-1 if self.current is None else self.current) + by)

    def show(self, number: int) -> None:
        """Save the mask that is shown if it was edited, and show another image with its mask."""
        if not 0 <= number < self.count or number == self.current or not self._leave():
            return
        self.current = number
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead[0] == number and ahead[1].is_current:
            # napari may crash if layers are added before it has drawn that others are gone.
            QTimer.singleShot(0, partial(self._show, number, ahead[1]))
        else:
            self._open(number)
        self._segment_near()
        self.changed.emit(number)

    def save(self) -> bool:
        """Save the mask that is shown if it was edited; return False if that failed."""
        return self.shown is None or self._saver.save(self.shown)

    def _saved(self, shown: Shown) -> None:
        from napari_darl.batch.results import State
        from napari_darl.batch.run import Outcome

        if shown is self.shown and self.current is not None and self.listing is not None:
            self.outcomes[self.current] = Outcome(self.listing.jobs[self.current], State.EDITED)
            self.changed.emit(self.current)

    def _leave(self) -> bool:
        """Save and remove what is shown; return False if it can't be saved, so that it stays."""
        if not self.save():
            return False
        shown, self.shown, self.current = self.shown, None, None
        if shown is not None:
            shown.remove()
        return True

    def _receive(self, update: Listing | Step) -> None:
        if isinstance(update, Step):
            self._stepped(update)
            return
        self.listing, self.outcomes, self._ahead = update, {}, None
        self.runner.use(update)
        self.listed.emit()
        sources = [job.source for job in update.jobs]
        if self._again in sources:
            self.show(sources.index(self._again))

    def _stepped(self, step: Step) -> None:
        number = step.number
        if step.outcome is not None:
            self.outcomes[number] = step.outcome
            if self.current is not None and number in (self.current, self.current + 1):
                self._segment_near()
            if number == self.current and self.shown is not None and self.shown.mask is None:
                self._open(number, self.shown.contents)
            elif self._ahead is not None and self._ahead[0] == number and not self._ahead[1].is_current:
                self._ahead = None
                self._read_ahead()
        self.changed.emit(number)

    def _ended(self) -> None:
        self.all_wanted = False
        self.changed.emit(-1)

    def _segment_near(self) -> None:
        """Segment the current image and the next one before all others, unless they are done."""
        from napari_darl.batch.results import State

        near = () if self.current is None else (self.current, self.current + 1)
        todo = [n for n in near if n in self.outcomes and self.outcomes[n].state is State.TO_DO]
        self.runner.want(todo, first=True)

    def _open(self, number: int, before: Contents | None = None) -> None:
        """Read an image, unless it was read before, and its mask, and show them."""
        if self._opening:
            self._opening.drop()
        if self.listing is None:
            return
        job, image = self.listing.jobs[number], before.image if before else None

        def work(_: Event) -> Generator[Contents, None, None]:
            yield read_contents(job, image)

        self._opening = self._task("Opening", work, partial(self._show, number))

    def _show(self, number: int, contents: Contents) -> None:
        viewer = self._viewer()
        if viewer is None or number != self.current:
            return
        if self.shown is None:
            self.shown = Shown(contents, viewer)
        else:
            self.shown.show_mask(contents)
        self._saver.watch(self.shown)
        self._read_ahead()
        self.changed.emit(number)

    def _read_ahead(self) -> None:
        """Read the image after the current one; one that can't be read is told when it is shown."""
        following = -1 if self.current is None else self.current + 1
        if self.listing is None or not 0 < following < self.count or self._ahead is not None:
            return
        listing, job = self.listing, self.listing.jobs[following]

        def work(_: Event) -> Generator[Contents, None, None]:
            try:
                yield read_contents(job)
            except (DarlError, OSError):
                return

        def keep(contents: Contents) -> None:
            if self.listing is listing and self.current == following - 1:
                self._ahead = following, contents

        self._task("Reading ahead", work, keep)

    def _task(self, title: str, work: Any, on_yield: Any) -> Task | None:
        if (viewer := self._viewer()) is None:
            return None

        def end(_: bool) -> None:
            self.changed.emit(-1)

        return Task(work, viewer, title=title, total=0, on_yield=on_yield, on_end=end, opens_dock=False)

    def _layer_removed(self, event: Any) -> None:
        if self.shown is not None and event.value is self.shown.mask:
            self.save()
