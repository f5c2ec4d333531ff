"""Geometries of layers that tests share."""

from typing import Any

import numpy as np


def anywhere(*labels: str) -> dict[str, Any]:
    """A geometry in which nothing has its default, for axes with these labels."""
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
