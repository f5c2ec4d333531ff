"""The files that a command reads and writes. All of them are checked before any work."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from napari_darl.errors import DarlWarning, FileError, InputError
from napari_darl.io.arrays import ImageData

T = TypeVar("T")
Frame = ImageData[Any]
"""A grey frame with the bits that it uses."""

_RESULTS = ("_mask", "_probability", "_uncertainty")


def image_files(inputs: list[Path], *, zarr: bool = False) -> list[Path]:
    """Return the images among the inputs and in folders among them.

    Results of this program that lie in the folders are left out with a warning, and so is zarr unless `zarr`.

    Raises
    ------
    FileError
        If an input is missing, or a folder holds no image.
    """
    from napari_darl.io.lazy import is_zarr

    for entry in inputs:
        if not entry.exists():
            raise FileError(f"{entry} doesn't exist. Check its name and its folder.")
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
        paths = image_paths(folder)
    except FileError:
        if not (zarrs and zarr):
            raise
        paths = []
    results = [path for path in (*paths, *zarrs) if _is_result(path)]
    if results:
        left = f"{results[0].name}{f' and {len(results) - 1} more' if len(results) > 1 else ''}"
        warnings.warn(f"Results in {folder} are left out ({left}).", DarlWarning, stacklevel=3)
    if zarrs and not zarr:
        warnings.warn(f"Zarr in {folder} is left out. Only segment reads it.", DarlWarning, stacklevel=3)
    images = [path for path in (*paths, *(zarrs if zarr else ())) if path not in results]
    if not images:
        raise FileError(f"{folder} holds nothing but results. Pass a folder of images.")
    return images


def _is_result(path: Path) -> bool:
    """Return whether this program wrote a file, by its name and its description."""
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


def named_frames(paths: Iterable[Path]) -> Iterator[tuple[str, Frame]]:
    """Yield the grey frames of files with their names: the file's stem, with a number where it holds several.

    Raises
    ------
    InputError
        If two frames have the same name; for files of the same stem before any work.
    """
    for _, frames in _by_file(list(paths)):
        yield from frames


def with_experts(pairs: dict[Path, Path | None]) -> Iterator[tuple[str, Frame, Any]]:
    """Yield frames as `named_frames` does, each with the expert's mask, or None where no file of them is given."""
    from napari_darl.evaluation.metrics import above_half
    from napari_darl.frames.stacks import read_stack

    for path, frames in _by_file(list(pairs)):
        expert = pairs[path]
        masks = [above_half(m) for m in read_stack(expert, "brightest").frames] if expert else [None] * len(frames)
        if len(masks) != len(frames):
            raise InputError(f"{expert} has {len(masks)} masks and {path} has {len(frames)} frames. Pass one for each.")
        for named, mask in zip(frames, masks, strict=True):
            yield (*named, mask)


def _by_file(paths: list[Path]) -> Iterator[tuple[Path, list[tuple[str, Frame]]]]:
    from napari_darl.frames.stacks import read_stack

    stems: dict[str, Path] = {}
    for path in paths:
        _refuse_twin(stems.setdefault(path.stem, path), path, path.stem)
    names: dict[str, Path] = {}
    for path in paths:
        stack = read_stack(path)
        numbered = len(stack.frames) > 1
        names_here = [f"{path.stem}_{number}" if numbered else path.stem for number in range(len(stack.frames))]
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
    """Name the source of an input in its errors."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{source}: {error}") from error


def targets(
    paths: list[Path], output: Path, kinds: tuple[str, ...], overwrite: bool, suffix: str = ".tif"
) -> dict[Path, dict[str, Path]]:
    """Return where the results of each image go, by their kinds.

    Raises
    ------
    FileError
        If a result exists already and may not be overwritten.
    InputError
        If two images have the same result, or a result would replace an image.
    """
    planned = {path: {kind: output / f"{path.stem}_{kind}{suffix}" for kind in kinds} for path in paths}
    names: dict[Path, Path] = {}
    for path, files in planned.items():
        other = names.setdefault(files[kinds[0]], path)
        if other != path:
            raise InputError(f"{other} and {path} would both become {files[kinds[0]]}. Segment them into two folders.")
    made = [file for files in planned.values() for file in files.values()]
    taken = {path.resolve() for path in paths}
    if lost := next((file for file in made if file.resolve() in taken), None):
        raise InputError(f"{lost} is one of the images, and a result would replace it. Choose another output folder.")
    refuse_existing(made, overwrite)
    return planned


def refuse_existing(files: list[Path], overwrite: bool) -> None:
    """Raise FileError if one of the results exists already, unless it may be overwritten."""
    taken = [file for file in files if file.exists()]
    if taken and not overwrite:
        others = f" and {len(taken) - 1} more" if len(taken) > 1 else ""
        raise FileError(f"{taken[0]}{others} would be overwritten. Choose another folder, or pass --overwrite.")
