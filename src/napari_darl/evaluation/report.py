"""Comparing files: pairing predictions with expert masks, and the report."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_darl.errors import FileError, InputError
from napari_darl.evaluation.metrics import MEASURES, Scores, above_half, mean_scores, score
from napari_darl.frames.arrays import as_grey
from napari_darl.io.images import image_paths, read_image

_PROBABILITY = "_probability"
_ENDINGS = ("_mask", _PROBABILITY)
_NAMED = 3  # how many files a message names before it says how many more there are


@dataclass(frozen=True)
class Report:
    """The agreement of predictions with expert masks.

    Attributes
    ----------
    frames : dict of str to Scores
        Of each frame, by the prediction's stem, with [page] counted from 0 behind it in a stack.
    mean : Scores
        Over all frames, each weighing the same.
    """

    frames: dict[str, Scores]
    mean: Scores

    def to_table(self) -> str:
        """Lay the report out as a Markdown table: one row for each frame, then the mean."""
        rows = [*self.frames.items(), ("mean", self.mean)]
        return markdown_table(("frame", *MEASURES), [(name, *astuple(scores)) for name, scores in rows])

    def to_json(self) -> str:
        """Write the report as JSON: {"mean": {measure: value}, "frames": {name: {measure: value}}}."""
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
    """Measure predicted masks against expert masks, frame by frame.

    Vessel is what lies above half the maximum of a file. A `<stem>_probability` file beside a mask is no
    prediction of its own: the areas under the curves come from it. Where it has no mask beside it, it is the
    prediction, thresholded at 0.5. Stacks are compared page by page.

    Parameters
    ----------
    predictions, truth : Path
        Two files, or two folders whose files are paired as in `pair_files`.
    fov : Path, optional
        Field of view, outside which nothing counts: a file for all frames, or a folder paired like the truth.
        One page serves a whole stack.
    by_order : bool
        Whether to pair the files of folders by their natural order, not by their names.
    track : callable
        Wraps the pairs of files as they are gone through, say to show a progress bar.

    Returns
    -------
    Report
        Scores of each frame, and their mean.

    Raises
    ------
    FileError
        If a file or folder is missing, unreadable, without an image or without a partner.
    InputError
        If shapes or numbers of frames differ, or a field of view is empty.
    """
    pairs = pair_files(predictions, truth, by_order=by_order)
    views: dict[Path, Path | None] = {prediction: fov for prediction, _ in pairs}
    if fov is not None and fov.is_dir():
        views = dict(pair_files(predictions, fov, by_order=by_order))
    frames: dict[str, Scores] = {}
    for prediction, expert in track(pairs):
        frames.update(_score_file(prediction, expert, views[prediction]))
    return Report(frames, mean_scores(list(frames.values())))


def pair_files(first: Path, second: Path, *, by_order: bool = False) -> list[tuple[Path, Path]]:
    """Pair the images of two folders; two files are a pair whatever their names.

    Parameters
    ----------
    first, second : Path
        Two files, or two folders. A file whose stem ends in `_probability` is left out where its folder has a
        mask of that stem.
    by_order : bool
        Whether to pair by natural order. Otherwise files pair that have the same stem, less a `_mask` or
        `_probability` at its end.

    Returns
    -------
    list of tuple of Path
        In the natural order of the first folder.

    Raises
    ------
    FileError
        If a folder is missing or empty, one is a folder and the other isn't, two files of a folder have the
        same stem, or a file has no partner.
    """
    if not (first.is_dir() or second.is_dir()):
        for path in (first, second):
            if not path.exists():
                raise FileError(f"{path} isn't there: check its name and its folder")
        return [(first, second)]
    if not (first.is_dir() and second.is_dir()):
        raise FileError(f"{first} and {second} can't be paired: hand two files, or two folders that are there")
    lefts, rights = _by_stem(first), _by_stem(second)
    if by_order:
        if len(lefts) != len(rights):
            raise FileError(f"{first} has {len(lefts)} images and {second} {len(rights)}: by order, both need as many")
        return list(zip(lefts.values(), rights.values(), strict=True))
    for have, lack, folder in ((lefts, rights, second), (rights, lefts, first)):
        if alone := [path.name for stem, path in have.items() if stem not in lack]:
            more = f" and {len(alone) - _NAMED} more" if len(alone) > _NAMED else ""
            raise FileError(
                f"{folder} has no partner for {', '.join(alone[:_NAMED])}{more}: "
                "name the files alike, or pair them by their order"
            )
    return [(path, rights[stem]) for stem, path in lefts.items()]


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str | float | None]]) -> str:
    """Lay out a Markdown table that is also aligned as plain text.

    Parameters
    ----------
    header : sequence of str
        Names of the columns; the first is aligned left, the others right.
    rows : sequence of sequences of str, float or None
        As long as the header each; floats get three decimals, None becomes "-".

    Returns
    -------
    str
        The lines, without a newline at the end.
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


