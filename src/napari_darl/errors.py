"""Errors and warnings. Each message says what is wrong and what to do about it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from os import PathLike, fspath

_image: ContextVar[str | None] = ContextVar("image", default=None)
_NAMED = 3  # images that a warning about several of them names


class DarlError(Exception):
    """Base class of errors that the user can fix. The message is shown verbatim."""


class InputError(DarlError, ValueError):
    """An invalid array, stack or option."""


class FileError(DarlError, OSError):
    """A file or folder that is missing, unreadable or damaged, or that would be overwritten."""


class CheckpointError(FileError):
    """An invalid model or checkpoint file."""


class DarlWarning(UserWarning):
    """Something that the user should know, though the work goes on.

    Parameters
    ----------
    message : str
        Sentences that hold for each image that the same has happened to.
    image : path-like, optional
        The image that it is about; by default that of `about`, if there is one.
    """

    def __init__(self, message: str, image: str | PathLike[str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.image = _image.get() if image is None else fspath(image)

    def __str__(self) -> str:
        return self.message if self.image is None else about_source(self.message, self.image)


@contextmanager
def about(image: str | PathLike[str]) -> Iterator[None]:
    """Let the warnings of a block name the image that is being worked on."""
    token = _image.set(fspath(image))
    try:
        yield
    finally:
        _image.reset(token)


def about_source(message: str, source: str | PathLike[str]) -> str:
    """Return a message that names what it is about."""
    name = fspath(source)
    named = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", message)
    return message if named else f"{name}: {message}"


class Warned:
    """The warnings of some work. Each is told once, and one about images when all are done, with their number."""

    def __init__(self) -> None:
        self._known: set[tuple[str, str | None]] = set()
        self._waiting: dict[str, list[str]] = {}

    def add(self, warning: DarlWarning) -> str:
        """Return a warning that is to be told at once; "" if it waits for `take`, or is known."""
        message, image = warning.message, warning.image
        if (message, image) in self._known:
            return ""
        self._known.add((message, image))
        if image is None:
            return message
        self._waiting.setdefault(message, []).append(image)
        return ""

    def clear(self) -> None:
        """Forget all, so that they are told again."""
        self._known.clear()
        self._waiting.clear()

    def take(self) -> list[str]:
        """Return those that wait, each with its images."""
        waiting, self._waiting = self._waiting, {}
        return [_about_all(message, images) for message, images in waiting.items()]


def _about_all(message: str, images: list[str]) -> str:
    if len(images) == 1:
        return about_source(message, images[0])
    more = [f"{len(images) - _NAMED} more"] if len(images) > _NAMED else []
    *first, last = [*images[:_NAMED], *more]
    return f"{len(images)} images ({', '.join(first)} and {last}): {message}"
