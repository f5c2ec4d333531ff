"""The pixel sizes that suit models, and how frames are brought to them."""

from napari_darl.darl.config import SIDE
from napari_darl.errors import InputError
from napari_darl.frames.arrays import MIN_SIZE


def guess_resize(height: int, width: int, side: int = SIDE) -> float:
    """Guess the factor that brings frames to the pixel sizes that suit a model, resizing them no more than that takes.

    Parameters
    ----------
    height, width : int
        Of a frame, in pixels; a whole one, such as an angiography system or a fundus camera makes it.
    side : int
        Least shorter side, in pixels, of the frames that suit the model; up to one and a half times as many do, too.

    Returns
    -------
    float
        1 where the shorter side has from `side` to one and a half times as many pixels, else what brings it there;
        from 0.25 to 4, to two digits.
    """
    shorter = max(min(height, width), 1)
    factor = min(max(1.0, side / shorter), 1.5 * side / shorter)
    return round(min(max(factor, 0.25), 4.0), 2)


def checked_resize(resize: float | None, height: int, width: int, side: int = SIDE) -> float:
    """Take a factor as it is, or guess it where there is none.

    Raises
    ------
    InputError
        If it is no positive factor up to 16, or leaves too little of a frame.
    """
    factor = guess_resize(height, width, side) if resize is None else resize
    if not 0 < factor <= 16:
        raise InputError(f"resize is {factor}: choose a factor above 0 and up to 16.")
    if min(height, width) * factor < MIN_SIZE:
        raise InputError(
            f"resize {factor} leaves less than {MIN_SIZE} pixels of a {height} x {width} frame: enlarge it."
        )
    return factor
