"""Stacks of frames, chosen from layers, folders and files; counted at once, and read in the background."""

from collections.abc import Callable
from functools import partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image
from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QVBoxLayout, QWidget

from napari_darl._napari.bit_depth import BitDepth, bit_depth
from napari_darl._napari.file_colours import colour_check
from napari_darl._napari.layers import bare, frame_order, frames_shape, pixels
from napari_darl._napari.pickers import explanation, widen
from napari_darl.errors import DarlError
from napari_darl.frames.channels import Channel
from napari_darl.frames.stacks import Stack, read_stack, series_folders, split_series
from napari_darl.io.arrays import ImageArray, ImageData
from napari_darl.io.images import SUPPORTED, image_paths

if TYPE_CHECKING:
    import napari

FOLDER, FILE = "Folder...", "File..."
SELECTED = "the selected image layers"


Reading = Callable[[], Stack]
"""Reads the chosen stack. It is slow, so it is called in a thread. It raises FileError or InputError."""


class StackPicker(QWidget):
    """Chooses a stack, and shows how many frames it has.

    Parameters
    ----------
    viewer : napari.Viewer
        Its image layers are offered.
    without : dict of str to str
        Entries that stand for no stack, and how the line below describes each.
    few : int
        Fewer frames than this get a hint; 0 for no hint.
    tip : str
        The tooltip.
    channel : str or int, optional
        The channel to use, see `to_grey` and `select_channel`.

    Attributes
    ----------
    channel : str or int, optional
        The channel to use.

    Signals
    -------
    changed
        Another entry was chosen, by the user or because layers were added or removed.
    """

    changed = Signal()

    def __init__(
        self, viewer: "napari.Viewer", without: dict[str, str], few: int, tip: str, channel: Channel = None
    ) -> None:
        super().__init__()
        self._viewer, self._without, self._few, self.channel = viewer, without, few, channel
        self._chosen: str | Path | Image | None = next(iter(without), None)
        self.choices = QComboBox()
        self.choices.setToolTip(tip)
        widen(self.choices)
        self.line = explanation()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(self.choices)
        column.addWidget(self.line)
        self.choices.activated.connect(self._activated)
        events = viewer.layers.events
        for event in (events.inserted, events.removed, events.reordered, events.renamed):
            event.connect(self._list)
        viewer.layers.selection.events.changed.connect(self._describe)
        self._list()

    @property
    def chosen(self) -> str | Path | Image | None:
        """The chosen layer or path, or the text of another entry; None if there is nothing to choose."""
        return self._chosen

    def choose(self, what: str | Path | Image) -> None:
        """Choose a layer, a folder or file, or another entry by its text."""
        self._chosen = bare(what) if isinstance(bare(what), Image) else what
        self._list()
        self.changed.emit()

    def reading(self) -> Reading | None:
        """Return a function that reads the chosen stack, or None for an entry without one. Layers are looked at now."""
        if isinstance(self._chosen, Path):
            return partial(read_stack, self._chosen, self.channel)
        images = [
            (ImageData(pixels(layer), bool(layer.rgb)), bit_depth(layer), colour_check(layer))
            for layer in self._layers()
        ]
        return partial(_read_layers, images, self.channel) if images else None

    def source(self) -> Path | Image | None:
        """Return the folder, file or layer that is chosen; None if it is none or several."""
        layers = self._layers()
        return self._chosen if isinstance(self._chosen, Path) else layers[0] if len(layers) == 1 else None

    def layer_geometry(self) -> dict[str, Any]:
        """Return keyword arguments with which a layer of a stack (N, Y, X) lies exactly over the chosen layer."""
        layers = self._layers()
        return stack_geometry(layers[0]) if layers else {}

    def _layers(self) -> list[Image]:
        if isinstance(self._chosen, Image):
            return [self._chosen]
        if self._chosen == SELECTED:
            return [layer for layer in self._images() if layer in self._viewer.layers.selection]
        return []

    def _images(self) -> list[Image]:
        return [layer for layer in map(bare, self._viewer.layers) if isinstance(layer, Image)]

    def _list(self) -> None:
        """List all entries. The chosen one stays chosen, unless its layer was removed."""
        before, images = self._chosen, self._images()
        if isinstance(self._chosen, Image) and self._chosen not in images:
            self._chosen = next(iter(self._without), None)
        if self._chosen is None and images:
            self._chosen = images[0]
        entries: list[tuple[str, Any]] = [(text, text) for text in self._without]
        entries += [(layer.name, layer) for layer in images]
        if len(images) > 1:
            entries.append((SELECTED, SELECTED))
        if isinstance(self._chosen, Path):
            entries.append((f"{self._chosen.parent.name}/{self._chosen.name}", self._chosen))
        entries += [(FOLDER, FOLDER), (FILE, FILE)]
        with QSignalBlocker(self.choices):
            self.choices.clear()
            for text, value in entries:
                self.choices.addItem(text, value)
            current = next((n for n, (_, value) in enumerate(entries) if value == self._chosen), -1)
            self.choices.setCurrentIndex(current)
            self.choices.setItemData(current, str(self._chosen), Qt.ItemDataRole.ToolTipRole)
        self._describe()
        if self._chosen is not before:
            self.changed.emit()

    def _activated(self, index: int) -> None:
        value = self.choices.itemData(index)
        if value == FOLDER:
            path = QFileDialog.getExistingDirectory(self, "Folder of images")
        elif value == FILE:
            pattern = " ".join(f"*{suffix}" for suffix in SUPPORTED)
            path = QFileDialog.getOpenFileName(self, "Images", "", f"Images ({pattern})")[0]
        else:
            self.choose(value)
            return
        if path:
            self.choose(Path(path))
        else:
            self._list()

    def _describe(self) -> None:
        chosen = self._chosen
        if isinstance(chosen, str) and chosen in self._without:
            text = self._without[chosen]
        elif isinstance(chosen, Path):
            text = self._describe_path(chosen)
        elif layers := self._layers():
            shapes = [frames_shape(layer) for layer in layers]
            sizes = sorted({shape[-2:] for shape in shapes})
            shown = f"{sizes[0][0]} x {sizes[0][1]}" if len(sizes) == 1 else "several sizes"
            text = self._count(sum(prod(shape[:-2]) for shape in shapes), "frame", shown)
        else:
            text = "Choose a layer, a folder or a file."
        self.line.setText(text)

    def _describe_path(self, path: Path) -> str:
        if not path.is_dir():
            return str(path)
        try:
            if folders := series_folders(path):
                files = sum(len(image_paths(folder)) for folder in folders)
                return self._count(files, "file", f"{len(folders)} series in {path}")
            return self._count(len(image_paths(path)), "file", str(path))
        except DarlError as error:
            return str(error)

    def _count(self, count: int, unit: str, detail: str) -> str:
        text = f"{count} {unit}{'' if count == 1 else 's'}, {detail}"
        if count < self._few:
            text += ". Some tens are enough for a first try; a good model needs hundreds."
        return text


