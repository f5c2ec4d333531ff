"""Which files a command reads, and which it writes: refused before any work, and by name."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from napari_darl.errors import DarlWarning, FileError, InputError

T = TypeVar("T")


_RESULTS = ("_mask", "_probability", "_uncertainty")


def image_files(inputs: list[Path], *, zarr: bool = False) -> list[Path]:
    """Images among the inputs and in folders among them; refused before any work if one is missing.

    Results of this program that lie in the folders are left out with a warning, and so is zarr if it isn't wanted.
    """
    from napari_darl.io.lazy import is_zarr

    for entry in inputs:
        if not entry.exists():
            raise FileError(f"{entry} isn't there: check its name and its folder.")
    return [
        path
        for entry in inputs
        for path in (_images_in(entry, zarr) if entry.is_dir() and not is_zarr(entry) else [entry])
    ]


def _images_in(folder: Path, zarr: bool) -> list[Path]:
    from napari_darl.io.images import image_paths
    from napari_darl.io.lazy import is_zarr

    zarrs = sorted(path for path in folder.iterdir() if path.is_dir() and is_zarr(path))
    try:
        found = image_paths(folder)
    except FileError:
        if not (zarrs and zarr):
            raise
        found = []
    results = [path for path in (*found, *zarrs) if _is_result(path)]
    if results:
        left = f"{results[0].name}{f' and {len(results) - 1} more' if len(results) > 1 else ''}"
        warnings.warn(f"Results in {folder} aren't taken for images ({left}).", DarlWarning, stacklevel=3)
    if zarrs and not zarr:
        warnings.warn(f"Zarr in {folder} is left out: only segment takes it.", DarlWarning, stacklevel=3)
    images = [path for path in (*found, *(zarrs if zarr else ())) if path not in results]
    if not images:
        raise FileError(f"{folder} holds nothing but results: hand a folder of images.")
    return images


def _is_result(path: Path) -> bool:
    """Tell whether this program wrote a mask or a map, by its name and what stands in it."""
    if not path.stem.endswith(_RESULTS):
        return False
    from napari_darl.inference.zarr_output import is_result
    from napari_darl.io.output import read_description
    from napari_darl.io.tiff import TIFF_SUFFIXES

    if path.is_dir():
        return find_spec("zarr") is not None and is_result(path)

    with suppress(FileError):
        return path.suffix.lower() in TIFF_SUFFIXES and read_description(path) is not None
    return False


def named_frames(paths: Iterable[Path]) -> Iterator[tuple[str, Any, int | None]]:
    """Grey frames and their bits, each by its file's stem, and its number in a file of several; no two are alike.

    Files of the same stem are refused before any work.
    """
    for _, frames in _by_file(list(paths)):
        yield from frames


def with_experts(pairs: "dict[Path, Path | None]") -> Iterator[tuple[str, Any, int | None, Any]]:
    """Frames as of `named_frames`, with the expert's mask of each where a file of them is given."""
    from napari_darl.evaluation.metrics import above_half
    from napari_darl.frames.stacks import read_stack

    for path, frames in _by_file(list(pairs)):
        expert = pairs[path]
        masks = [above_half(m) for m in read_stack(expert, "brightest").frames] if expert else [None] * len(frames)
        if len(masks) != len(frames):
            raise InputError(f"{expert} has {len(masks)} masks and {path} {len(frames)} frames: pair them one by one.")
        for named, mask in zip(frames, masks, strict=True):
            yield *named, mask


def _by_file(paths: list[Path]) -> Iterator[tuple[Path, list[tuple[str, Any, int | None]]]]:
    from napari_darl.frames.stacks import read_stack

    stems: dict[str, Path] = {}
    for path in paths:
        _refuse_twin(stems.setdefault(path.stem, path), path, path.stem)
    names: dict[str, Path] = {}
    for path in paths:
        stack = read_stack(path)
        numbered = len(stack.frames) > 1
        found = [f"{path.stem}_{number}" if numbered else path.stem for number in range(len(stack.frames))]
        for name in found:
            _refuse_twin(names.setdefault(name, path), path, name)
        yield path, [(name, frame, stack.bits) for name, frame in zip(found, stack.frames, strict=True)]


def _refuse_twin(first: Path, second: Path, name: str) -> None:
    if first != second:
        raise InputError(f"{first} and {second} would both be called {name}: take them one after the other.")


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
    made = [file for files in planned.values() for file in files.values()]
    taken = {path.resolve() for path in paths}
    if lost := next((file for file in made if file.resolve() in taken), None):
        raise InputError(f"{lost} is one of the images, and would be replaced by a result: choose another output.")
    refuse_existing(made, overwrite)
    return planned


def refuse_existing(files: list[Path], overwrite: bool) -> None:
    """Raise FileError if one of the results is there, unless it may be overwritten."""
    taken = [file for file in files if file.exists()]
    if taken and not overwrite:
        others = f" and {len(taken) - 1} more" if len(taken) > 1 else ""
        raise FileError(f"{taken[0]}{others} would be overwritten: choose another folder or pass --overwrite.")
