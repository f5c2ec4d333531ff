"""Whether a candidate is better than the original model: the guard against corrections that do harm.

A candidate has to pass two tests.

1. *Held-out corrections.* Corrected frames are split into two folds; a single frame is split into its halves. What is
   fitted to one fold is compared with the labels of the other. It has to be clearly better in all, no worse than the
   original in either fold, and not bad in itself. Where the original does well, a gain on two frames is often a loss on
   others; therefore what takes its place has to remove a share of its errors.
2. *Disagreement.* Wrong corrections that are wrong in the same way agree with each other, so the first test can't see
   them. Therefore a candidate must also keep most of what the original is sure of where nobody corrected anything.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from napari_darl.refining.corrections import NOT_SAID, LabelledFrame, Labels

Probability = npt.NDArray[np.float32]

GAIN = 0.02
"""Held-out Dice by which a candidate has to beat a simpler one; smaller differences on two frames may be chance."""

LEAST_SHARE = 0.15
"""Share of the error of the original, 1 - Dice on corrected pixels, that a candidate has to remove to replace it."""

MOST_DISAGREEMENT = 0.5
"""Greatest disagreement with the original's sure pixels; a model that doesn't suit the frames is surely wrong often."""

LEAST_DICE = 0.3
"""Held-out Dice from which a candidate is believed. Corrections that nothing fitted to them predicts contradict each
other, and then a small gain is chance."""

_THRESHOLDS = np.arange(0.05, 0.96, 0.05)


class Candidate(NamedTuple):
    """How a candidate did.

    Attributes
    ----------
    dice : float
        Dice on held-out corrected pixels, in [0, 1].
    disagreement : float
        1 - Dice between candidate and original on the pixels that the original is sure of and nobody corrected; where
        there are none, on those that were corrected.
    worst_gain : float
        Dice of the candidate minus that of the original, in the fold where it is smaller.
    """

    dice: float
    disagreement: float
    worst_gain: float = 0.0


class Overlap:
    """Dice of masks, pooled over frames."""

    def __init__(self) -> None:
        self._hits = self._both = 0

    def add(self, mask: npt.NDArray[np.bool_], labels: Labels) -> None:
        """Count a mask's pixels whose labels aren't -1."""
        said = labels != NOT_SAID
        vessel, found = labels[said] == 1, mask[said]
        self._hits += int(np.count_nonzero(vessel & found))
        self._both += int(np.count_nonzero(vessel)) + int(np.count_nonzero(found))

    @property
    def dice(self) -> float:
        """Dice in [0, 1]; 1 where neither has vessels."""
        return 2 * self._hits / self._both if self._both else 1.0


def folds(frames: Sequence[LabelledFrame]) -> list[tuple[list[LabelledFrame], list[LabelledFrame]]]:
    """Return two splits of corrected frames into those to fit and those held out.

    Every second frame is held out in one of them, the others in the other. Of a single frame the labels of one half
    are: along its longer side, at the place that leaves half of the labelled vessel pixels on either side.
    """
    if len(frames) > 1:
        even, odd = list(frames[::2]), list(frames[1::2])
        return [(odd, even), (even, odd)]
    frame = frames[0]
    first, second = (frame.with_labels(labels) for labels in _halves(frame.labels))
    return [([second], [first]), ([first], [second])]


def _halves(labels: Labels) -> tuple[Labels, Labels]:
    axis = int(labels.shape[1] > labels.shape[0])
    said = (labels == 1) if (labels == 1).any() else (labels != NOT_SAID)
    counts = np.cumsum(said.sum(axis=1 - axis))
    middle = int(np.searchsorted(counts, counts[-1] / 2)) + 1
    inside = np.arange(labels.shape[axis]) < middle
    inside = inside if axis else inside[:, None]
    return np.where(inside, labels, NOT_SAID), np.where(inside, NOT_SAID, labels)


def best_threshold(probabilities: Sequence[Probability], labels: Sequence[Labels], known: float) -> float:
    """Return the threshold of greatest Dice on labelled pixels; `known` unless another is better."""
    best, dice = known, -1.0
    for threshold in (known, *_THRESHOLDS):
        overlap = Overlap()
        for probability, said in zip(probabilities, labels, strict=True):
            overlap.add(probability > threshold, said)
        if overlap.dice > dice:
            best, dice = round(float(threshold), 2), overlap.dice
    return best


def disagreement(frames: Sequence[LabelledFrame], masks: Sequence[npt.NDArray[np.bool_]]) -> float:
    """Return 1 - Dice between masks and what the original is sure of, see `Candidate`."""
    overlap, anything = Overlap(), False
    for frame, mask in zip(frames, masks, strict=True):
        anything |= bool((frame.sure != NOT_SAID).any())
        overlap.add(mask, frame.sure)
    if not anything:
        for frame, mask in zip(frames, masks, strict=True):
            overlap.add(mask, frame.with_labels(np.full_like(frame.labels, NOT_SAID)).sure)
    return 1 - overlap.dice


def choose(report: Mapping[str, Candidate]) -> str:
    """Return the best of the candidates that pass; `report` lists them from simple to complex, the original first.

    A more complex candidate has to be better by `GAIN` than the best of the simpler ones, and any of them has to remove
    `LEAST_SHARE` of the original's error.
    """
    best = original = next(iter(report))
    needed = report[original].dice + LEAST_SHARE * (1 - report[original].dice)
    for name, candidate in report.items():
        believed = candidate.dice >= max(LEAST_DICE, needed) and candidate.worst_gain >= 0
        passes = believed and candidate.disagreement <= MOST_DISAGREEMENT
        if passes and candidate.dice >= report[best].dice + GAIN:
            best = name
    return best
