"""Saving the mask of a layer to a file that the user names."""

from pathlib import Path

from napari.layers import Labels
from napari.utils.notifications import show_error
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_darl._napari.mask_files import MASK_SUFFIXES, PLUGIN
from napari_darl.errors import DarlError


def ask_and_save(layer: Labels, parent: QWidget) -> None:
    """Ask for a file, and write the mask to it."""
    name = f"{layer.name}{MASK_SUFFIXES[0]}"
    path, _ = QFileDialog.getSaveFileName(parent, "Save mask", name, f"Masks (*{MASK_SUFFIXES[0]})")
    if path:
        save_mask(layer, path)


def save_mask(layer: Labels, path: str) -> None:
    """Write a mask to a file. The user has agreed to replace `path` itself, but no file of another name."""
    target = path if path.lower().endswith(MASK_SUFFIXES) else path + MASK_SUFFIXES[0]
    if target != path and Path(target).exists():
        show_error(f"{target} already exists. Choose exactly this name to replace it, or another one.")
        return
    try:
        layer.save(target, plugin=PLUGIN)
    except DarlError as error:
        show_error(str(error))
