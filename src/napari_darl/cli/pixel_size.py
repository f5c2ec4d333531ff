"""How large pixels are: what the options say, or the files."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_darl.errors import DarlWarning, InputError

if TYPE_CHECKING:
    from napari_darl.io.arrays import ImageData


@dataclass(frozen=True)
class Scale:
    """The size of a pixel and how it is known."""

    size: float | tuple[float, ...]
    unit: str
    source: str


def warn_of_comma(pixel_size: str | None) -> None:
    """Warn of two sides of a pixel that may be one number with a decimal comma."""
    if pixel_size is not None and pixel_size.count(",") == 1 and "." not in pixel_size:
        sides, one = pixel_size.replace(",", " and "), pixel_size.replace(",", ".")
        warnings.warn(
            f"--pixel-size {pixel_size} means sides of {sides}. If it is one number, pass {one}.",
            DarlWarning,
            stacklevel=2,
        )


def find_scale(pixel_size: str | None, unit: str | None, images: "list[ImageData[Any]]", path: Path) -> Scale:
    """Find the size of a pixel: as given, else as the files say, else pixels, with a warning.

    The size at a detector (DICOM's ImagerPixelSpacing) is never taken for the patient's.
    """
    if (pixel_size is None) != (unit is None):
        given = "--pixel-size needs its unit: add --unit, such as mm."
        raise InputError(given if unit is None else "--unit is the unit of --pixel-size: add it.")
    if pixel_size is not None and unit is not None:
        try:
            sizes = tuple(float(part) for part in pixel_size.split(","))
        except ValueError as error:
            raise InputError(f"--pixel-size is '{pixel_size}'. Give one number, or one for each axis.") from error
        return Scale(sizes[0] if len(sizes) == 1 else sizes, unit, "given")
    for image in images:
        if image.pixel_size and image.unit and image.unit != "pixel" and not image.at_detector:
            return Scale(image.pixel_size, image.unit, f"file {image.path.name}" if image.path else "file")
    if any(image.at_detector for image in images):
        message = (
            "Measured in PIXELS. The file's pixel size is the detector's, where everything is larger than in the "
            "patient. Calibrate it, as by a catheter, and measure with --pixel-size and --unit."
        )
        warnings.warn(DarlWarning(message, path), stacklevel=2)
        return Scale(1.0, "px", "none: the file has the detector's only")
    message = "Measured in PIXELS: no file says how large one is. If you know it, measure with --pixel-size and --unit."
    warnings.warn(DarlWarning(message, path), stacklevel=2)
    return Scale(1.0, "px", "none")


def for_axes(scale: Scale, dimensions: int) -> float | tuple[float, ...]:
    """Fit a size to volumes: one number holds for all axes, a file's height and width say nothing of the depth."""
    if isinstance(scale.size, float) or len(scale.size) == dimensions:
        return scale.size
    raise InputError(
        f"The pixel size is {scale.size} and the masks have {dimensions} axes. Give one for each by --pixel-size."
    )
