"""How much noise changes masks."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from statistics import mean

import numpy as np

from napari_darl.evaluation.metrics import Mask, score
from napari_darl.evaluation.report import markdown_table

HEADER = ("noise", "vessel %", "Dice without noise", "Dice with expert")


@dataclass(frozen=True)
class Robustness:
    """How one kind of noise changes the mask of a frame.

    Attributes
    ----------
    noise : str
        Name of the noise.
    vessel : float
        Percentage of the frame that is vessel.
    agreement : float
        Dice with the mask without noise, in [0, 1].
    dice : float, optional
        Dice with the expert's mask, if there is one, in [0, 1].
    """

    noise: str
    vessel: float
    agreement: float
    dice: float | None


def robustness(masks: Mapping[str, Mask], truth: Mask | None = None) -> list[Robustness]:
    """Compare the masks of a frame under several kinds of noise.

    Parameters
    ----------
    masks : mapping of str to numpy.ndarray of bool, shape (H, W)
        Masks by the name of the noise; the first is the one without noise.
    truth : numpy.ndarray of bool, shape (H, W), optional
        The expert's mask.

    Returns
    -------
    list of Robustness
        One entry per mask.

    Raises
    ------
    InputError
        If shapes differ.

    Examples
    --------
    >>> import numpy as np
    >>> line = np.eye(40, dtype=bool)
    >>> [row.agreement for row in robustness({"none": line, "strong": np.zeros_like(line)})]
    [1.0, 0.0]
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
    """Return the means over frames, one entry per kind of noise; each frame has the same kinds."""
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
    """Return a Markdown table, one row per kind of noise."""
    return markdown_table(HEADER, [astuple(row) for row in rows])
