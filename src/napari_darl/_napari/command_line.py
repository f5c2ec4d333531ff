"""*Copy as command*: what a widget would do, as a command line in the clipboard."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari.layers import Layer
from napari.utils.notifications import show_info
from qtpy.QtWidgets import QApplication, QPushButton


def copy_button() -> QPushButton:
    """Make the button that copies."""
    button = QPushButton("Copy as command")
    button.setToolTip("Copies the command line that does the same.")
    return button


def copy_command(name: str, inputs: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Put a command into the clipboard, and show it.

    Parameters
    ----------
    name : str
        The command.
    inputs : mapping of str to layer or path
        Its arguments. A layer stands for its file; if it has none, or lies in several, the key takes its place, and
        the notification says so.
    options : mapping of str to object
        As `shell_command` takes them; layers and paths are treated as those of `inputs`.
    """
    from napari_darl.batch.replay import shell_command  # imports torch

    missing: list[str] = []
    arguments = [_path(key, value, missing) for key, value in inputs.items()]
    values = {key: _path(key, value, missing) if _is_file(value) else value for key, value in options.items()}
    show_copied(shell_command(name, arguments, values), missing)


def show_copied(command: str, missing: list[str]) -> None:
    """Put a command into the clipboard and show it; `missing` names what stands in place of layers without a file."""
    QApplication.clipboard().setText(command)
    what = " and ".join(missing)
    show_info(f"Copied: {command}." + (f" Layers without a file are called {what}: save them first." if what else ""))


def path_of(layer: Layer) -> str | None:
    """Return the file of a layer, or None if it has none."""
    return None if layer.source.path is None else str(layer.source.path)


def _is_file(value: object) -> bool:
    return isinstance(value, Layer | Path)


def _path(key: str, value: Any, missing: list[str]) -> str:
    path = path_of(value) if isinstance(value, Layer) else str(value)
    if path is None:
        missing.append(key)
    return path or key