def stack_geometry(image: Image) -> dict[str, Any]:
    """Return keyword arguments with which a layer of a stack (N, Y, X) lies over an image layer of any dimensions.

    y and x lie as in the image, and N along the last axis before them.
    """
    *leading, y, x = frame_order(image)
    plane = [y, x]
    origin = np.array(image.data_to_world((0.0,) * image.ndim))
    affine = np.eye(4)  # its axes are N, y and x
    for column, axis in enumerate(plane, 1):
        affine[1:3, column] = _step(image, axis, origin)[plane]
    affine[1:3, 3] = origin[plane]
    if leading:
        along = leading[-1]
        affine[0, 0], affine[0, 3] = _step(image, along, origin)[along], origin[along]
    units = [image.units[axis] for axis in (leading[-1] if leading else x, y, x)]
    return {"affine": affine, "units": tuple(units)}


def _step(image: Image, axis: int, origin: Any) -> Any:
    """Return the step in the world from one pixel to the next along an axis."""
    return np.array(image.data_to_world(np.eye(image.ndim)[axis])) - origin


def _read_layers(images: list[tuple[ImageData[ImageArray], BitDepth, Callable[[], None]]], channel: Channel) -> Stack:
    for *_, check_colours in images:
        check_colours()
    series = [one for image, *_ in images for one in split_series(image, channel)]
    bits = {bit_depth() for _, bit_depth, _ in images}
    return Stack(series, bits.pop() if len(bits) == 1 else None)
