"""The factor that brings frames to the pixel size of a model's training."""

from napari_darl.darl.config import SIDE
from napari_darl.errors import InputError
from napari_darl.frames.arrays import MIN_SIZE


def guess_resize(height: int, width: int, side: int = SIDE, reach: float = 1.5, enlargement: float = 1.0) -> float:
    """Estimate the resize factor of whole frames from their shape.

    Models know frames whose shorter side has from `side` to `reach` * `side` pixels. Frames outside of this range are
    resized just enough to lie in it. Both are then enlarged, if the model asks for it.

    Parameters
    ----------
    height, width : int
        Of a whole frame, as an angiography system or a fundus camera makes it, in pixels.
    side : int
        The least shorter side, in pixels, of the frames that suit the model.
    reach : float
        At least 1.
    enlargement : float
        `ModelConfig.enlargement`.

    Returns
    -------
    float
        `enlargement` in that range; from 0.25 to 4, rounded to two digits.
    """
    shorter = max(min(height, width), 1)
    factor = enlargement * min(max(1.0, side / shorter), reach * side / shorter)
    return round(min(max(factor, 0.25), 4.0), 2)


def checked_resize(
    resize: float | None, height: int, width: int, side: int = SIDE, reach: float = 1.5, enlargement: float = 1.0
) -> float:
    """Return a resize factor that is possible: the one given, or else an estimate.

    Raises
    ------
    InputError
        If it isn't above 0 and at most 16, or leaves less than `MIN_SIZE` pixels of a side.
    """
    factor = guess_resize(height, width, side, reach, enlargement) if resize is None else resize
    if not 0 < factor <= 16:
        raise InputError(f"The resize factor is {factor}. Choose one above 0, of at most 16.")
    if min(height, width) * factor < MIN_SIZE:
        raise InputError(
            f"A resize factor of {factor} leaves less than {MIN_SIZE} pixels of a {height} x {width} frame. "
            "Choose a larger one."
        )
    return factor
