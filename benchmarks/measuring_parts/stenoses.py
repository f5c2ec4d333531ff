"""Lesions of known depth in masks and in renderings."""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from scipy.ndimage import gaussian_filter

import napari_darl
from measuring_parts.drawings import drawn, polyline, turned
from napari_darl.evaluation.report import markdown_table
from napari_darl.synthetic.phantom import render
from napari_darl.synthetic.raster import rasterise


def stenoses() -> str:
    """Lesions in masks, in clean renderings and in noisy ones."""
    rng = np.random.default_rng(0)
    rows = []
    for width in (8, 10, 12, 16, 20, 25):
        for percent in (25, 50, 75):
            errors: dict[str, list[float]] = defaultdict(list)
            for _ in range(24):
                for name, found in _lesion(width, percent, rng):
                    errors[name].append(found - percent)
            cells = []
            for name in ("mask", "clean", "noisy"):
                error = np.array(errors[name])
                within = 100 * np.mean(np.abs(error) <= (8 if name == "noisy" else 4))
                cells += [f"{error.mean():+.1f}", f"{1.96 * error.std():.1f}", f"{within:.0f}"]
            rows.append((f"{width}", f"{percent}", *cells))
    heads = ["width, px", "stenosis, %"]
    for name, limit in (("mask", 4), ("clean image", 4), ("noisy image", 8)):
        heads += [f"{name}: bias", "+/-", f"within {limit}, %"]
    return markdown_table(heads, rows)


def _lesion(width: int, percent: int, rng: np.random.Generator) -> Iterator[tuple[str, float]]:
    """Draw a tapering, bent vessel with a lesion of 1.5 to 3 widths; measure it in its mask and in two renderings."""
    along = np.linspace(0, 140, 281)
    length = rng.uniform(1.5, 3) * width
    place = np.clip((along - 70) / (length / 2), -1, 1)
    depth = percent / 100 * (1 + np.cos(np.pi * place)) / 2
    radius = width / 2 * (1 - 0.1 * (along - 70) / 140) * (1 - depth)
    course = np.stack([6 * np.sin(along / 140 * np.pi), along], axis=1)
    points = turned(course, rng.uniform(0, 2 * np.pi), 96 + rng.uniform(0, 1, 2))
    start, end = points[20], points[-20]
    whole = drawn(points, radius, (192, 192))
    yield "mask", napari_darl.stenosis(whole, start, end).percent_diameter
    shown = rasterise((192, 192), polyline(points, radius))
    tissue = gaussian_filter(rng.normal(size=(192, 192)), 20)
    background = (0.15 * tissue / tissue.std()).astype(np.float32)
    clean = render(background, shown.thickness, absorption=0.03)
    yield "clean", napari_darl.stenosis(shown.mask, start, end, clean).percent_diameter
    noisy = clean + 0.05 * 1.7 * gaussian_filter(rng.standard_normal(clean.shape), 0.5)  # as a phantom's
    yield "noisy", napari_darl.stenosis(shown.mask, start, end, noisy).percent_diameter
