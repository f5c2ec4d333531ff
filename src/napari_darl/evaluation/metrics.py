"""Measures of how well a vessel mask agrees with an expert's."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_darl.errors import DarlWarning, InputError
from napari_darl.measuring.thinning import thinned

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Scores:
    """Agreement of one frame, or the mean of several; each in [0, 1], 1 being best.

    Attributes
    ----------
    dice : float
        2 TP / (2 TP + FP + FN), the F1 score, over pixels.
    iou : float
        TP / (TP + FP + FN), intersection over union.
    precision : float
        TP / (TP + FP).
    recall : float
        TP / (TP + FN), the sensitivity.
    cldice : float
        Dice of the centrelines: harmonic mean of the parts of either skeleton that lie in the other mask
        (Shit et al., "clDice", CVPR 2021, equations 1 and 2).
    roc_auc : float or None
        Area under the receiver operating characteristic; None where it is not known.
    pr_auc : float or None
        Area under the precision-recall curve, as average precision (no interpolation); None likewise.
    """

    dice: float
    iou: float
    precision: float
    recall: float
    cldice: float
    roc_auc: float | None = None
    pr_auc: float | None = None


_LABELS = 64  # integers below that are labels; the grey values of masks with soft edges go beyond
# Other masks hold labels if they have few values in many pixels, of which more than a fraction (of the range of values
# and of the vessels' pixels) lies between background and vessel.
_MOST_LABELS, _FEWEST_PIXELS, _EDGES = 16, 256, 0.05
MEASURES = tuple(field.name for field in fields(Scores))
"""Names of the measures, in the order of the tables' columns."""


def above_half(mask: npt.ArrayLike) -> Mask:
    """Return which pixels of a mask are vessel.

    Parameters
    ----------
    mask : array-like of real numbers
        0 / 1, 0 / 255, -1 / +1, or grey with soft edges.

    Returns
    -------
    numpy.ndarray of bool
        Of the same shape: True above half the maximum, so nowhere in a mask of zeros.

    Raises
    ------
    InputError
        If the mask has no pixels or holds anything but finite real numbers.

    Warns
    -----
    DarlWarning
        If it looks like labels of several kinds, such as 1 for arteries and 2 for veins.
    """
    array = _finite(mask, "mask")
    if array.size == 0:
        raise InputError(f"The mask has no pixels: its shape is {array.shape}.")
    if array.dtype == np.bool_:
        return array
    vessel: Mask = array > array.max() / 2
    if labels := _labels(array, vessel):
        warnings.warn(
            f"A mask holds the values {', '.join(f'{label:g}' for label in labels[:5])}. "
            "Those above half the greatest count as vessel.",
            DarlWarning,
            stacklevel=2,
        )
    return vessel


def _labels(array: npt.NDArray[Any], vessel: Mask) -> list[float]:
    """Return the values of a mask if it seems to hold labels of which some don't count as vessel; else none.

    Soft edges have many values, or few pixels.
    """
    low, high = float(array.min()), float(array.max())
    small = array.dtype.kind in "ui" and low >= 0 and high < _LABELS
    dropped = ~vessel & (array > low + _EDGES * (high - low))
    if not small and (array.size < _FEWEST_PIXELS or dropped.sum() <= _EDGES * vessel.sum()):
        return []
    values = np.unique(array)
    return values.tolist() if 2 < len(values) <= (_LABELS if small else _MOST_LABELS) else []


def score(
    prediction: npt.ArrayLike,
    truth: npt.ArrayLike,
    *,
    probability: npt.ArrayLike | None = None,
    fov: npt.ArrayLike | None = None,
) -> Scores:
    """Compare the mask of a frame with the truth.

    Parameters
    ----------
    prediction, truth : array-like, shape (H, W)
        Masks; `above_half` says which pixels of each are vessel.
    probability : array-like of float, shape (H, W), optional
        Any finite value that rises with the chance of vessel; the areas under the curves need it.
    fov : array-like of bool, shape (H, W), optional
        Field of view: pixels outside it don't count. Everything counts by default.

    Returns
    -------
    Scores
        If both masks are empty, all measures of masks are 1. If only one is empty, measures that would divide by
        zero are 0. The areas under the curves are None without a probability, or where the truth is all vessel
        or all background.

    Raises
    ------
    InputError
        If shapes differ or aren't 2-D, the field of view is empty, or there are NaN or infinite values.

    Examples
    --------
    >>> score([[0, 1, 1, 1]], [[0, 0, 1, 1]]).dice
    0.8
    """
    predicted, vessel = above_half(prediction), above_half(truth)
    inside = np.ones(vessel.shape, np.bool_) if fov is None else above_half(fov)
    chance = None if probability is None else _finite(probability, "probability")
    _check(predicted, vessel, inside, chance)
    predicted, vessel = predicted & inside, vessel & inside
    roc_auc, pr_auc = (None, None) if chance is None else _areas(vessel[inside], chance[inside])
    hits, either = int((predicted & vessel).sum()), int((predicted | vessel).sum())
    nothing = float(either == 0)
    return Scores(
        dice=_ratio(2 * hits, either + hits, nothing),
        iou=_ratio(hits, either, nothing),
        precision=_ratio(hits, int(predicted.sum()), nothing),
        recall=_ratio(hits, int(vessel.sum()), nothing),
        cldice=_cldice(predicted, vessel, nothing),
        roc_auc=roc_auc,
        pr_auc=pr_auc,
    )


