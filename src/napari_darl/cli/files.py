"""The files that a command reads and writes. All of them are checked before any work."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from napari_darl.cli.terminal import fail, image_bars
from napari_darl.errors import DarlError, FileError, InputError, about, about_source
from napari_darl.io.arrays import ImageData

if TYPE_CHECKING:
    from napari_darl.frames.selection import FrameNumbers

T = TypeVar("T")
Frame = ImageData[Any]
"""A grey frame with the bits that it uses."""


def named_frames(
    paths: Iterable[Path],
    failures: "Failures",
    description: str,
    channel: str | None = None,
    chosen: "FrameNumbers | None" = None,
) -> Iterator[tuple[str, Frame]]:
    """Yield the chosen grey frames of files with their names: the file's stem, with a number where it holds several.

    Files that can't be read are left out, and collected among the failures. A bar shows the progress meanwhile.

    Raises
    ------
    InputError
        If two frames have the same name; for files of the same stem before any work.
    """
    listed = list(paths)
    with image_bars(description, len(listed)) as bars:
        for path, frames in _by_file(listed, channel, failures):
            numbers: Sequence[int] = ()
            with failures.of(path):
                numbers = chosen.of(len(frames)) if chosen else range(len(frames))
            with bars.of(path) as show:
                for done, number in enumerate(numbers, 1):
                    yield frames[number]
                    show(done, len(numbers))


def with_experts(
    pairs: dict[Path, Path | None], failures: "Failures", description: str, channel: str | None = None
) -> Iterator[tuple[str, Frame, Any]]:
    """Yield frames as `named_frames` does, each with the expert's mask, or None where no file of them is given."""
    from napari_darl.evaluation.metrics import above_half
    from napari_darl.frames.stacks import read_stack

    with image_bars(description, len(pairs)) as bars:
        for path, frames in _by_file(list(pairs), channel, failures):
            expert = pairs[path]
            masks: list[Any] = [None] * len(frames)
            if expert:
                masks = []
                with failures.of(expert):
                    masks = [above_half(mask) for mask in read_stack(expert, "brightest").frames]
                    if len(masks) != len(frames):
                        masks, count = [], len(masks)
                        told = f"{expert} has {count} masks and {path} has {len(frames)} frames. Pass one for each."
                        raise InputError(told)
            with bars.of(path) as show:
                for done, (named, mask) in enumerate(zip(frames, masks, strict=False), 1):
                    yield (*named, mask)
                    show(done, len(frames))


def _by_file(
    paths: list[Path], channel: str | None, failures: "Failures"
) -> Iterator[tuple[Path, list[tuple[str, Frame]]]]:
    from napari_darl.frames.stacks import read_stack
    from napari_darl.io.identity import stem_of

    stems: dict[str, Path] = {}
    for path in paths:
        _refuse_twin(stems.setdefault(stem_of(path), path), path, stem_of(path))
    names: dict[str, Path] = {}
    for path in paths:
        stack = None
        with failures.of(path):
            stack = read_stack(path, channel)
        if stack is None:
            continue
        numbered = len(stack.frames) > 1
        stem = stem_of(path)
        names_here = [f"{stem}_{number}" if numbered else stem for number in range(len(stack.frames))]
        for name in names_here:
            _refuse_twin(names.setdefault(name, path), path, name)
        yield (
            path,
            [(name, ImageData(frame, bits=stack.bits)) for name, frame in zip(names_here, stack.frames, strict=True)],
        )


def _refuse_twin(first: Path, second: Path, name: str) -> None:
    if first != second:
        raise InputError(f"{first} and {second} would both be called {name}. Process them one after the other.")


def numbers(text: str, kind: Callable[[str], T], option: str) -> list[T]:
    """Parse an option whose value is numbers with commas between them."""
    try:
        return [kind(part) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise InputError(f"{option} is '{text}'. Pass numbers with commas between them.") from error


@contextmanager
def naming(source: Path | str) -> Iterator[None]:
    """Name the source of an input in its errors and warnings."""
    try:
        with about(source):
            yield
    except InputError as error:
        raise InputError(f"{source}: {error}") from error


class Failures(list[str]):
    """Errors of single files, which are reported when the others have had their turn."""

    @contextmanager
    def of(self, source: Path | str) -> Iterator[None]:
        """Collect the error of a file, with its name, which its warnings get, too."""
        try:
            with about(source):
                yield
        except DarlError as error:
            self.append(about_source(str(error), source))

    def report(self) -> None:
        """Print the errors; with any, raise typer.Exit with status 2."""
        for message in self:
            fail(message)
        if self:
            raise typer.Exit(2)


def refuse_existing(files: list[Path], overwrite: bool) -> None:
    """Raise FileError if one of the results exists already, unless it may be overwritten."""
    taken = [file for file in files if file.exists()]
    if taken and not overwrite:
        others = f" and {len(taken) - 1} more" if len(taken) > 1 else ""
        raise FileError(f"{taken[0]}{others} would be overwritten. Choose another folder, or pass --overwrite.")
