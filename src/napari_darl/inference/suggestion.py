"""Which bundled model suits an image, guessed from its colours and from whether its ridges are bright or dark."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from napari_darl.frames.channels import as_grey
from napari_darl.frames.missing import filled, known_values
from napari_darl.io.arrays import ImageData

SUITS = {
    "default": "X-ray angiograms",
    "fundus": "photographs of the retina",
    "fluorescence": "bright vessels, as in fluorescence and OCT angiography",
}
"""Bundled model -> what it suits."""

_SIDE = 384  # px, about the longer side of what is looked at; larger frames are reduced
_SIGMAS = (1.5, 2.5, 4.0)  # px, widths of ridges
_STRONGEST = 97  # percentile from which responses are compared
_LEAST_GREEN, _MOST_GREEN = 0.2, 0.85  # green, as a part of red, in photographs of the retina


class Suggestion(NamedTuple):
    """A bundled model for an image, and what of the image speaks for it."""

    model: str
    reason: str


def suggest_model(frame: ImageData[npt.NDArray[Any]]) -> Suggestion:
    """Suggest a bundled model for a frame. It is a guess, for the user to confirm.

    Parameters
    ----------
    frame : ImageData, shape (Y, X) or, where `rgb`, (Y, X, 3 or 4)
        One frame; values that aren't finite are left out.

    Returns
    -------
    Suggestion
        `fundus` for orange frames with dark vessels, `fluorescence` for bright vessels, else `default`.

    Examples
    --------
    >>> from napari_darl import ImageData
    >>> from napari_darl.inference.suggestion import suggest_model
    >>> from napari_darl.samples import sample_angiogram, sample_fundus
    >>> suggest_model(ImageData(sample_angiogram()))
    Suggestion(model='default', reason='dark vessels')
    >>> suggest_model(ImageData(sample_fundus(), rgb=True))
    Suggestion(model='fundus', reason='the colours of a retina')
    """
    if frame.rgb and _is_orange(frame.data):
        return Suggestion("fundus", "the colours of a retina")
    if _ridges_are_bright(_reduced(as_grey(frame, "brightest" if frame.rgb else None).data)):
        return Suggestion("fluorescence", "bright vessels")
    return Suggestion("default", "dark vessels")


def _is_orange(colours: npt.NDArray[Any]) -> bool:
    """Return whether red prevails, then green, then blue, as in photographs of the retina."""
    red, green, blue = (float(known_values(colours[..., number]).mean()) for number in range(3))
    return blue < green and _LEAST_GREEN * red < green < _MOST_GREEN * red


def _ridges_are_bright(grey: npt.NDArray[np.float64]) -> bool:
    from skimage.filters import sato  # imports SciPy

    bright, dark = (
        sato(grey, sigmas=_SIGMAS, black_ridges=black, mode="reflect")[_inner(grey)] for black in (False, True)
    )
    return _strength(bright) > _strength(dark)


def _strength(responses: npt.NDArray[np.float64]) -> float:
    return float(responses[responses >= np.percentile(responses, _STRONGEST)].mean())


def _inner(grey: npt.NDArray[np.float64]) -> tuple[slice, slice]:
    """Return the frame without its margin, where apertures and burnt-in text make ridges of their own."""
    height, width = grey.shape
    return slice(height // 8, height - height // 8), slice(width // 8, width - width // 8)


def _reduced(grey: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return a frame of at most about `_SIDE` pixels, from 0 to 1 between two percentiles."""
    values, known = filled(grey).astype(np.float64), known_values(grey)
    low, high = np.percentile(known, (1, 99)) if known.size else (0, 0)
    scaled = np.clip((values - low) / max(high - low, 1e-12), 0, 1)
    step = min(-(-max(grey.shape) // _SIDE), *grey.shape)
    rows, columns = (length // step for length in grey.shape)
    reduced: npt.NDArray[np.float64] = scaled[: rows * step, : columns * step].reshape(rows, step, columns, step)
    means: npt.NDArray[np.float64] = reduced.mean(axis=(1, 3))
    return means
