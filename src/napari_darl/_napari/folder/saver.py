"""Saving of an edited mask to its file, a second after each stroke, so that a crash of napari loses no more."""

from collections.abc import Callable
from functools import partial

from napari.utils.notifications import show_error, show_warning
from qtpy.QtCore import QObject, QTimer, Signal
from superqt.utils import create_worker

from napari_darl._napari.folder.contents import Shown
from napari_darl.errors import DarlError

_DELAY = 1000  # ms

Outcome = tuple[bool, DarlError | None]
"""Whether a mask was saved, and why it couldn't be."""


class Saver(QObject):
    """Saves masks that the user paints on.

    Signals
    -------
    saved : Shown
        An edited mask was saved.
    """

    saved = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._watched: Shown | None = None
        self._told = ""
        self._busy = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_DELAY)
        self._timer.timeout.connect(self._start)

    def watch(self, shown: Shown) -> None:
        """Save edits of the shown mask from now on, and of no other."""
        if shown.mask is None or shown is self._watched:
            return
        self._watched, self._told = shown, ""
        # napari reports strokes, undo and redo, and redraws a layer whose values a script has changed.
        events = shown.mask.events
        for event in (events.paint, events.labels_update, events.data, events.set_data):
            event.connect(partial(self._touched, shown))

    def save(self, shown: Shown) -> bool:
        """Save a mask now if it was edited; return False if that failed."""
        return self._report(shown, *_save(shown))

    def _touched(self, shown: Shown, _: object) -> None:
        if shown is self._watched and not self._timer.isActive():
            self._timer.start()

    def _start(self) -> None:
        if self._watched is None:
            return
        if self._busy:
            self._timer.start()
            return
        self._busy = True
        shown = self._watched
        create_worker(_save, shown, _connect={"returned": partial(self._end, shown)})

    def _end(self, shown: Shown, outcome: Outcome) -> None:
        self._busy = False
        self._report(shown, *outcome)

    def _report(self, shown: Shown, done: bool, error: DarlError | None) -> bool:
        if error is not None:
            self._tell(show_error, str(error))
            return False
        if done and shown.has_further_labels:
            file = shown.contents.file.name
            self._tell(show_warning, f"{file} holds vessel or background only: labels above 1 are vessel there.")
        if done:
            self.saved.emit(shown)
        return True

    def _tell(self, show: Callable[[str], None], message: str) -> None:
        """Show a message, unless the stroke before got the same one."""
        if message != self._told:
            self._told = message
            show(message)


def _save(shown: Shown) -> Outcome:
    try:
        return shown.save(), None
    except DarlError as error:
        return False, error
