"""Make the pictures of docs/gallery.md: each kind of image beside its mask, from data whose terms allow it.

    python scripts/gallery.py --data ../data [--output docs/images]

DATA holds the folders `tubenet_sample` (OCT angiography, of tUbeNet's repository) and `vesselexpress_liver`
(light-sheet, of VesselExpress's napari plugin). The other images are samples of the package, or synthetic.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from napari_darl import sample_angiogram, sample_fundus, segment
from napari_darl.synthetic.phantom import phantom_movie

Picture = NDArray[np.uint8]
"""Of colours, (Y, X, 3)."""

SIDE = 320  # px of a panel's height
MASK = np.array([0, 220, 255])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=Path("docs/images"))
    args = parser.parse_args()
    for name, panels in pictures(args.data):
        picture = Image.fromarray(np.hstack([scaled(panel) for panel in panels]))
        smaller = picture.quantize(128, dither=Image.Dither.NONE)
        smaller.save(args.output / f"gallery_{name}.png", optimize=True)


def pictures(data: Path) -> Iterator[tuple[str, list[Picture]]]:
    """Yield the name and the panels of each picture."""
    angiogram = sample_angiogram("angiogram_2")
    yield "angiogram", pair(grey(angiogram), segment(angiogram))
    fundus = sample_fundus()
    yield "fundus", pair(fundus, segment(fundus, "fundus", rgb=True))
    octa = tifffile.imread(data / "tubenet_sample" / "OCTA-Data.tif")
    masks = segment(octa, "fluorescence")
    yield "octa", pair(grey(octa[40]), masks[40])
    yield "volume", pair(grey(octa.max(0)), masks.max(0), depth(masks))
    liver = tifffile.imread(data / "vesselexpress_liver" / "images" / "Raw_liver_1.tiff")
    masks = segment(liver, "fluorescence")
    yield "light_sheet", pair(grey(np.sqrt(liver.max(0))), masks.max(0))
    movie, _ = phantom_movie(24, (256, 256), np.random.default_rng(8))
    frames = movie[[4, 8, 16]]
    yield "movie", [overlay(grey(frame), mask) for frame, mask in zip(frames, segment(frames), strict=True)]


def pair(image: Picture, mask: NDArray[np.uint8], *more: Picture) -> list[Picture]:
    return [image, overlay(image, mask), *more]


def grey(image: NDArray[np.generic]) -> Picture:
    """Stretch an image between its 0.5 and 99.5 percentiles."""
    low, high = np.percentile(image, (0.5, 99.5))
    values = np.clip((image - low) / (high - low), 0, 1) * 255
    return np.repeat(values.astype(np.uint8)[..., None], 3, -1)


def overlay(image: Picture, mask: NDArray[np.uint8]) -> Picture:
    """Lay a mask over its image."""
    return np.where(mask[..., None] > 0, 0.4 * image + 0.6 * MASK, image).astype(np.uint8)


def depth(masks: NDArray[np.uint8]) -> Picture:
    """Colour the pixels of a projection by the slice in which a vessel is first met, from near (yellow) to far."""
    near, far = np.array([255, 230, 120]), np.array([60, 70, 170])
    part = (masks.argmax(0) / (len(masks) - 1))[..., None]
    return np.where(masks.any(0)[..., None], near + part * (far - near), 0).astype(np.uint8)


def scaled(panel: Picture) -> Picture:
    """Resize a panel to the common height, with a white line at its left."""
    height, width, _ = panel.shape
    small = Image.fromarray(panel).resize((round(width * SIDE / height), SIDE), Image.Resampling.BICUBIC)
    return np.pad(np.asarray(small), ((0, 0), (4, 0), (0, 0)), constant_values=255)


if __name__ == "__main__":
    main()
