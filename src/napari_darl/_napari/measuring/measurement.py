"""One measurement of a mask: how it was asked for, what was found, and whether it still holds."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels

from napari_darl import __version__
from napari_darl._napari.file_scale import with_file_scale
from napari_darl._napari.layers import checksum, frame_order, frames_shape, pixels, to_world, visible_frame
from napari_darl._napari.mask_files import PLUGIN
from napari_darl._napari.measuring.layer_scale import LayerScale, frame_time
from napari_darl._napari.measuring.overlay import MOST_PATHS, Overlay
from napari_darl._napari.measuring.tables import shown
from napari_darl._napari.measuring.work import MeasuredFrame, Stack
from napari_darl.errors import InputError

if TYPE_CHECKING:
    import napari

    from napari_darl.measuring.morphometry import Morphometry


def mask_stack(mask: Labels, dimensions: int) -> Stack:
    """Take the frames or volumes of a mask layer."""
    return Stack(pixels(mask), dimensions)


def image_stack(image: Image | None, mask: Labels, dimensions: int) -> Stack | None:
    """Take the frames of the image of a mask.

    Raises
    ------
    InputError
        If it hasn't the mask's shape.
    """
    if image is None:
        return None
    if frames_shape(image) != frames_shape(mask):
        raise InputError(
            f"'{image.name}' has the shape {frames_shape(image)} and '{mask.name}' {frames_shape(mask)}. "
            "Choose the image that the mask belongs to, or none."
        )
    return Stack(pixels(image), dimensions, bool(image.rgb))


@dataclass
class Measurement:
    """A measurement under way or done.

    Attributes
    ----------
    mask, image
        The layers.
    stack
        The mask's frames.
    scale
        The size of a pixel.
    separate
        Whether each label is measured by itself.
    overlay
        Its layers.
    frames
        What was found so far, frame by frame from the first.
    """

    mask: Labels
    image: Image | None
    stack: Stack
    scale: LayerScale
    separate: bool
    overlay: Overlay
    frames: list[MeasuredFrame] = field(default_factory=list)
    _found: "Morphometry | None" = None

    @classmethod
    def of(
        cls, viewer: "napari.Viewer", mask: Labels, image: Image | None, scale: LayerScale, separate: bool
    ) -> "Measurement":
        """Prepare to measure a mask."""
        stack = mask_stack(mask, len(scale.size))
        return cls(mask, image, stack, scale, separate, Overlay(viewer, mask))

    def found(self) -> "Morphometry":
        """Put together what was found so far."""
        from napari_darl.measuring.morphometry import collect

        if self._found is None or len(self._found.frames["frame"]) != len(self.frames):
            self._found = collect(
                [frame.tables for frame in self.frames],
                np.array(self.scale.size),
                self.scale.unit,
                frame_time=frame_time(with_file_scale(self.mask, self.image), self.stack.dimensions),
                movie=len(self.stack) > 1,
            )
        return self._found

    def show(self, number: int) -> None:
        """Show a frame in the viewer, if it was measured."""
        if number < len(self.frames):
            widths = self.found().segments["diameter"]
            limits = (float(widths.min()), float(widths.max())) if len(widths) else (0.0, 1.0)
            leading = tuple(int(place) for place in np.unravel_index(number, self.stack.leading))
            self.overlay.show(self.frames[number].tables, leading, limits, self.scale.unit)

    def legend(self) -> str:
        """Say what the colours of the paths mean, and whether all paths are drawn."""
        segments = self.found().segments
        widths = segments["diameter"]
        if not len(widths):
            return ""
        reach = f"{shown(float(widths.min()))} to {shown(float(widths.max()))} {self.scale.unit}"
        drawn = (
            "" if np.bincount(segments["frame"]).max() <= MOST_PATHS else f" Only the {MOST_PATHS} longest are drawn."
        )
        return f"Paths are coloured by diameter, {reach}, purple to yellow.{drawn}"

    def frame_shown(self, viewer: "napari.Viewer") -> int:
        """Return the number of the frame that the viewer shows."""
        leading = self.stack.leading
        place = visible_frame(self.mask, viewer)[: len(leading)]
        return int(np.ravel_multi_index(place, leading)) if leading else 0

    def go_to(self, number: int, viewer: "napari.Viewer") -> None:
        """Let the viewer show a frame."""
        axes = list(frame_order(self.mask)[: len(self.stack.leading)])
        point = np.zeros(self.mask.ndim)
        point[axes] = np.unravel_index(number, self.stack.leading)
        world = to_world(self.mask, point, viewer)
        for axis in axes:
            viewer.dims.set_point(viewer.dims.ndim - self.mask.ndim + axis, world[axis])

    def outdated(self, number: int, scale: LayerScale) -> str:
        """Say why the measurement no longer holds; empty if it does, as far as frame `number` tells."""
        if scale != self.scale:
            return "The pixel size was changed."
        stack = mask_stack(self.mask, self.stack.dimensions)
        if stack.leading != self.stack.leading:
            return "The mask has other frames."
        if number < len(self.frames) and checksum(stack[number]) != self.frames[number].hash:
            return "The mask was edited."
        return ""

    def write_tables(self, folder: Path) -> None:
        """Write the tables of what was found into a folder.

        Raises
        ------
        FileError
            If one of the files exists already, or can't be written.
        """
        from napari_darl.measuring.tables import as_json, with_unit, write_csv, write_json

        found = self.found()
        name = "".join(c if c.isalnum() or c in " -_" else "_" for c in self.mask.name)
        for kind in ("segments", "branch_points", "frames"):
            write_csv(folder / f"{name}_{kind}.csv", with_unit(getattr(found, kind), found.unit), overwrite=False)
        write_json(folder / f"{name}_measured.json", as_json(found, self.provenance()), overwrite=False)

    def provenance(self) -> dict[str, Any]:
        """Say where the numbers come from."""
        return {
            "version": __version__,
            "mask": self.mask.name,
            "image": None if self.image is None else self.image.name,
            "made_by": dict(self.mask.metadata.get(PLUGIN, {})),
            "pixel_size_from": self.scale.source,
            "separate_labels": self.separate,
            "frames": f"{len(self.frames)} of {len(self.stack)}",
        }
