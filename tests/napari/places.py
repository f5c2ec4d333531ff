"""Places of layers in the world that tests share."""

from typing import Any

import numpy as np


def anywhere(*labels: str) -> dict[str, Any]:
    """Everything that can be said of a layer's place, none of it simple; its axes have these labels."""
    ndim = len(labels)
    rng = np.random.default_rng(ndim)
    affine = np.eye(ndim + 1)
    affine[:ndim] += rng.normal(0, 0.2, (ndim, ndim + 1))
    return {
        "scale": rng.uniform(0.1, 3, ndim),
        "translate": rng.normal(0, 50, ndim),
        "rotate": np.linalg.qr(rng.normal(0, 1, (ndim, ndim)))[0],
        "shear": rng.normal(0, 0.3, ndim * (ndim - 1) // 2),
        "affine": affine,
        "units": tuple({"t": "s", "c": "pixel"}.get(label, "mm") for label in labels),
        "axis_labels": labels,
    }
