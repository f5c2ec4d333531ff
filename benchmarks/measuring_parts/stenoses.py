"""Lesions of known depth in masks and in renderings."""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from scipy.ndimage import gaussian_filter

import napari_darl
from measuring_parts.drawings import Floats, drawn
from measuring_parts.lesions import SHAPE, Lesion, least_error, noise
from napari_darl.evaluation.report import markdown_table

NUMBER = 24
BOUNDED = 8  # of them, for which the least possible error is computed


def stenoses() -> str:
    """Lesions in masks, in clean renderings and in noisy ones."""
    rng = np.random.default_rng(0)
    rows = []
    for width in (8, 10, 12, 16, 20, 25):
        for percent in (25, 50, 75):
            errors: dict[str, list[float]] = defaultdict(list)
            least = []
            for number in range(NUMBER):
                lesion = Lesion(
                    percent, rng.uniform(1.5, 3) * width, width, rng.uniform(0, 2 * np.pi), rng.uniform(0, 1, 2)
                )
                tissue = gaussian_filter(rng.normal(size=SHAPE), 20)
                background = 0.15 * tissue / tissue.std()
                for name, found in _found(lesion, background, rng):
                    errors[name].append(found - percent)
                if number < BOUNDED:
                    least.append(least_error(lesion, background))
            cells = []
            for name in ("mask", "clean", "noisy"):
                error = np.array(errors[name])
                within = 100 * np.mean(np.abs(error) <= (8 if name == "noisy" else 4))
                cells += [f"{error.mean():+.1f}", f"{1.96 * error.std():.1f}", f"{within:.0f}"]
            cells.append(f"{1.96 * np.mean(np.square(least)) ** 0.5:.1f}")
            rows.append((f"{width}", f"{percent}", *cells))
    heads = ["width, px", "stenosis, %"]
    for name, limit in (("mask", 4), ("clean image", 4), ("noisy image", 8)):
        heads += [f"{name}: bias", "+/-", f"within {limit}, %"]
    return markdown_table([*heads, "least possible +/-"], rows)


def _found(lesion: Lesion, background: Floats, rng: np.random.Generator) -> Iterator[tuple[str, float]]:
    """Measure a lesion in its mask and in two renderings."""
    points, radius = lesion.course()
    start, end = points[20], points[-20]
    whole = drawn(points, radius, SHAPE)
    yield "mask", napari_darl.stenosis(whole, start, end).percent_diameter
    mask, clean = lesion.drawn().mask, lesion.rendered(background)
    yield "clean", napari_darl.stenosis(mask, start, end, clean).percent_diameter
    yield "noisy", napari_darl.stenosis(mask, start, end, clean + noise(clean, rng)).percent_diameter
