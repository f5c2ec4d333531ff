"""Pinholes of a mask: holes smaller than the vessels around them are wide, which no vessel has.

Each would make a ring in the centreline, with two branch points at least. They are common where vessels cross at a
small angle or run alongside each other.
"""

from math import pi

import numpy as np
from scipy.ndimage import label

from napari_darl.measuring.background import edge_distances, nearest_background
from napari_darl.measuring.lines import Floats
from napari_darl.measuring.skeleton import Mask


def without_pinholes(mask: Mask, scale: Floats) -> tuple[Mask, Floats]:
    """Fill the pinholes of a mask.

    A hole is filled if it is no larger than a disc, in volumes a ball, as wide as the vessels around it. These are the
    pixels whose nearest background is the hole. Across a vessel, their distances from the hole rise evenly from 0 to
    half of its width, so their mean is a quarter of it.

    Parameters
    ----------
    mask
        (Y, X) or (Z, Y, X) bool, False at the edges of the array.
    scale
        (D,) size of a pixel as a multiple of its smallest side.

    Returns
    -------
    mask : ndarray
        The mask without pinholes.
    distance : ndarray
        Distance of its pixels to the nearest pixel of the background.
    """
    holes, count = label(~mask)
    if count < 2:
        return mask, edge_distances(mask, scale)
    distance, owner = nearest_background(mask, scale, holes)
    around = np.bincount(owner[mask], minlength=count + 1)
    depth = np.bincount(owner[mask], distance[mask], count + 1) / np.maximum(around, 1) - 0.5
    width = 4 * np.maximum(depth, 0)
    largest = pi / 4 * width**2 if mask.ndim == 2 else pi / 6 * width**3
    small = np.bincount(holes.ravel(), minlength=count + 1) * scale.prod() <= largest
    small[[0, holes.flat[0]]] = False  # the vessels, and what lies outside
    if not small.any():
        return mask, distance
    filled = mask | small[holes]
    return filled, edge_distances(filled, scale)
