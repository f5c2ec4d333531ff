"""The first look, where there is a display: napari with the sample segmented and the widget beside it."""

import napari

from napari_darl._napari.commands import segment_vessels
from napari_darl._napari.mask_files import PLUGIN


def open_demo() -> "napari.Viewer":
    """Open a viewer, the sample angiogram and the Segment widget, and begin to segment; `napari.run` does the rest."""
    viewer = napari.Viewer(title="napari-darl")
    viewer.open_sample(PLUGIN, "angiogram")
    viewer.window.add_plugin_dock_widget(PLUGIN, "Segment vessels")
    segment_vessels(viewer)
    return viewer
