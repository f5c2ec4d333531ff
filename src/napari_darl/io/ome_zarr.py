"""Results as OME-Zarr (NGFF): an array and a pyramid of coarser ones, with axes, units and scale.

Version 0.5 on zarr 3, or 0.4 on zarr 2. Masks are labels with a colour, probabilities are images.
"""

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from napari_darl.errors import DarlWarning, InputError
from napari_darl.io.arrays import UNKNOWN_AXES, ImageData, ome_axes
from napari_darl.io.lazy import is_zarr
from napari_darl.io.output import layer_geometry
from napari_darl.io.pyramid import Pyramid, coarsen
from napari_darl.io.zarr_labels import image_of, level_count

FINEST = "0"
"""Path of the array of full size."""

_COARSEST = 512  # px, longest side of the coarsest level
_ORDER = "tcz"  # of axes before y and x
_KINDS = {"t": "time", "c": "channel"}
_UNITS = {
    "nm": "nanometer",
    "µm": "micrometer",
    "um": "micrometer",
    "mm": "millimeter",
    "cm": "centimeter",
    "m": "meter",
    "ms": "millisecond",
}
_COLOUR = [230, 60, 60, 255]  # of vessels


@dataclass(frozen=True)
class OmeZarr:
    """The layout of a result.

    Attributes
    ----------
    shape, chunks : tuple of int
        Of the full size, (..., Y, X).
    dtype : numpy.dtype
        uint8 for masks, float32 for probabilities.
    axes : str
        A letter for each axis.
    scale : tuple of float
        Size of a pixel along each axis.
    units : tuple of str
        Unit of each; "pixel" where it isn't known.
    zarr_format : int
        2 or 3.
    source : str, optional
        Path of the image from here, if it is an OME-Zarr image, too.
    count : int, optional
        Number of levels; by default as many as it takes to have a small one.
    """

    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: npt.DTypeLike
    axes: str
    scale: tuple[float, ...]
    units: tuple[str, ...]
    zarr_format: Literal[2, 3] = 3
    source: str | None = None
    count: int | None = None

    @classmethod
    def of(
        cls, image: ImageData[Any], shape: tuple[int, ...], chunks: tuple[int, ...], dtype: npt.DTypeLike, path: Path
    ) -> "OmeZarr":
        """Plan a result at a path: its axes, scale and units are those of the image.

        A label in the image's own `labels/` has as many levels as the image.

        Raises
        ------
        InputError
            If there are more than five axes.
        """
        leading = len(shape) - 2
        axes = _axes(image, leading)
        geometry = layer_geometry(image if ome_axes(image, leading) else replace(image, axes=axes.upper()))
        inside = image_of(path)
        source = inside or (image.path if image.path is not None and is_zarr(image.path) else None)
        two = source is not None and not (source / "zarr.json").is_file()
        return cls(
            shape,
            chunks,
            dtype,
            axes,
            tuple(geometry["scale"]),
            tuple(geometry["units"]),
            2 if two else 3,
            None if source is None else Path(os.path.relpath(source, path)).as_posix(),
            level_count(inside) if inside else None,
        )

    def levels(self) -> list[tuple[int, ...]]:
        """Return the shapes of the levels: each has half of the height and width of the one before."""
        shapes = [self.shape]
        while len(shapes) < self.count if self.count else max(shapes[-1][-2:]) > _COARSEST:
            *leading, height, width = shapes[-1]
            shapes.append((*leading, (height + 1) // 2, (width + 1) // 2))
        return shapes

    def create(self, path: Path, attributes: Mapping[str, Any]) -> None:
        """Create all levels, empty, with the metadata and further attributes."""
        import zarr

        metadata = self._metadata(path.name.removeprefix(".").split(".")[0])
        group = zarr.create_group(path, zarr_format=self.zarr_format, attributes={**metadata, **attributes})
        for number, shape in enumerate(self.levels()):
            chunks = tuple(min(one, side) for one, side in zip(self.chunks, shape, strict=True))
            options: dict[str, Any] = {"dimension_names": list(self.axes)}
            if self.zarr_format == 2:
                options = {"chunk_key_encoding": {"name": "v2", "separator": "/"}}
            group.create_array(str(number), shape=shape, chunks=chunks, dtype=self.dtype, fill_value=0, **options)

    def pyramid(self) -> Pyramid:
        """Return the chunks of all levels, to fill the coarser ones as the finer ones are written."""
        return Pyramid(self.levels(), self.chunks)

    def build(self, path: Path) -> None:
        """Fill the coarser levels from the finest, chunk by chunk, as `coarsen` does."""
        pyramid = self.pyramid()
        for level in range(1, len(self.levels())):
            for block in pyramid.blocks(level):
                coarsen(path, block)

    def _metadata(self, name: str) -> dict[str, Any]:
        masks = np.dtype(self.dtype).kind == "u"
        multiscale: dict[str, Any] = {
            "name": name,
            "axes": [_axis(letter, unit) for letter, unit in zip(self.axes, self.units, strict=True)],
            "datasets": [
                {"path": str(number), "coordinateTransformations": self._transformations(2**number)}
                for number in range(len(self.levels()))
            ],
            "type": "max" if masks else "mean",
        }
        label: dict[str, Any] = {"colors": [{"label-value": 1, "rgba": _COLOUR}]}
        if self.source is not None:
            label["source"] = {"image": self.source}
        if self.zarr_format == 2:
            labels = {"image-label": {"version": "0.4", **label}} if masks else {}
            return {"multiscales": [{"version": "0.4", **multiscale}], **labels}
        return {"ome": {"version": "0.5", "multiscales": [multiscale], **({"image-label": label} if masks else {})}}

    def _transformations(self, factor: int) -> list[dict[str, Any]]:
        """Return the scale of a level, and where the middle of its first pixel lies."""
        factors = [1] * (len(self.axes) - 2) + [factor] * 2
        scale = [size * by for size, by in zip(self.scale, factors, strict=True)]
        shift = [size * (by - 1) / 2 for size, by in zip(self.scale, factors, strict=True)]
        found: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
        return found if factor == 1 else [*found, {"type": "translation", "translation": shift}]


def _axes(image: ImageData[Any], leading: int) -> str:
    """Name the axes; OME-Zarr wants time, channels and depth in this order."""
    if leading >= len(UNKNOWN_AXES):
        raise InputError(f"The image has {leading + 2} axes. OME-Zarr holds up to five: save parts of it.")
    unknown = UNKNOWN_AXES[leading].lower()
    if names := ome_axes(image, leading).lower():
        if list(names) == sorted(names, key=_ORDER.index):
            return names + "yx"
        message = f"OME-Zarr has no axes in the order {names}yx. They are called {unknown}yx in the result."
        warnings.warn(message, DarlWarning, stacklevel=2)
    return unknown + "yx"


def _axis(letter: str, unit: str) -> dict[str, str]:
    axis = {"name": letter, "type": _KINDS.get(letter, "space")}
    return axis | ({"unit": _UNITS[unit]} if unit in _UNITS else {})
