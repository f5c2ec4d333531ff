"""Pair files of predictions with expert masks, score each pair, and report the scores."""

import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_darl.errors import FileError, InputError
from napari_darl.evaluation.metrics import MEASURES, Scores, above_half, mean_scores, score
from napari_darl.frames.channels import as_grey
from napari_darl.io.identity import stem_of
from napari_darl.io.images import image_paths, read_image
from napari_darl.io.lazy import is_zarr

_PROBABILITY = "_probability"
_ENDINGS = ("_mask", _PROBABILITY)
_NAMED = 3  # files that a message names before it counts the rest


@dataclass(frozen=True)
class Report:
    """The agreement of predictions with expert masks.

    Attributes
    ----------
    frames : dict of str to Scores
        Scores of each frame. The key is the prediction's stem; frames of a stack add their index, as in "movie[0]".
    mean : Scores
        Means over all frames, each frame weighing the same.
    """

    frames: dict[str, Scores]
    mean: Scores

    def to_table(self) -> str:
        """Return a Markdown table: one row per frame, then the mean."""
        rows = [*self.frames.items(), ("mean", self.mean)]
        return markdown_table(("frame", *MEASURES), [(name, *astuple(scores)) for name, scores in rows])

    def to_json(self) -> str:
        """Return JSON: {"mean": {measure: value}, "frames": {name: {measure: value}}}."""
        frames = {name: asdict(scores) for name, scores in self.frames.items()}
        return json.dumps({"mean": asdict(self.mean), "frames": frames}, indent=2, allow_nan=False)


Pairs = list[tuple[Path, Path]]


def evaluate(
    predictions: Path,
    truth: Path,
    *,
    fov: Path | None = None,
    by_order: bool = False,
    track: Callable[[Pairs], Iterable[tuple[Path, Path]]] = iter,
) -> Report:
    """Score predicted masks against expert masks, frame by frame.

    In a mask, pixels above half the file's maximum are vessel. A file named `<stem>_probability` gives the areas
    under the curves for the mask beside it. Without such a mask, it is the prediction, thresholded at 0.5. Stacks
    are compared frame by frame.

    Parameters
    ----------
    predictions, truth : Path
        Two files, or two folders whose files are paired as in `pair_files`.
    fov : Path, optional
        Field of view; pixels outside it don't count. A file for all frames, or a folder paired like the truth.
        A single frame applies to a whole stack.
    by_order : bool
        Whether to pair the files of two folders by their natural order instead of by their names.
    track : callable
        Wraps the iteration over pairs of files, for example to show a progress bar.

    Returns
    -------
    Report
        Scores of each frame, and their means.

    Raises
    ------
    FileError
        If a file or folder is missing, unreadable, without an image or without a partner.
    InputError
        If shapes or numbers of frames differ, or a field of view is empty.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import imageio.v3 as iio, numpy as np
    >>> from napari_darl import evaluate
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("prediction.png", "truth.png"):
    ...         iio.imwrite(Path(folder, name), np.eye(40, dtype=np.uint8) * 255)
    ...     report = evaluate(Path(folder, "prediction.png"), Path(folder, "truth.png"))
    >>> report.mean.dice
    1.0
    """
    pairs = pair_files(predictions, truth, by_order=by_order)
    views: dict[Path, Path | None] = {prediction: fov for prediction, _ in pairs}
    if fov is not None and _is_folder(fov):
        views = dict(pair_files(predictions, fov, by_order=by_order))
    frames: dict[str, Scores] = {}
    for prediction, expert in track(pairs):
        frames.update(_score_file(prediction, expert, views[prediction]))
    return Report(frames, mean_scores(list(frames.values())))


