"""Long work in the background: a thread that napari knows of, a progress bar with a Cancel button, and clear errors."""

import logging
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from threading import Event
from typing import TYPE_CHECKING, Any

from napari.qt.threading import create_worker
from napari.utils.notifications import notification_manager, show_error, show_warning
from napari.utils.progress import cancelable_progress
from qtpy.QtCore import QCoreApplication, QTimer
from superqt.utils import GeneratorWorker

from napari_darl._napari.open_viewer import OpenViewer
from napari_darl.errors import DarlError, DarlWarning, Warned

if TYPE_CHECKING:
    import napari

Work = Callable[[Event], Generator[Any, None, None]]
"""Runs in the thread. It yields its results one by one, and returns soon after the event is set."""

_PATIENCE = 30_000  # ms
_LASTING = 500  # ms
_log = logging.getLogger(__name__)


def warm_up() -> None:
    """Import what work with a model needs. It takes some seconds, so call it in the thread."""
    import_module("napari_darl.inference.segment")  # and with it torch
    with suppress(ImportError):
        import_module("pandas")  # else napari imports it for the first Labels layer, on the window's thread


class Task:
    """Work in a thread, which starts at once.

    Parameters
    ----------
    work : callable
        See `Work`.
    viewer : napari.Viewer
        Its activity dock opens for work that takes longer than half a second, until the work ends.
    title : str
        The text beside the progress bar.
    total : int
        Number of steps that `show` counts; 0 if it isn't known.
    on_yield : callable
        Receives each result on the window's thread. Results that arrive after the task was stopped, or the window was
        closed, are dropped.
    on_end : callable
        Called once on the window's thread, when the work has returned or failed, with whether the user cancelled it.
    opens_dock : bool
        Whether the activity dock opens by itself; not for work whose progress is shown elsewhere.

    Notes
    -----
    A DarlError becomes a notification with its message; any other error is shown by napari with its traceback. napari
    quits its workers when its window closes. The worker only takes that as a request to stop, so that the work can
    save what it has and return by itself.
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
        self._viewer = OpenViewer(viewer)
        self._dock = _ActivityDock(self._viewer if opens_dock else None)
        self._bar = _Bar(self.cancel, total, title)
        self._worker = create_worker(_yielding_errors, self._stop, work, _worker_class=_Worker)
        self._worker.yielded.connect(self._receive)
        self._warned = Warned()
        self._worker.warned.connect(self._warn)
        self._worker.finished.connect(self._end)
        _wait_at_quit()
        _under_way.add(self)
        self._worker.start()

    def cancel(self) -> None:
        """Stop the work for the user; results that haven't been delivered yet are dropped."""
        self._cancelled = True
        self._stop.set()

    def drop(self) -> None:
        """Stop work whose target is gone; `on_end` gets `cancelled=False`."""
        self._stop.set()

    def show(self, done: int) -> None:
        """Move the bar to `done` of `total`."""
        self._bar.move(done)

    def _receive(self, result: Any) -> None:
        if isinstance(result, _Failure):
            _report(result.error)
            return
        if self._stop.is_set() or self._viewer() is None:
            return
        try:
            self._on_yield(result)
        except Exception as error:  # noqa: BLE001 (it is shown, and further results would fail in the same way)
            self._stop.set()
            _report(error)

    def _warn(self, shown: tuple[Any, ...]) -> None:
        warning, category = shown[:2]
        if not isinstance(warning, DarlWarning):
            _log.info("%s: %s", category.__name__, warning)
        elif text := self._warned.add(warning):
            show_warning(text)

    def _end(self) -> None:
        _under_way.discard(self)
        for text in self._warned.take():
            show_warning(text)
        with suppress(RuntimeError):  # the window, and the bar's widget with it, may be gone
            self._bar.close()
        self._dock.restore()
        self._on_end(self._cancelled)


_under_way: set[Task] = set()
"""Keeps tasks until the window has heard of their end. When a thread ends, superqt forgets its worker, and a task that
no widget holds would be collected with it, before its last signals are received: Qt would call a freed object."""


class _Worker(GeneratorWorker[Any, None, None]):
    """A worker that is never aborted, since that would leave its generator suspended; its event is set instead."""

    def __init__(self, function: Callable[..., Any], stop: Event, work: Work) -> None:
        super().__init__(function, stop, work)
        self._stop = stop

    def quit(self) -> None:
        self._stop.set()


@dataclass(frozen=True)
class _Failure:
    error: Exception


def _yielding_errors(stop: Event, work: Work) -> Generator[Any, None, None]:
    """Do the work, and yield an error as the last result instead of raising it.

    superqt drops a RuntimeError, which it takes for a deleted window, and out-of-memory errors of GPUs are of that
    kind. Any other error makes napari's own handler of failed tasks fail.
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
    """Let work save what it has and return before the application ends."""
    with suppress(RuntimeError):
        GeneratorWorker.await_workers(_PATIENCE)


class _Bar(cancelable_progress):  # type: ignore[misc]
    """A bar in napari's activity dock whose Cancel button stops a thread, not only a loop over the bar."""

    def __init__(self, on_cancel: Callable[[], None], total: int, title: str) -> None:
        self._on_cancel = on_cancel
        super().__init__(total=total, desc=title)
        self._done = 0
        self._moving = False

    def move(self, done: int) -> None:
        """Move the bar.

        napari processes events while it redraws a bar, so further calls may arrive within this one. They only set the
        goal, and the loop below follows; calls that nest would exhaust the stack within a thousand quick frames.
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
    """Opens napari's activity dock for long work, and closes it again unless it was open before.

    napari has no public function for it, and its own examples do the same. Without the private names, the dock just
    stays closed. It isn't opened for short work, which its animated bars would slow down.
    """

    def __init__(self, viewer: OpenViewer | None) -> None:
        self._toggle: Callable[[bool], None] | None = None
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        if viewer is not None:
            self._timer.timeout.connect(partial(self._open, viewer))
            self._timer.start(_LASTING)

    def _open(self, of: OpenViewer) -> None:
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
        show_error(str(error))
    elif isinstance(error, MemoryError):
        detail = f" ({error})" if str(error) else ""
        show_error(f"Memory ran out{detail}. Close other programs, or choose fewer frames.")
    else:
        notification_manager.receive_error(type(error), error, error.__traceback__)
