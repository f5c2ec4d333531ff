"""What a person in a terminal sees: bars, warnings, errors; and Ctrl-C."""

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
    """Turn Ctrl-C into an event, so that the step under way is finished and saved."""
    stop = Event()
    before = signal.signal(signal.SIGINT, lambda *_: stop.set())
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def progress_bar(extra: str = "") -> Iterator[Progress]:
    """Show bars; `extra` is one more column."""
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
    with Progress(*columns, *([TextColumn(extra)] if extra else []), console=messages) as progress:
        yield progress


def tracked(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Show a bar while items are worked on."""
    with progress_bar() as progress:
        yield from progress.track(items, total, description=description)


def fail(message: str, status: int = 2) -> int:
    """Print an error in one line, and hand on the exit status."""
    messages.print("error: " + " ".join(message.split()))
    return status


def show_warning(message: Warning | str, *_: Any) -> None:
    """Print a warning, as `warnings.showwarning` does."""
    messages.print(f"warning: {message}")
