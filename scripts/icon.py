"""Draw the plugin's icon, src/napari_darl/icon.png: a synthetic vessel tree on a rounded square.

python scripts/icon.py
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from napari_darl.synthetic.trees import TreeConfig, draw_trees

ICON = Path(__file__).parent.parent / "src" / "napari_darl" / "icon.png"
SIDE, MARGIN = 128, 0.12
BACKGROUND, DARK, BRIGHT = (24, 32, 44), (226, 88, 62), (255, 205, 120)
SEED = 2


def main() -> None:
    look = TreeConfig(trees=(1, 1), trunk_radius=(7, 7.5), tip_radius=1.5, length=28, side_branches=6)
    tree = draw_trees((1024, 1024), np.random.default_rng(SEED), look, scale=2).mask > 0
    rows, columns = np.nonzero(tree)
    tree = tree[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    side = round(max(tree.shape) / (1 - 2 * MARGIN))
    before = [(side - length) // 2 for length in tree.shape]
    tree = np.pad(tree, [(b, side - length - b) for b, length in zip(before, tree.shape, strict=True)])

    square = Image.new("L", (side, side))
    ImageDraw.Draw(square).rounded_rectangle((0, 0, side - 1, side - 1), radius=side // 5, fill=255)
    ramp = np.linspace(0, 1, side)[:, None, None]
    vessels = (1 - ramp) * np.array(BRIGHT) + ramp * np.array(DARK)
    colours = np.where(tree[..., None], vessels, np.array(BACKGROUND))
    icon = Image.fromarray(np.dstack([colours, np.asarray(square)]).round().astype(np.uint8), "RGBA")
    icon.resize((SIDE, SIDE), Image.Resampling.LANCZOS).save(ICON, optimize=True)


if __name__ == "__main__":
    main()
