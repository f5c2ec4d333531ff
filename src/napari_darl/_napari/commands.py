"""Commands in napari's menus."""

from typing import TYPE_CHECKING

from napari.utils.notifications import show_error

if TYPE_CHECKING:
    import napari.viewer


def segment_vessels(viewer: "napari.viewer.Viewer") -> None:
    """Segment the active image layer in the background; the result is a Labels layer over it."""
    from napari_darl._napari.layers import NO_IMAGE, bare, chosen_image
    from napari_darl._napari.segmenting.options import preferred_options
    from napari_darl._napari.segmenting.segmenter import Segmenter
    from napari_darl.errors import DarlError
    from napari_darl.inference.cleaning import Cleaning
    from napari_darl.models import model_info

    segmenter = Segmenter.of(viewer)
    active = bare(viewer.layers.selection.active)
    result = segmenter.result_on(active)
    image = result.image if result and result.image in viewer.layers else chosen_image(viewer)
    if image is None and active is not None:
        show_error(f"'{active.name}' is a {type(active).__name__} layer. Select the image layer to segment.")
    elif image is None and len(viewer.layers.selection) > 1:
        show_error("Several layers are selected. Select only the image layer to segment.")
    elif image is None and len(viewer.layers):
        show_error("No layer is selected. Select the image layer to segment.")
    elif image is None:
        show_error(NO_IMAGE)
    else:
        try:
            options = preferred_options()
            segmenter.run(image, options, Cleaning.of_model(model_info(options.model)))
        except DarlError as error:
            show_error(str(error))


def show_segment_widget(viewer: "napari.viewer.Viewer") -> None:
    """Open the Segment widget."""
    viewer.window.add_plugin_dock_widget("napari-darl", "Segment vessels")


def show_measure_widget(viewer: "napari.viewer.Viewer") -> None:
    """Open the Measure widget."""
    viewer.window.add_plugin_dock_widget("napari-darl", "Measure vessels")
