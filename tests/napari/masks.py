"""A mask, places where its layer may lie, and how napari saves and opens it."""

from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Labels

from napari_darl._napari.mask_files import read_mask, write_mask

MASK = np.random.default_rng(0).integers(0, 2, (5, 40, 50), np.uint8)
PROVENANCE = {"model": "default", "threshold": 0.5}
PLACES: dict[int, dict[str, Any]] = {
    2: {
        "scale": (0.3, 0.2),
        "translate": (-7, 40.5),
        "rotate": 25,
        "shear": [0.3],
        "affine": np.array([[1.1, 0.2, 3], [-0.1, 0.9, -4], [0, 0, 1]]),
        "units": ("mm", "mm"),
        "axis_labels": ("y", "x"),
    },
    3: {
        "scale": (1.5, 0.3, 0.2),
        "translate": (2, -7, 40.5),
        "rotate": (5, 10, 25),
        "shear": [0.1, 0.2, 0.3],
        "affine": np.array([[1.1, 0.2, 0, 3], [-0.1, 0.9, 0.1, -4], [0, 0.3, 1, 7], [0, 0, 0, 1]]),
        "units": ("mm", "um", "um"),
        "axis_labels": ("z", "y", "x"),
    },
}


def saved(path: Path, layer: Labels) -> str:
    """Save a layer as napari does, and return the path."""
    return write_mask(str(path), *layer.as_layer_data_tuple()[:2])[0]


def opened(path: str) -> Labels:
    """Open a file as napari does."""
    reader = read_mask(path)
    assert reader is not None
    [(data, meta, kind)] = reader(path)
    assert kind == "labels"
    return Labels(data, **meta)
