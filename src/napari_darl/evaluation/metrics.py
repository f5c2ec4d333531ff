"""How well a vessel mask agrees with an expert's."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
from skimage.morphology import skeletonize
from sklearn.metrics import average_precision_score, roc_auc_score

from napari_darl.errors import DarlWarning, InputError

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


_LABELS = 64  # grey values of masks with soft edges reach further
MEASURES = tuple(field.name for field in fields(Scores))
"""Names of the measures, in the order that tables show them."""


def above_half(mask: npt.ArrayLike) -> Mask:
    """Tell vessel from background in a mask.

    Parameters
    ----------
    mask : array-like of real numbers
        0 / 1, 0 / 255, -1 / +1, or grey with soft edges; bool is taken as it is.

    Returns
    -------
    numpy.ndarray of bool
        Of the same shape: what lies above half the maximum, so nothing where all is 0.

    Raises
    ------
    InputError
        If the mask has no pixels, holds no real numbers, or NaN or infinite ones.

    Warns
    -----
    DarlWarning
        If it looks like labels of several kinds, such as 1 for arteries and 2 for veins.
    """
    array = _finite(mask, "mask")
    if array.size == 0:
        raise InputError(f"the mask has no pixels (its shape is {array.shape}): hand a frame that has some")
    if array.dtype.kind in "ui" and array.min() >= 0 and array.max() < _LABELS:
        kinds = np.flatnonzero(np.bincount(array.ravel()))
        if len(kinds) > 2:
            told = ", ".join(map(str, kinds[:5]))
            warnings.warn(
                f"A mask holds the values {told}: those above half the greatest count as vessel; hand 0 and 1.",
                DarlWarning,
                stacklevel=2,
            )
    return array if array.dtype == np.bool_ else array > array.max() / 2


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
        Masks; vessel is what `above_half` finds in each.
    probability : array-like of float, shape (H, W), optional
        Any finite value that rises with the chance of vessel; the areas under the curves need it.
    fov : array-like of bool, shape (H, W), optional
        Field of view: pixels outside it don't count. Everything counts by default.

    Returns
    -------
    Scores
        Where both masks are empty, all measures of masks are 1; where a measure has nothing to divide by
        because only one of them is empty, it is 0. The areas under the curves are None without a
        probability, or where the truth is all vessel or all background.

    Raises
    ------
    InputError
        If shapes differ, aren't 2-D, the field of view is empty, or there are NaN or infinite values.
    """
    found, vessel = above_half(prediction), above_half(truth)
    inside = np.ones(vessel.shape, np.bool_) if fov is None else above_half(fov)
    chance = None if probability is None else _finite(probability, "probability")
    _check(found, vessel, inside, chance)
    found, vessel = found & inside, vessel & inside
    roc_auc, pr_auc = (None, None) if chance is None else _areas(vessel[inside], chance[inside])
    hits, either = int((found & vessel).sum()), int((found | vessel).sum())
    nothing = float(either == 0)
    return Scores(
        dice=_ratio(2 * hits, either + hits, nothing),
        iou=_ratio(hits, either, nothing),
        precision=_ratio(hits, int(found.sum()), nothing),
        recall=_ratio(hits, int(vessel.sum()), nothing),
        cldice=_cldice(found, vessel, nothing),
        roc_auc=roc_auc,
        pr_auc=pr_auc,
    )


def mean_scores(scores: Sequence[Scores]) -> Scores:
    """Average scores over frames, each frame weighing the same.

    Parameters
    ----------
    scores : sequence of Scores
        One of each frame.

    Returns
    -------
    Scores
        The means; an area under a curve is averaged over the frames that have one, None where none has.

    Raises
    ------
    InputError
        If there are no scores.
    """
    if not scores:
        raise InputError("there are no scores to average: hand those of one frame at least")
    means: dict[str, Any] = {name: _mean([getattr(one, name) for one in scores]) for name in MEASURES}
    return Scores(**means)


def _finite(values: npt.ArrayLike, name: str) -> npt.NDArray[Any]:
    array = np.asarray(values)
    if array.dtype.kind not in "buif":
        raise InputError(f"the {name} holds values of type {array.dtype}: hand integers, bool or real floats")
    if not np.isfinite(array).all():
        raise InputError(f"the {name} holds NaN or infinite values: replace them, as with numpy.nan_to_num")
    return array


def _check(found: Mask, vessel: Mask, inside: Mask, chance: npt.NDArray[Any] | None) -> None:
    if vessel.ndim != 2:
        raise InputError(f"the truth's shape is {vessel.shape}: hand one 2-D frame (H, W) at a time")
    for name, array in {"prediction": found, "field of view": inside, "probability": chance}.items():
        if array is not None and array.shape != vessel.shape:
            raise InputError(
                f"the {name}'s shape {array.shape} isn't the truth's {vessel.shape}: hand the same frame's"
            )
    if not inside.any():
        raise InputError("the field of view is empty: hand one with pixels in it, or none")


def _ratio(part: int, whole: int, otherwise: float) -> float:
    return part / whole if whole else otherwise


def _cldice(found: Mask, vessel: Mask, nothing: float) -> float:
    found_line, vessel_line = _centreline(found), _centreline(vessel)
    precision = _ratio(int((found_line & vessel).sum()), int(found_line.sum()), nothing)
    sensitivity = _ratio(int((vessel_line & found).sum()), int(vessel_line.sum()), nothing)
    both = precision + sensitivity
    return 2 * precision * sensitivity / both if both else 0.0


def _centreline(mask: Mask) -> Mask:
    line: Mask = skeletonize(mask)
    return line


def _areas(vessel: Mask, chance: npt.NDArray[Any]) -> tuple[float | None, float | None]:
    if vessel.all() or not vessel.any():
        return None, None
    return float(roc_auc_score(vessel, chance)), float(average_precision_score(vessel, chance))


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
