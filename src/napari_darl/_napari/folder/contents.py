"""An image of a folder with its mask: read in a thread, shown as layers, and saved when the mask was edited."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels

from napari_darl._napari.bit_depth import BITS
from napari_darl._napari.geometry import AT_DETECTOR, SPACING
from napari_darl._napari.layers import bare, checksum, vessel_colours
from napari_darl._napari.mask_files import PLUGIN, noted_geometry
from napari_darl.io import output
from napari_darl.io.identity import content_hash, stem_of
from napari_darl.io.images import FileImage, read_image

if TYPE_CHECKING:
    import napari

    from napari_darl.batch.jobs import Job


@dataclass(frozen=True, eq=False)
class Contents:
    """What the files of a job hold.

    Attributes
    ----------
    source : Path
        The image's file, or a folder of frames.
    file : Path
        The mask's file.
    image : FileImage
        The image.
    mask : FileImage, optional
        The mask; None if there is none yet.
    description : mapping
        What the mask's file says about its making.
    ours : bool
        Whether the mask was made from this image by this program, so that edits may be saved to its file.
    changed : int
        When the mask's file was last changed, in ns; 0 if there was none.
    """

    source: Path
    file: Path
    image: FileImage
    mask: FileImage | None = None
    description: Mapping[str, Any] | None = None
    ours: bool = False
    changed: int = 0

    @property
    def is_current(self) -> bool:
        """Whether the mask's file is still as it was read."""
        return self.changed == _changed(self.file)


def read_contents(job: "Job", image: FileImage | None = None) -> Contents:
    """Read an image, unless it is given, and its mask, if there is one.

    Raises
    ------
    FileError, InputError
        If one of them can't be read.
    """
    from napari_darl.batch.recipe import IMAGE
    from napari_darl.batch.segmenting import read_source

    file = job.files["mask"]
    contents = Contents(job.source, file, image or read_source(job), changed=_changed(file))
    if not contents.changed:
        return contents
    description = output.read_description(file)
    made = (description or {}).get("provenance", {})
    ours = IMAGE in made and made[IMAGE] == content_hash(job.source)
    return replace(contents, mask=read_image(file), description=description, ours=ours)


class Shown:
    """The layers of an image and its mask.

    Attributes
    ----------
    image : Image
        The image's layer.
    mask : Labels, optional
        The mask's layer: 1 in vessels. It can't be edited unless its file is this program's.
    """

    def __init__(self, contents: Contents, viewer: "napari.Viewer") -> None:
        self._viewer = viewer
        self.contents = contents
        self.image: Image = bare(viewer.add_layer(_image_layer(contents)))
        self.mask: Labels | None = None
        self._saved = 0
        self._saving = Lock()
        self.show_mask(contents)

    def show_mask(self, contents: Contents) -> None:
        """Show the mask, if there is one now and none is shown yet."""
        if contents.mask is None or self.mask is not None:
            return
        self.contents = contents
        labels = (contents.mask.data != 0).astype(np.uint8)
        self._saved = checksum(labels)
        provenance = (contents.description or {}).get("provenance")
        layer = Labels(
            labels,
            name=f"{self.image.name} vessels",
            colormap=vessel_colours(self._viewer, on_colours=contents.image.rgb),
            metadata={PLUGIN: provenance} if provenance else {},
            **_mask_geometry(contents, contents.mask),
        )
        layer.editable = contents.ours
        self.mask = bare(self._viewer.add_layer(layer))
        if contents.ours:
            self.mask.selected_label = 1

    @property
    def edited(self) -> bool:
        """Whether the mask has changed since it was read or saved."""
        return self.mask is not None and self.contents.ours and checksum(self.mask.data) != self._saved

    @property
    def has_further_labels(self) -> bool:
        """Whether the mask has labels above 1, which its file can't tell from vessel."""
        return self.mask is not None and bool(self.mask.data.max() > 1)

    def save(self) -> bool:
        """Save the mask to its file if it was edited; return whether it was. A thread may call it.

        Raises
        ------
        FileError
            If the file can't be written.
        """
        from napari_darl.batch.results import write_edited

        with self._saving:  # a thread that began earlier must not write last
            if self.mask is None or self.contents.mask is None or not self.edited:
                return False
            labels = self.mask.data.copy()
            mask = replace(self.contents.mask, data=labels != 0)
            write_edited(self.contents.file, mask, self.contents.description or {})
            self._saved = checksum(labels)
        return True

    def remove(self) -> None:
        """Remove the layers that are still there."""
        for layer in (self.mask, self.image):
            if layer is not None and layer in self._viewer.layers:
                self._viewer.layers.remove(layer)


def _image_layer(contents: Contents) -> Image:
    image = contents.image
    known = {BITS: image.bits} if image.bits else {}
    spacing = {SPACING: AT_DETECTOR} if image.at_detector else {}
    return Image(
        image.data,
        name=stem_of(contents.source),
        rgb=image.rgb,
        metadata=known | spacing,
        **({} if image.rgb else {"colormap": "gray"}),
        **output.layer_geometry(image),
    )


def _mask_geometry(contents: Contents, mask: FileImage) -> dict[str, Any]:
    """Return where the mask lies: as its file says, else as the last axes of the image."""
    notes = (contents.description or {}).get("notes", {})
    if notes.get("geometry"):
        return noted_geometry(str(contents.file), notes, mask)
    return {name: values[-mask.data.ndim :] for name, values in output.layer_geometry(contents.image).items()}


def _changed(file: Path) -> int:
    return file.stat().st_mtime_ns if file.exists() else 0
