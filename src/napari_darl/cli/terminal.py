"""What the terminal shows: progress bars, warnings and errors; and how Ctrl-C stops work."""

import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

T = TypeVar("T")

messages = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)


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
    """Show progress bars, with `extra` as one more column."""
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
    with Progress(*columns, *([TextColumn(extra)] if extra else []), console=messages) as progress:
        yield progress


def tracked(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Yield items, and show a bar meanwhile."""
    with progress_bar() as progress:
        yield from progress.track(items, total, description=description)


def fail(message: str, status: int = 2) -> int:
    """Print an error in one line, and return the exit status."""
    messages.print("error: " + " ".join(message.split()))
    return status


def show_warning(message: Warning | str, *_: Any) -> None:
    """Print a warning, as `warnings.showwarning` does."""
    messages.print(f"warning: {message}")
