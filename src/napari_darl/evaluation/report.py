"""Pair files of predictions with expert masks, score each pair, and report the scores."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_darl.errors import InputError
from napari_darl.evaluation.coco import CocoMask, coco_pairs
from napari_darl.evaluation.metrics import MEASURES, Scores, above_half, mean_scores, score
from napari_darl.evaluation.pairing import frame_stem, is_folder, pair_files, probability_beside
from napari_darl.frames.channels import as_grey
from napari_darl.io.images import read_image


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


Pairs = Sequence[tuple[Path, Path | CocoMask]]


def evaluate(
    predictions: Path,
    truth: Path,
    *,
    fov: Path | None = None,
    by_order: bool = False,
    track: Callable[[Pairs], Iterable[tuple[Path, Path | CocoMask]]] = iter,
    attempt: Callable[[Path], AbstractContextManager[object]] = nullcontext,
) -> Report:
    """Score predicted masks against expert masks, frame by frame.

    In a mask, pixels above half the file's maximum are vessel. A file named `<stem>_probability` gives the areas
    under the curves for the mask beside it. Without such a mask, it is the prediction, thresholded at 0.5. Stacks
    are compared frame by frame.

    Parameters
    ----------
    predictions, truth : Path
        Two files, or two folders whose files are paired as in `pair_files`. The truth may also be a COCO file (.json)
        of polygons, as ARCADE has them: all of them are vessel, and its images are paired with predictions by name.
    fov : Path, optional
        Field of view; pixels outside it don't count. A file for all frames, or a folder paired like the truth.
        A single frame applies to a whole stack.
    by_order : bool
        Whether to pair the files of two folders by their natural order instead of by their names.
    track : callable
        Wraps the iteration over pairs of files, for example to show a progress bar.
    attempt : callable
        Returns, for a prediction, the context in which it is scored. If the context suppresses an error, the file is
        left out.

    Returns
    -------
    Report
        Scores of each frame, and their means.

    Raises
    ------
    FileError
        If a file or folder is missing, unreadable, without an image or without a partner.
    InputError
        If shapes or numbers of frames differ, a field of view is empty, or no file is left.

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
    pairs: Pairs
    if truth.suffix.lower() == ".json":
        pairs = coco_pairs(predictions, truth)
    else:
        pairs = pair_files(predictions, truth, by_order=by_order)
    views: dict[Path, Path | None] = {prediction: fov for prediction, _ in pairs}
    if fov is not None and is_folder(fov):
        views = dict(pair_files(predictions, fov, by_order=by_order))
    frames: dict[str, Scores] = {}
    for prediction, expert in track(pairs):
        with attempt(prediction):
            frames.update(dict(_score_file(prediction, expert, views[prediction])))
    if not frames:
        raise InputError(f"No mask of {predictions} could be compared. Their errors say why.")
    return Report(frames, mean_scores(list(frames.values())))


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


def _score_file(prediction: Path, expert: Path | CocoMask, fov: Path | None) -> Iterator[tuple[str, Scores]]:
    """Score each frame of a file."""
    truth = expert.drawn()[None] if isinstance(expert, CocoMask) else _mask_frames(expert)
    beside = probability_beside(prediction)
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
    stem = frame_stem(prediction)
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