def _stem(path: Path) -> str:
    for ending in _ENDINGS:
        if path.stem.endswith(ending):
            return path.stem.removesuffix(ending)
    return path.stem


def _is_probability(path: Path) -> bool:
    return path.stem.endswith(_PROBABILITY)


def _by_stem(folder: Path) -> dict[str, Path]:
    paths = image_paths(folder)
    masks = {_stem(path) for path in paths if not _is_probability(path)}
    files: dict[str, Path] = {}
    for path in paths:
        stem = _stem(path)
        if _is_probability(path) and stem in masks:
            continue
        if stem in files:
            raise FileError(f"{files[stem].name} and {path.name} in {folder} both stand for {stem}: keep one of them")
        files[stem] = path
    return files


def _probability_beside(path: Path) -> Path | None:
    if _is_probability(path):
        return path
    candidates = (path.with_name(f"{_stem(path)}{_PROBABILITY}{suffix}") for suffix in (".tif", ".tiff"))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _score_file(prediction: Path, expert: Path, fov: Path | None) -> Iterator[tuple[str, Scores]]:
    """Score each frame of a file."""
    truth = _mask_frames(expert)
    beside = _probability_beside(prediction)
    chance = None if beside is None else _probability_frames(beside)
    found = chance > 0.5 if chance is not None and beside == prediction else _mask_frames(prediction)
    view = None if fov is None else _mask_frames(fov)
    if view is not None and len(view) == 1:
        view = np.broadcast_to(view, (len(truth), *view.shape[1:]))
    for path, frames in ((prediction, found), (beside, chance), (fov, view)):
        if frames is not None and frames.shape != truth.shape:
            raise InputError(
                f"{path} has {_size(frames)}, {expert} has {_size(truth)}: hand the masks of the same frames"
            )
    stem = _stem(prediction)
    for page, vessel in enumerate(truth):
        name = stem if len(truth) == 1 else f"{stem}[{page}]"
        try:
            yield (
                name,
                score(
                    found[page],
                    vessel,
                    probability=None if chance is None else chance[page],
                    fov=None if view is None else view[page],
                ),
            )
        except InputError as error:
            raise InputError(f"{name} can't be measured: {error}") from error


def _frames(path: Path) -> npt.NDArray[Any]:
    image = as_grey(read_image(path), "brightest")
    return image.data.reshape(-1, *image.frame_shape)


def _mask_frames(path: Path) -> npt.NDArray[np.bool_]:
    try:
        return above_half(_frames(path))
    except InputError as error:
        raise InputError(f"{path} is no mask: {error}") from error


def _probability_frames(path: Path) -> npt.NDArray[Any]:
    frames = _frames(path)
    if frames.min() < 0 or frames.max() > 1:
        raise InputError(f"{path} holds {frames.min():g} to {frames.max():g}: a probability lies in 0 to 1")
    return frames


def _size(frames: npt.NDArray[Any]) -> str:
    count, height, width = frames.shape
    return f"{count} frame{'s' if count > 1 else ''} of {height} x {width} pixels"
