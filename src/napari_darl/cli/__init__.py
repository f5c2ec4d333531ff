"""The command line."""

from napari_darl.cli.commands import main

__all__ = ["main"]