def pair_files(first: Path, second: Path, *, by_order: bool = False) -> list[tuple[Path, Path]]:
    """Pair the images of two folders. Two files are a pair whatever their names.

    Parameters
    ----------
    first, second : Path
        Two files, or two folders. A file whose stem ends in `_probability` is left out where its folder has a
        mask of that stem.
    by_order : bool
        Whether to pair by natural order. Otherwise, two files are a pair if their stems, without a `_mask` or
        `_probability` at the end, are the same.

    Returns
    -------
    list of tuple of Path
        In the natural order of the first folder.

    Raises
    ------
    FileError
        If a file or folder is missing, a folder is empty, only one of the two is a folder, two files of a folder
        have the same stem, or a file has no partner.
    """
    if not (_is_folder(first) or _is_folder(second)):
        for path in (first, second):
            if not path.exists():
                raise FileError(f"{path} doesn't exist. Check its name and its folder.")
        return [(first, second)]
    if not (_is_folder(first) and _is_folder(second)):
        raise FileError(f"{first} and {second} can't be paired. Pass two files or two folders that exist.")
    lefts, rights = _by_stem(first), _by_stem(second)
    if by_order:
        if len(lefts) != len(rights):
            raise FileError(
                f"{first} has {len(lefts)} images and {second} has {len(rights)}. "
                "To be paired by order, both need the same number."
            )
        return list(zip(lefts.values(), rights.values(), strict=True))
    for have, lack, folder in ((lefts, rights, second), (rights, lefts, first)):
        if alone := [path.name for stem, path in have.items() if stem not in lack]:
            more = f" and {len(alone) - _NAMED} more" if len(alone) > _NAMED else ""
            raise FileError(
                f"{folder} has no partner for {', '.join(alone[:_NAMED])}{more}. "
                "Give partners the same name, or pair the files by order."
            )
    return [(path, rights[stem]) for stem, path in lefts.items()]


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str | float | None]]) -> str:
    """Return a Markdown table that is also aligned as plain text.

    Parameters
    ----------
    header : sequence of str
        Names of the columns. The first is aligned left, the others right.
    rows : sequence of sequences of str, float or None
        Each as long as the header. Floats get three decimals; None becomes "-".

    Returns
    -------
    str
        The lines, without a newline at the end.

    Examples
    --------
    >>> print(markdown_table(("frame", "dice"), [("a", 0.75), ("b", None)]))
    | frame |  dice |
    | ----- | ----: |
    | a     | 0.750 |
    | b     |     - |
    """
    cells = [list(header), *([_cell(value) for value in row] for row in rows)]
    widths = [max(3, *(len(row[column]) for row in cells)) for column in range(len(header))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join("| " + " | ".join(_aligned(row, widths)) + " |" for row in (cells[0], rule, *cells[1:]))


def _cell(value: str | float | None) -> str:
    if value is None:
        return "-"
    return value.replace("|", "\\|") if isinstance(value, str) else f"{value:.3f}"


def _aligned(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [
        row[0].ljust(widths[0]),
        *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
    ]


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not is_zarr(path)


def _stem(path: Path) -> str:
    """Return the stem without a `_mask` or `_probability`, its accents composed, as systems store them differently."""
    stem = unicodedata.normalize("NFC", stem_of(path))
    for ending in _ENDINGS:
        if stem.endswith(ending):
            return stem.removesuffix(ending)
    return stem


def _is_probability(path: Path) -> bool:
    return stem_of(path).endswith(_PROBABILITY)


def _by_stem(folder: Path) -> dict[str, Path]:
    paths = image_paths(folder, zarr=True)
    masks = {_stem(path) for path in paths if not _is_probability(path)}
    files: dict[str, Path] = {}
    for path in paths:
        stem = _stem(path)
        if _is_probability(path) and stem in masks:
            continue
        if stem in files:
            raise FileError(f"{folder} has two files for {stem}: {files[stem].name} and {path.name}. Keep one of them.")
        files[stem] = path
    return files


def _probability_beside(path: Path) -> Path | None:
    if _is_probability(path):
        return path
    stem = stem_of(path).removesuffix("_mask")
    candidates = (path.with_name(f"{stem}{_PROBABILITY}{suffix}") for suffix in (".tif", ".tiff", ".ome.zarr"))
    return next((candidate for candidate in candidates if candidate.exists()), None)


def _score_file(prediction: Path, expert: Path, fov: Path | None) -> Iterator[tuple[str, Scores]]:
    """Score each frame of a file."""
    truth = _mask_frames(expert)
    beside = _probability_beside(prediction)
    chance = None if beside is None else _probability_frames(beside)
    predicted = chance > 0.5 if chance is not None and beside == prediction else _mask_frames(prediction)
    view = None if fov is None else _mask_frames(fov)
    if view is not None and len(view) == 1:
        view = np.broadcast_to(view, (len(truth), *view.shape[1:]))
    for path, frames in ((prediction, predicted), (beside, chance), (fov, view)):
        if frames is not None and frames.shape != truth.shape:
            raise InputError(
                f"{path} has {_size(frames)}, but {expert} has {_size(truth)}. Compare masks of the same frames."
            )
    stem = _stem(prediction)
    for page, vessel in enumerate(truth):
        name = stem if len(truth) == 1 else f"{stem}[{page}]"
        try:
            yield (
                name,
                score(
                    predicted[page],
                    vessel,
                    probability=None if chance is None else chance[page],
                    fov=None if view is None else view[page],
                ),
            )
        except InputError as error:
            raise InputError(f"{name}: {error}") from error


def _frames(path: Path) -> npt.NDArray[Any]:
    image = as_grey(read_image(path), "brightest")
    return image.data.reshape(-1, *image.frame_shape)


def _mask_frames(path: Path) -> npt.NDArray[np.bool_]:
    try:
        return above_half(_frames(path))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _probability_frames(path: Path) -> npt.NDArray[Any]:
    frames = _frames(path)
    if frames.min() < 0 or frames.max() > 1:
        raise InputError(f"{path} holds values from {frames.min():g} to {frames.max():g}. Probabilities are 0 to 1.")
    return frames


def _size(frames: npt.NDArray[Any]) -> str:
    count, height, width = frames.shape
    return f"{count} frame{'s' if count > 1 else ''} of {height} x {width} pixels"
