"""Measure the vessels of a mask: one call from a mask to tables."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from napari_darl.measuring.checks import check_frame_time, check_image, check_mask, check_pixel_size, check_region
from napari_darl.measuring.frame import Columns, FrameMeasurer, FrameTables
from napari_darl.measuring.lines import Floats


@dataclass(frozen=True, eq=False)
class Morphometry:
    """The measured vessels of a mask.

    Every column and unit is explained in the glossary of docs/measuring.md. Lengths are in `unit`, positions in pixels.

    Attributes
    ----------
    segments : dict of str to numpy.ndarray
        One row a segment, which lies between branch points or free ends: `frame`, `segment`, `label`, `length`,
        `chord`, `tortuosity`, `curvature`, `diameter`, `diameter_min`, `diameter_max`, `diameter_profile` (where there
        is an image), `start`, `end`.
    branch_points : dict of str to numpy.ndarray
        One row a branch point: `frame`, `branch_point`, `label`, `z` (of volumes), `y`, `x`, `degree`, `angle`,
        `parent_diameter`, `child_diameter`, `second_child_diameter`, `murray`.
    frames : dict of str to numpy.ndarray
        One row a frame: `frame`, `time` (where a frame time is known), `area`, `area_density`, `length`,
        `length_density`, `branch_points`, `branch_point_density`, `segments`, `pieces`, `mean_diameter`,
        `fractal_dimension`, `fractal_dimension_error`.
    summary : dict of str to float
        The row of the only frame, or the means over frames; of movies also `frames`, `peak_frame` (the frame of the
        greatest filled length) and, where a frame time is known, `time_to_peak`.
    paths : list of numpy.ndarray
        (n, 2) or (n, 3) positions along each segment in pixels, in the order of the array's axes.
    diameters : list of numpy.ndarray
        (n,) diameter at each of these positions, in `unit`.
    pixel_size : tuple of float
        Size of a pixel along each axis, in `unit`.
    unit : str
        Unit of length.
    """

    segments: Columns
    branch_points: Columns
    frames: Columns
    summary: dict[str, float]
    paths: list[Floats] = field(repr=False)
    diameters: list[Floats] = field(repr=False)
    pixel_size: tuple[float, ...]
    unit: str


def measure(
    mask: npt.ArrayLike,
    image: npt.ArrayLike | None = None,
    *,
    pixel_size: float | Sequence[float] = 1.0,
    unit: str = "px",
    field_of_view: npt.ArrayLike | None = None,
    separate_labels: bool = False,
    time_axis: int | None = None,
    frame_time: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Morphometry:
    """Measure the vessels of a mask: lengths, diameters, curvature, branch points and densities.

    Parameters
    ----------
    mask : array-like of bool or integers, shape (Y, X) or (Z, Y, X), or either of them with a time axis
        Vessels are not 0.
    image : array-like, shape of `mask`, optional
        Grey frames of the same vessels, dark or bright; they add the column `diameter_profile`.
    pixel_size : float or sequence of float
        Size of a pixel, one for all axes or one for each axis of a frame or volume, in `unit`.
    unit : str
        Unit of length, such as "mm". Without a pixel size all lengths are in pixels.
    field_of_view : array-like of bool, shape of a frame, optional
        Nothing outside is measured, and densities relate to its area; the whole frame by default.
    separate_labels : bool
        Whether each value of the mask is measured by itself; vessels of different values are then never joined.
    time_axis : int, optional
        Axis over which the mask is a movie, measured frame by frame. Without one, three axes are a volume.
    frame_time : float, optional
        Time between frames, in milliseconds.
    progress : callable, optional
        Called with the numbers of measured frames and of all frames; what it raises ends the work.

    Returns
    -------
    Morphometry
        The tables; an empty mask gives empty ones.

    Raises
    ------
    InputError
        If the mask is no mask (a probability is none: threshold it first), shapes don't match, or the pixel size or
        frame time isn't positive.

    References
    ----------
    Hart et al., Int. J. Med. Inform. 53 (1999), on tortuosity; Murray, J. Gen. Physiol. 9 (1926), on branching; Corliss
    et al., Microcirculation 27 (2020), on densities.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_darl
    >>> mask = np.zeros((64, 128), bool)
    >>> mask[30:35, 10:110] = True
    >>> vessels = napari_darl.measure(mask, pixel_size=0.2, unit="mm")
    >>> vessels.segments["length"].round(2), vessels.segments["diameter"].round(2)
    (array([20.]), array([1.]))
    """
    array = check_mask(mask, time_axis)
    size = check_pixel_size(pixel_size, array.ndim - 1)
    check_frame_time(frame_time)
    images = None if image is None else check_image(image, np.shape(mask), time_axis)
    region = None if field_of_view is None else check_region(field_of_view, array.shape[1:])
    measurer = FrameMeasurer(size, region, separate_labels)
    found: list[FrameTables] = []
    for number, labels in enumerate(array):
        found.append(measurer.measure(labels, None if images is None else images[number]))
        if progress:
            progress(len(found), len(array))
    return collect(found, size, unit, frame_time=frame_time, movie=time_axis is not None)


def collect(
    found: Sequence[FrameTables], size: Floats, unit: str, *, frame_time: float | None = None, movie: bool = True
) -> Morphometry:
    """Put the tables of frames together, in order; of a movie the summary has the means over frames."""
    frames: Columns = {"frame": np.arange(len(found))}
    if frame_time is not None:
        frames["time"] = np.arange(len(found)) * float(frame_time)
    frames |= {name: np.array([one.totals[name] for one in found]) for name in found[0].totals}
    return Morphometry(
        segments=_table([one.segments for one in found]),
        branch_points=_table([one.branch_points for one in found]),
        frames=frames,
        summary=_summary(frames) if movie else dict(found[0].totals),
        paths=[path for one in found for path in one.paths],
        diameters=[values for one in found for values in one.diameters],
        pixel_size=tuple(size.tolist()),
        unit=unit,
    )


def _table(frames: list[Columns]) -> Columns:
    """Put the rows of all frames into one table, with the frame's number in front."""
    rows = [len(next(iter(columns.values()))) for columns in frames]
    number = np.repeat(np.arange(len(frames)), rows)
    return {"frame": number} | {name: np.concatenate([one[name] for one in frames]) for name in frames[0]}


def _summary(frames: Columns) -> dict[str, float]:
    """Return the means over the frames of a movie, and where it is filled most."""
    summary: dict[str, float] = {"frames": len(frames["frame"])}
    for name, values in frames.items():
        if name not in ("frame", "time"):
            known = values[np.isfinite(values)]
            summary[name] = float(known.mean()) if len(known) else math.nan
    peak = int(np.argmax(frames["length"]))
    summary["peak_frame"] = peak
    if "time" in frames:
        summary["time_to_peak"] = float(frames["time"][peak])
    return summary
