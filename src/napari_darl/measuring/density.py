"""What is measured of a whole frame: the fractal dimension of its centrelines."""

import numpy as np
import numpy.typing as npt


def fractal_dimension(lines: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Estimate the box-counting dimension of lines, as the slope of log(boxes) over log(1 / side).

    Boxes have sides of 2, 4, 8, ... pixels, up to an eighth of the extent of the lines; of each side the grid begins at
    the lines' bounding box.

    Parameters
    ----------
    lines
        (Y, X) or (Z, Y, X), True on the centrelines.

    Returns
    -------
    dimension, error : float
        The slope and its standard error; NaN where there are less than three sides to fit.
    """
    places = np.argwhere(lines)
    if not len(places):
        return np.nan, np.nan
    places -= places.min(axis=0)
    largest = int(places.max()) + 1
    sides = 2 ** np.arange(1, max(int(np.log2(max(largest / 8, 1))) + 1, 1))
    if len(sides) < 3:
        return np.nan, np.nan
    counts = []
    for side in sides.tolist():
        boxes = places // side
        counts.append(len(np.unique(np.ravel_multi_index(tuple(boxes.T), tuple(boxes.max(axis=0) + 1)))))
    x, y = np.log(1 / sides), np.log(counts)
    slope, offset = np.polyfit(x, y, 1)
    rest = y - slope * x - offset
    error = np.sqrt((rest**2).sum() / (len(x) - 2) / ((x - x.mean()) ** 2).sum())
    return float(slope), float(error)
