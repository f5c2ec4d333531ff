"""The demo where there is a display: napari with a sample, its mask and the Segment widget."""

import napari

from napari_darl._napari.commands import segment_vessels
from napari_darl._napari.mask_files import PLUGIN


def open_demo() -> "napari.Viewer":
    """Open a viewer with the sample angiogram and the Segment widget, and start to segment; call `napari.run` next."""
    viewer = napari.Viewer(title="napari-darl")
    viewer.open_sample(PLUGIN, "angiogram")
    viewer.window.add_plugin_dock_widget(PLUGIN, "Segment vessels")
    segment_vessels(viewer)
    return viewer
