"""Which files a command reads, and which it writes: refused before any work, and by name."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from napari_darl.errors import FileError, InputError

T = TypeVar("T")


def image_files(inputs: list[Path]) -> list[Path]:
    """Images among the inputs and in folders among them; refused before any work if one is missing."""
    from napari_darl.data.files import image_paths
    from napari_darl.data.lazy_files import is_zarr

    for entry in inputs:
        if not entry.exists():
            raise FileError(f"{entry} isn't there: check its name and its folder.")
    return [
        path for entry in inputs for path in (image_paths(entry) if entry.is_dir() and not is_zarr(entry) else [entry])
    ]


def named_frames(paths: Iterable[Path]) -> Iterator[tuple[str, Any, int | None]]:
    """Grey frames and their bits, each by its file's stem, and its number in a file of several."""
    from napari_darl.data.files import read_stack

    for path in paths:
        stack = read_stack(path)
        for number, frame in enumerate(stack.frames):
            yield path.stem if len(stack.frames) == 1 else f"{path.stem}_{number}", frame, stack.bits


def with_experts(pairs: "dict[Path, Path | None]") -> Iterator[tuple[str, Any, int | None, Any]]:
    """Frames as of `named_frames`, with the expert's mask of each where a file of them is given."""
    from napari_darl.evaluation.metrics import above_half

    for path, expert in pairs.items():
        frames = list(named_frames([path]))
        masks = [above_half(mask) for _, mask, _ in named_frames([expert])] if expert else [None] * len(frames)
        if len(masks) != len(frames):
            raise InputError(f"{expert} has {len(masks)} masks and {path} {len(frames)} frames: pair them one by one.")
        for named, mask in zip(frames, masks, strict=True):
            yield *named, mask


def numbers(text: str, kind: Callable[[str], T], option: str) -> list[T]:
    """Read an option that takes numbers with commas between them."""
    try:
        return [kind(part) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise InputError(f"{option} is '{text}': give numbers with commas between them.") from error


@contextmanager
def naming(source: Path | str) -> Iterator[None]:
    """Say in an input's error which one it is."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{source}: {error}") from error


def targets(
    paths: list[Path], output: Path, kinds: tuple[str, ...], overwrite: bool, suffix: str = ".tif"
) -> dict[Path, dict[str, Path]]:
    """Where the results of each image go; refused before any work if a result is there."""
    planned = {path: {kind: output / f"{path.stem}_{kind}{suffix}" for kind in kinds} for path in paths}
    names: dict[Path, Path] = {}
    for path, files in planned.items():
        other = names.setdefault(files[kinds[0]], path)
        if other != path:
            raise InputError(f"{other} and {path} would both become {files[kinds[0]]}: segment them into two folders.")
    refuse_existing([file for files in planned.values() for file in files.values()], overwrite)
    return planned


def refuse_existing(files: list[Path], overwrite: bool) -> None:
    """Raise FileError if one of the results is there, unless it may be overwritten."""
    taken = [file for file in files if file.exists()]
    if taken and not overwrite:
        others = f" and {len(taken) - 1} more" if len(taken) > 1 else ""
        raise FileError(f"{taken[0]}{others} would be overwritten: choose another folder or pass --overwrite.")
