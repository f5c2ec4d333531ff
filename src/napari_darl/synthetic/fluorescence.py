"""Synthetic fluorescence: bright vessels on haze, cell bodies and the noise of a camera."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom

from napari_darl.errors import InputError
from napari_darl.synthetic.clutter import ClutterConfig, add_clutter
from napari_darl.synthetic.raster import PseudoMask
from napari_darl.synthetic.trees import TreeConfig, draw_trees

Frame = NDArray[np.float32]

_CELLS = 40.0  # greatest mean number of bright spots in a frame of 512 x 512 px


def phantom_fluorescence(shape: tuple[int, int], rng: np.random.Generator) -> tuple[Frame, PseudoMask]:
    """Render a frame of bright vessels, as a microscope or an OCT angiograph shows them.

    Vessels of any width and brightness lie on haze of low frequencies and among cell bodies. The frame is blurred and
    has noise whose variance grows with the intensity.

    Parameters
    ----------
    shape : tuple of int
        (H, W) of the frame; 32 x 32 or more.
    rng : numpy.random.Generator
        The only source of chance.

    Returns
    -------
    frame : numpy.ndarray of float32, shape (H, W)
        In [-1, 1], vessels bright.
    truth : PseudoMask
        What was drawn; it may be empty.

    Raises
    ------
    InputError
        If the shape is too small.

    Examples
    --------
    >>> frame, truth = phantom_fluorescence((64, 64), np.random.default_rng(1))
    >>> frame.shape == truth.mask.shape
    True
    """
    if min(shape) < 32:
        raise InputError(f"A phantom of {shape} pixels is too small: ask for at least 32 x 32.")
    scale = float(np.exp(rng.uniform(np.log(0.5), np.log(1.6))))
    config = TreeConfig(
        trees=(2, 10),
        trunk_radius=(1.5, float(rng.uniform(3, 10))),
        tip_radius=float(rng.uniform(0.6, 1.2)),
        tortuosity=float(rng.uniform(0.2, 0.8)),
        bend_length=float(rng.uniform(10, 40)),
    )
    truth = draw_trees(shape, rng, config, scale)
    haze = rng.uniform(0.02, 0.4) * _haze(shape, rng)
    cells = ClutterConfig(bright_spots=rng.uniform(0, _CELLS) * shape[0] * shape[1] / (512 * scale) ** 2, contrast=1.5)
    tissue = (add_clutter(2 * haze - 1, rng, cells, scale) + 1) / 2
    brightness = rng.uniform(0.15, 0.8) / max(float(np.quantile(truth.thickness, 0.99)), 1.0)
    light = tissue + brightness * truth.thickness ** rng.uniform(0.4, 1)
    light = gaussian_filter(light, rng.uniform(0.3, 1.5))
    noise = rng.standard_normal(shape, np.float32)
    light = light + rng.uniform(0.005, 0.12) * noise * np.sqrt(np.clip(light, 0.02, None))
    frame: Frame = np.clip(2 * light - 1, -1, 1).astype(np.float32)
    return frame, truth


def _haze(shape: tuple[int, int], rng: np.random.Generator) -> Frame:
    """Return smooth light between 0 and 1, brighter here and there."""
    knots = int(rng.integers(3, 9))
    coarse = rng.uniform(0, 1, (knots, knots))
    smooth = zoom(coarse, (shape[0] / knots, shape[1] / knots), order=3, mode="nearest", grid_mode=True)
    haze: Frame = np.clip(smooth, 0, 1).astype(np.float32)
    return haze
