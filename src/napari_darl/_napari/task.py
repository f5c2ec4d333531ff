"""Long work beside the window: a thread that napari knows of, a bar with a Cancel button, one sentence if it fails."""

import logging
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from threading import Event
from typing import TYPE_CHECKING, Any
from weakref import ref

from napari.qt.threading import create_worker
from napari.utils.notifications import notification_manager, show_error, show_warning
from napari.utils.progress import cancelable_progress
from qtpy.QtCore import QCoreApplication, QTimer
from superqt.utils import GeneratorWorker

from napari_darl.errors import DarlError, DarlWarning

if TYPE_CHECKING:
    import napari

Work = Callable[[Event], Generator[Any, None, None]]
"""What runs in the thread: it yields what is done so far, and returns soon after the event is set."""

_PATIENCE = 30_000  # ms
_LASTING = 500  # ms
_log = logging.getLogger(__name__)


class Task:
    """Work that runs in a thread from its making on.

    Parameters
    ----------
    work : callable
        See `Work`.
    viewer : napari.Viewer
        Its activity dock opens for work that lasts for more than half a second, until it ends.
    title : str
        Stands beside the bar.
    total : int
        What `show` counts to; 0 if nobody knows.
    on_yield : callable
        Takes each thing, on the window's thread; nothing comes any more once the task is cancelled.
    on_end : callable
        Called once, on the window's thread, when the work has returned or failed; told whether a person cancelled it.
    opens_dock : bool
        Whether the activity dock opens by itself: not for work whose progress is shown elsewhere.

    Notes
    -----
    A DarlError becomes a notification with its sentence; any other error is shown by napari with its traceback. napari
    quits workers when its window closes: the worker takes that as a wish to stop, so that the work ends by itself.
    """

    def __init__(
        self,
        work: Work,
        viewer: "napari.Viewer",
        *,
        title: str,
        total: int,
        on_yield: Callable[[Any], None],
        on_end: Callable[[bool], None],
        opens_dock: bool = True,
    ) -> None:
        self._stop = Event()
        self._cancelled = False
        self._on_yield, self._on_end = on_yield, on_end
        self._dock = _ActivityDock(viewer if opens_dock else None)
        self._bar = _Bar(self.cancel, total, title)
        self._worker = create_worker(_failing_softly, self._stop, work, _worker_class=_Worker)
        self._worker.yielded.connect(self._receive)
        self._worker.warned.connect(_warn)
        self._worker.finished.connect(self._end)
        _wait_at_quit()
        self._worker.start()

    def cancel(self) -> None:
        """Ask the work to end; what it has yielded but not been delivered is dropped."""
        self._cancelled = True
        self._stop.set()

    def drop(self) -> None:
        """Ask the work to end that nobody wants any more; `on_end` isn't told of a person's wish."""
        self._stop.set()

    def show(self, done: int) -> None:
        """Move the bar to where `done` of the total are done."""
        self._bar.move(done)

    def _receive(self, thing: Any) -> None:
        if isinstance(thing, _Failure):
            _report(thing.error)
            return
        if self._stop.is_set():
            return
        try:
            self._on_yield(thing)
        except Exception as error:  # noqa: BLE001 (shown; and what follows would fail alike)
            self._stop.set()
            _report(error)

    def _end(self) -> None:
        with suppress(RuntimeError):  # the window, and the bar's widget with it, may be gone
            self._bar.close()
        self._dock.restore()
        self._on_end(self._cancelled)


class _Worker(GeneratorWorker[Any, None, None]):
    """A worker that isn't aborted: aborting leaves a generator hanging, so its event is set instead."""

    def __init__(self, function: Callable[..., Any], stop: Event, work: Work) -> None:
        super().__init__(function, stop, work)
        self._stop = stop

    def quit(self) -> None:
        self._stop.set()


@dataclass(frozen=True)
class _Failure:
    error: Exception


def _failing_softly(stop: Event, work: Work) -> Generator[Any, None, None]:
    """Yield an error as the last thing.

    Raised, a RuntimeError would be lost, which superqt takes for a deleted window, and any other would make napari's
    handler of failed tasks fail itself.
    """
    try:
        yield from work(stop)
    except Exception as error:  # noqa: BLE001 (none is lost: all are shown)
        yield _Failure(error)


@cache
def _wait_at_quit() -> None:
    if (application := QCoreApplication.instance()) is not None:
        application.aboutToQuit.connect(_wait)


def _wait() -> None:
    """Let work end in peace, and save what it has, before the application goes."""
    with suppress(RuntimeError):
        GeneratorWorker.await_workers(_PATIENCE)


class _Bar(cancelable_progress):  # type: ignore[misc]
    """A bar in napari's activity dock whose Cancel button works for threads, not for loops over the bar only."""

    def __init__(self, on_cancel: Callable[[], None], total: int, title: str) -> None:
        self._on_cancel = on_cancel
        super().__init__(total=total, desc=title)
        self._done = 0
        self._moving = False

    def move(self, done: int) -> None:
        """Show that so much of the total is done.

        napari lets its window live while it redraws a bar, so further moves may come within this one: they follow it,
        lest a thousand nest.
        """
        self._done = done
        if self._moving or not self.total:
            return
        self._moving = True
        shown = self.n
        while shown < self._done:
            steps, shown = self._done - shown, self._done
            self.update(steps)
        self._moving = False

    def cancel(self) -> None:
        super().cancel()
        self._on_cancel()


class _ActivityDock:
    """Opens napari's activity dock for work that lasts, and closes it again unless it was open before.

    napari has no public way to; its own examples do the same. Its bars move without a pause, which slows short work.
    """

    def __init__(self, viewer: "napari.Viewer | None") -> None:
        self._toggle: Callable[[bool], None] | None = None
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        if viewer is not None:
            viewer = getattr(viewer, "__wrapped__", viewer)
            self._timer.timeout.connect(partial(self._open, ref(viewer)))
            self._timer.start(_LASTING)

    def _open(self, of: "ref[napari.Viewer]") -> None:
        viewer: Any = of()
        with suppress(AttributeError, RuntimeError):  # viewer or window may be gone
            window = viewer.window._qt_window
            if window.isVisible() and not window._activity_dialog.isVisible():
                self._toggle = viewer.window._status_bar._toggle_activity_dock
                self._toggle(True)

    def restore(self) -> None:
        self._timer.stop()
        if self._toggle:
            with suppress(RuntimeError):  # the window may be gone
                self._toggle(False)


def _report(error: Exception) -> None:
    if isinstance(error, DarlError):
        _log.info("A task failed: %s", error)
        show_error(sentence(error))
    elif isinstance(error, MemoryError):
        show_error(f"Memory ran out ({str(error) or 'no more is known'}): close other programs, or take fewer frames.")
    else:
        notification_manager.receive_error(type(error), error, error.__traceback__)


def _warn(shown: tuple[Any, ...]) -> None:
    message, category = shown[:2]
    if issubclass(category, DarlWarning):
        show_warning(sentence(message))
    else:
        _log.info("%s: %s", category.__name__, message)


def sentence(error: object) -> str:
    """Write an error's message as a sentence."""
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?')) else '.'}"