def mean_scores(scores: Sequence[Scores]) -> Scores:
    """Average scores over frames, each frame weighing the same.

    Parameters
    ----------
    scores : sequence of Scores
        One entry per frame, at least one.

    Returns
    -------
    Scores
        The means. An area under a curve is averaged over the frames that have one; None if none has.

    Raises
    ------
    InputError
        If there are no scores.
    """
    if not scores:
        raise InputError("There are no scores to average.")
    means: dict[str, Any] = {name: _mean([getattr(one, name) for one in scores]) for name in MEASURES}
    return Scores(**means)


def _finite(values: npt.ArrayLike, name: str) -> npt.NDArray[Any]:
    array = np.asarray(values)
    if array.dtype.kind not in "buif":
        raise InputError(f"The {name} holds values of type {array.dtype}. Convert it to integers, bool or real floats.")
    if not np.isfinite(array).all():
        raise InputError(f"The {name} holds NaN or infinite values. Replace them, for example with numpy.nan_to_num.")
    return array


def _check(predicted: Mask, vessel: Mask, inside: Mask, chance: npt.NDArray[Any] | None) -> None:
    if vessel.ndim != 2:
        raise InputError(f"The truth's shape is {vessel.shape}. Pass one 2-D frame (H, W) at a time.")
    for name, array in {"prediction": predicted, "field of view": inside, "probability": chance}.items():
        if array is not None and array.shape != vessel.shape:
            raise InputError(f"The {name}'s shape {array.shape} differs from the truth's {vessel.shape}.")
    if not inside.any():
        raise InputError("The field of view is empty.")


def _ratio(part: int, whole: int, otherwise: float) -> float:
    return part / whole if whole else otherwise


def _cldice(predicted: Mask, vessel: Mask, nothing: float) -> float:
    predicted_line, vessel_line = thinned(predicted), thinned(vessel)
    precision = _ratio(int((predicted_line & vessel).sum()), int(predicted_line.sum()), nothing)
    sensitivity = _ratio(int((vessel_line & predicted).sum()), int(vessel_line.sum()), nothing)
    both = precision + sensitivity
    return 2 * precision * sensitivity / both if both else 0.0


def _areas(vessel: Mask, chance: npt.NDArray[Any]) -> tuple[float | None, float | None]:
    if vessel.all() or not vessel.any():
        return None, None
    return roc_auc(vessel, chance), average_precision(vessel, chance)


def roc_auc(vessel: Mask, chance: npt.NDArray[Any]) -> float:
    """Return the area under the receiver operating characteristic, by the trapezoidal rule.

    Parameters
    ----------
    vessel : numpy.ndarray of bool, shape (N,)
        The truth; it holds both values.
    chance : numpy.ndarray, shape (N,)
        Any finite values that rise with the chance of vessel.

    Returns
    -------
    float
        In [0, 1]: the chance that a vessel pixel has a higher value than a background pixel, ties counting half.
    """
    hits, alarms = _counts_by_threshold(vessel, chance)
    area = (np.diff(alarms) * (hits[1:] + hits[:-1]) / 2).sum()
    return float(area / (hits[-1] * alarms[-1]))


def average_precision(vessel: Mask, chance: npt.NDArray[Any]) -> float:
    """Return the area under the precision-recall curve as the sum of precision times the step in recall.

    Parameters
    ----------
    vessel, chance
        As in `roc_auc`.

    Returns
    -------
    float
        In [0, 1]. Nothing is interpolated, which would be too optimistic (Davis & Goadrich, ICML 2006).
    """
    hits, alarms = _counts_by_threshold(vessel, chance)
    precision = hits[1:] / (hits[1:] + alarms[1:])
    return float((np.diff(hits) * precision).sum() / hits[-1])


def _counts_by_threshold(
    vessel: Mask, chance: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return true and false positives at each threshold, from none to all pixels.

    The thresholds are the distinct values, from the highest to the lowest.
    """
    order = np.argsort(-chance.astype(np.float64), kind="stable")
    values = chance[order]
    last = np.append(np.flatnonzero(np.diff(values)), values.size - 1)  # of the pixels that share a value
    hits = np.cumsum(vessel[order], dtype=np.float64)[last]
    return np.append(0.0, hits), np.append(0.0, last + 1 - hits)


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
