"""What the terminal shows: progress bars, warnings and errors; and how Ctrl-C stops work."""

import signal
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from napari_darl.errors import DarlWarning, Warned

T = TypeVar("T")

messages = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
_warned = Warned()


@contextmanager
def stop_on_interrupt() -> Iterator[Event]:
    """Yield an event that Ctrl-C sets, so that the step at hand is finished and saved."""
    stop = Event()
    before = signal.signal(signal.SIGINT, lambda *_: stop.set())
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def progress_bar(extra: str = "") -> Iterator[Progress]:
    """Show progress bars, with `extra` as one more column; warnings that wait are told before and after.

    Nothing is shown unless messages go to a terminal.
    """
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
    columns += [TextColumn(extra)] if extra else []
    tell_warnings()
    try:
        with Progress(*columns, console=messages, disable=not messages.is_terminal) as progress:
            yield progress
    finally:
        tell_warnings()


Show = Callable[[int, int], None]
"""Shows how many parts of an image are done, of how many."""


class ImageBars:
    """A bar for the images of a command, if there are several, and one for the parts of the image at hand."""

    def __init__(self, progress: Progress, description: str, count: int) -> None:
        self._progress, self._description = progress, description
        self._alone = count == 1
        self._images = progress.add_task(description, total=count, visible=not self._alone)

    @contextmanager
    def of(self, image: Path) -> Iterator[Show]:
        """Count an image as done at the end of a block, which is given what shows its parts."""
        title = f"{self._description} {image.name}"
        bar = self._progress.add_task(title, total=None, visible=self._alone)

        def show(done: int, total: int) -> None:
            self._progress.update(bar, completed=done, total=total, visible=self._alone or total > 1)

        try:
            yield show
        finally:
            if not self._alone:
                self._progress.remove_task(bar)
            self._progress.advance(self._images)


@contextmanager
def image_bars(description: str, count: int) -> Iterator[ImageBars]:
    """Show the progress through images; see `ImageBars`."""
    with progress_bar() as progress:
        yield ImageBars(progress, description, count)


def tracked(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Yield items, and show a bar meanwhile."""
    with progress_bar() as progress:
        yield from progress.track(items, total, description=description)


def fail(message: str, status: int = 2) -> int:
    """Print an error in one line, and return the exit status."""
    messages.print("error: " + " ".join(message.split()))
    return status


@contextmanager
def warnings_shown() -> Iterator[None]:
    """Print the warnings of a command, each once; those about images wait for `tell_warnings` or the end."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", DarlWarning)
        warnings.showwarning = _show_warning  # type: ignore[assignment]
        try:
            yield
        finally:
            tell_warnings()
            _warned.clear()


def tell_warnings() -> None:
    """Print the warnings that wait, each with its images."""
    for text in _warned.take():
        messages.print(f"warning: {text}")


def _show_warning(message: Warning | str, *_: Any) -> None:
    """Print a warning or let it wait, in place of `warnings.showwarning`."""
    if text := _warned.add(message) if isinstance(message, DarlWarning) else str(message):
        messages.print(f"warning: {text}")
