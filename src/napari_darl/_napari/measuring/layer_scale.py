"""How large a layer's pixels are, and how that is known."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.layers import Layer

from napari_darl._napari.file_scale import file_of_scale
from napari_darl._napari.geometry import at_detector
from napari_darl._napari.layers import frame_order

PIXEL = "px"
_SKEWED = 1e-3  # cosine of the angle between two axes beyond which lengths have no single scale


@dataclass(frozen=True)
class LayerScale:
    """The size of a pixel.

    Attributes
    ----------
    size
        Of a pixel along the axes of a frame (y, x) or a volume (z, y, x), in `unit`.
    unit
        Unit of length; `PIXEL` where it isn't known.
    source
        Where the size comes from, in a few words.
    warning
        Why lengths are in pixels; empty where they aren't.
    """

    size: tuple[float, ...]
    unit: str
    source: str
    warning: str = ""

    @property
    def words(self) -> str:
        """One line for the user: the unit, and where it comes from."""
        if self.warning:
            return f"Lengths are in PIXELS. {self.warning}"
        sides = " x ".join(f"{side:.4g}" for side in self.size)
        return f"Lengths are in {self.unit}: a pixel is {sides} {self.unit}, {self.source}."

    def replaced(self, smallest: float, unit: str, source: str) -> "LayerScale":
        """Return a scale whose smallest side is another one; the ratio of the sides stays."""
        factor = smallest / min(self.size)
        return LayerScale(tuple(side * factor for side in self.size), unit, source)


def layer_scale(layer: Layer, dimensions: int) -> LayerScale:
    """Find the size of a layer's pixels.

    A layer without a unit of length is measured in pixels, whatever its scale, and so is one whose scale is that of an
    X-ray detector, where everything is larger than in the patient.

    Parameters
    ----------
    layer
        A layer of frames or volumes, or what `with_file_scale` gives for it.
    dimensions
        2 for frames, 3 for volumes.
    """
    axes = frame_order(layer)[-dimensions:]
    sides = _sides(layer, axes)
    lengths = np.linalg.norm(sides, axis=1)
    ratio = tuple((lengths / lengths.min()).tolist())
    units = [layer.units[axis] for axis in axes]
    if not all(unit.is_compatible_with("meter") for unit in units):
        known = (
            "has no unit of length" if np.allclose(ratio, 1) else "has no unit of length; its smallest side counts 1"
        )
        return LayerScale(ratio, PIXEL, "none", f"'{layer.name}' {known}. Set a pixel size if you know it.")
    cosines = sides @ sides.T / np.outer(lengths, lengths)
    if np.abs(cosines - np.eye(dimensions)).max() > _SKEWED:
        return LayerScale((1.0,) * dimensions, PIXEL, "none", f"'{layer.name}' is sheared, and has no single scale.")
    if at_detector(layer):
        detector = "has the detector's pixel size, where everything is larger than in the patient. Calibrate it."
        return LayerScale(ratio, PIXEL, "none: the detector's only", f"'{layer.name}' {detector}")
    return LayerScale(tuple(lengths.tolist()), f"{units[-1]:~P}", file_of_scale(layer) or "from the layer's scale")


def _sides(layer: Layer, axes: tuple[int, ...]) -> Any:
    """Return the vectors, in the unit of the last axis, that one step along each axis takes in the world."""
    origin = np.array(layer.data_to_world((0.0,) * layer.ndim))
    steps = np.array([np.array(layer.data_to_world(np.eye(layer.ndim)[axis])) - origin for axis in axes])
    unit = layer.units[axes[-1]]
    factors = [
        float((1 * one).to(unit).magnitude) if one.is_compatible_with(unit) else (1.0 if axis in axes else 0.0)
        for axis, one in enumerate(layer.units)
    ]
    across = np.abs(steps) > 1e-9 * np.abs(steps).max()  # a rotation by 90 degrees leaves crumbs along other axes
    return np.where(across, steps, 0) * factors


def frame_time(layer: Layer, dimensions: int) -> float | None:
    """Return the time between frames in ms, where the last axis before the frames is one of time."""
    order = frame_order(layer)
    if layer.ndim <= dimensions:
        return None
    axis = order[-dimensions - 1]
    unit = layer.units[axis]
    if not unit.is_compatible_with("second"):
        return None
    time = float((float(layer.scale[axis]) * unit).to("millisecond").magnitude)
    return time if 0 < time < np.inf else None
