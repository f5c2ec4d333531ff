"""Fingerprints of the stacks that a run is trained on, so that resuming with others doesn't go unnoticed."""

import warnings
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_darl.errors import DarlWarning
from napari_darl.training.sampler import Stacks

Fingerprints = Mapping[str, str | None]
"""Name of each stack -> the hash of its frames, or None if there is no such stack."""


def fingerprints(stacks: Stacks) -> dict[str, str | None]:
    """Return the hash of each stack: of the shapes, dtypes and values of its frames, in order."""
    named = {"angiograms": stacks.angiograms, "backgrounds": stacks.backgrounds, "masks": stacks.masks}
    return {name: None if frames is None else _hash(frames) for name, frames in named.items()}


def warn_of_other_stacks(before: object, now: Fingerprints) -> None:
    """Warn if a run is resumed with other stacks than it was saved with.

    Parameters
    ----------
    before : object
        The fingerprints in the checkpoint; anything else, as in former checkpoints, says nothing.
    now : mapping of str to str
        Those of the stacks that it is resumed with.

    Warns
    -----
    DarlWarning
        The warning names the stacks that differ.
    """
    if not isinstance(before, Mapping):
        return
    others = [name for name, known in now.items() if before.get(name) != known]
    if others:
        verb = "aren't those" if len(others) == 1 else "aren't the stacks"
        warnings.warn(
            f"The {' and the '.join(others)} {verb} that the run was trained on so far. It goes on with the new ones.",
            DarlWarning,
            stacklevel=3,
        )


def _hash(frames: Sequence[NDArray[Any]]) -> str:
    found = sha256()
    for frame in frames:
        found.update(repr((frame.shape, frame.dtype.str)).encode())
        found.update(np.ascontiguousarray(np.ma.getdata(frame)).data)
        if isinstance(frame, np.ma.MaskedArray):
            found.update(np.ma.getmaskarray(frame).tobytes())
    return found.hexdigest()
