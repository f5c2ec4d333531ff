"""A viewer, as long as its window is open."""

from typing import TYPE_CHECKING
from weakref import ref

from qtpy.compat import isalive

from napari_darl._napari.layers import bare

if TYPE_CHECKING:
    import napari


class OpenViewer:
    """A weak reference to a viewer that ends when the viewer's window is closed.

    A viewer may outlive its window. Work that ends then must not add a layer to it, or begin more work: the layer's
    controls would be put into what Qt is about to delete.

    Parameters
    ----------
    viewer : napari.Viewer
        With or without napari's proxy.
    """

    def __init__(self, viewer: "napari.Viewer") -> None:
        viewer = bare(viewer)
        self._viewer = ref(viewer)
        # napari has no public name for its Qt window, and deletes this one to close it. If it is called otherwise one
        # day, windows just seem open.
        self._watched = hasattr(viewer.window, "_qt_window")

    def __call__(self) -> "napari.Viewer | None":
        """Return the viewer, without a proxy; None if it is gone, or its window is closed."""
        viewer = self._viewer()
        if viewer is None or not self._watched:
            return viewer
        window = getattr(viewer.window, "_qt_window", None)
        return viewer if window is not None and isalive(window) else None  # type: ignore[no-untyped-call]
