"""What a user waits for goes before long work in the background, which would otherwise take the processor from it."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, Event

_LOOK = 0.1  # s between two looks at whether the work was stopped

_changed = Condition()
_answers = 0  # under way


@contextmanager
def answering() -> Iterator[None]:
    """Make long work wait while an answer to the user is computed."""
    global _answers
    with _changed:
        _answers += 1
    try:
        yield
    finally:
        with _changed:
            _answers -= 1
            _changed.notify_all()


def make_way(stop: Event) -> None:
    """Wait until no answer is computed, or the event is set; long work calls it between its steps."""
    with _changed:
        while _answers and not stop.is_set():
            _changed.wait(_LOOK)
