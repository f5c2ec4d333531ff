"""How far masks under noise are those without it."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from statistics import mean

import numpy as np

from napari_darl.evaluation.metrics import Mask, score
from napari_darl.evaluation.report import markdown_table

HEADER = ("noise", "vessel %", "Dice without noise", "Dice with expert")


@dataclass(frozen=True)
class Robustness:
    """A mask under one noise.

    Attributes
    ----------
    noise : str
        Which one.
    vessel : float
        Per cent of the frame that is vessel.
    agreement : float
        Dice with the mask without noise.
    dice : float, optional
        Dice with the expert's mask, if there is one.
    """

    noise: str
    vessel: float
    agreement: float
    dice: float | None


def robustness(masks: Mapping[str, Mask], truth: Mask | None = None) -> list[Robustness]:
    """Compare the masks of a frame under noise.

    Parameters
    ----------
    masks : mapping of str to numpy.ndarray of bool, shape (H, W)
        By noise, the first without.
    truth : numpy.ndarray of bool, shape (H, W), optional
        The expert's mask.

    Raises
    ------
    InputError
        If shapes differ.
    """
    clean = next(iter(masks.values()))
    return [
        Robustness(
            noise,
            100 * float(np.mean(mask)),
            score(mask, clean).dice,
            None if truth is None else score(mask, truth).dice,
        )
        for noise, mask in masks.items()
    ]


def mean_robustness(frames: Sequence[Sequence[Robustness]]) -> list[Robustness]:
    """Average over frames under the same noises."""
    return [
        Robustness(
            rows[0].noise,
            mean(row.vessel for row in rows),
            mean(row.agreement for row in rows),
            None if rows[0].dice is None else mean(row.dice or 0.0 for row in rows),
        )
        for rows in zip(*frames, strict=True)
    ]


def robustness_table(rows: Sequence[Robustness]) -> str:
    """Lay the rows out as a Markdown table."""
    return markdown_table(HEADER, [astuple(row) for row in rows])
