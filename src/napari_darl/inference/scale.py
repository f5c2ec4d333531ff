"""The pixel size that models are trained at, and how frames are brought to it."""


def guess_resize(height: int, width: int) -> float:
    """Guess the factor that brings frames to the pixel sizes that models are trained at.

    Parameters
    ----------
    height, width : int
        Of a frame, in pixels; a whole one, such as an angiography system or a fundus camera makes it.

    Returns
    -------
    float
        1 where the shorter side has 256 to 850 pixels, which the crops of the training cover, else what makes it 512;
        from 0.25 to 4, to two digits.
    """
    side = max(min(height, width), 1)
    if 256 <= side <= 850:
        return 1.0
    return round(min(max(512 / side, 0.25), 4.0), 2)
