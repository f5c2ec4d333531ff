"""The napari front: everything that imports napari or Qt."""
