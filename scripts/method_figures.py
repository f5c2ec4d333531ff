"""Redraw the figures of the method's paper for docs/method.md, with the bundled model and the samples.

    python scripts/method_figures.py [--output docs/images]

method_paths.png shows what goes into paths A and B and what comes out (Kim et al. 2023, figure 2); method_noise.png
shows frames at several timesteps of the diffusion, with the masks that path A finds in them.
"""

import argparse
import io
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from napari_darl import load_model, sample_angiogram, segment, synthesize
from napari_darl.darl.schedule import NoiseSchedule
from napari_darl.frames.normalisation import intensity_range, normalise
from napari_darl.inference.noise import noisy_views
from napari_darl.training.backgrounds import WIDTH, suppress_vessels

CROP = np.s_[64:448, 64:448]
TIMESTEPS = (0, 50, 100, 200, 400)
SIDE = 0.2  # of a picture, in parts of the figure's width
BLUE, RED = "#1f5fa8", "#b5410f"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("docs/images"))
    args = parser.parse_args()
    for name, figure in (("method_paths", paths()), ("method_noise", noise())):
        drawn = io.BytesIO()
        figure.savefig(drawn, dpi=110, facecolor="white")
        picture = Image.open(drawn).convert("RGB").quantize(128, dither=Image.Dither.NONE)
        picture.save(args.output / f"{name}.png", optimize=True)


def paths() -> Figure:
    """Draw path A in one row, and path B with the cycle in the other."""
    frame = sample_angiogram()[CROP]
    background = background_of(sample_angiogram("angiogram_2"))[CROP]
    [pair] = synthesize("default", [background], count=1, seed=3)
    figure = plt.figure(figsize=(10, 6.4))
    place = Places(figure)
    place.picture(0, 1, frame, "angiogram")
    place.picture(3, 1, segment(frame), "mask")
    place.arrow((0, 1), (3, 1), "path A: diffusion module and generator", BLUE)
    place.note(3, 1, "a discriminator compares it\nwith pseudo-masks")
    place.picture(0, 0, background, "background")
    place.picture(1, 0, pair.mask, "pseudo-mask")
    place.picture(2, 0, pair.angiogram, "synthetic angiogram")
    place.picture(3, 0, pair.cycle_probability > 0.5, "mask of it")
    place.plus((0, 0), (1, 0))
    place.arrow((1, 0), (2, 0), "path B", RED)
    place.arrow((2, 0), (3, 0), "path A", BLUE)
    place.note(2, 0, "a discriminator compares it\nwith real angiograms")
    place.note(3, 0, "cycle: it must be\nthe pseudo-mask")
    return figure


def noise() -> Figure:
    """Draw a frame at several timesteps above the masks that are found in it."""
    frame = sample_angiogram()[CROP]
    model = load_model("default")
    config = model.network.config
    clean = torch.tensor(normalise(frame, intensity_range(frame, config.normalisation, None)))[None, None]
    drawn = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    schedule = NoiseSchedule(config.schedule)
    views = list(noisy_views(frame, model, noise_levels=TIMESTEPS[1:], sigmas=()))
    figure, rows = plt.subplots(2, len(TIMESTEPS), figsize=(10, 4.3), gridspec_kw={"wspace": 0.04, "hspace": 0.04})
    for t, view, (above, below) in zip(TIMESTEPS, views, rows.T, strict=True):
        noisy = schedule.add_noise(clean, torch.tensor([t]), drawn)[0, 0].numpy() if t else clean[0, 0].numpy()
        show(above, np.clip(noisy, -1, 1), f"t = {t}")
        show(below, view.probability > 0.5)
    rows[0, 0].set_ylabel("frame")
    rows[1, 0].set_ylabel("mask")
    figure.subplots_adjust(left=0.03, right=0.995, top=0.93, bottom=0.01)
    return figure


class Places:
    """A grid of pictures with arrows between them: column 0 is left, row 0 is below."""

    def __init__(self, figure: Figure) -> None:
        self.figure = figure

    def corner(self, column: int, row: int) -> tuple[float, float]:
        return 0.02 + column * 0.253, 0.1 + row * 0.48

    def picture(self, column: int, row: int, image: NDArray[np.generic], title: str) -> None:
        width, height = self.figure.get_size_inches()
        show(self.figure.add_axes((*self.corner(column, row), SIDE, SIDE * width / height)), image, title)

    def arrow(self, start: tuple[int, int], end: tuple[int, int], text: str, colour: str) -> None:
        width, height = self.figure.get_size_inches()
        (left, y), (right, _) = self.corner(*start), self.corner(*end)
        y += SIDE * width / height / 2
        style = {"arrowstyle": "-|>,head_width=0.35", "color": colour, "lw": 2.5}
        axes = self.figure.add_axes((0, 0, 1, 1), zorder=-1)
        axes.set_axis_off()
        axes.annotate("", (right - 0.002, y), (left + SIDE + 0.002, y), "axes fraction", arrowprops=style)
        self.figure.text((left + SIDE + right) / 2, y + 0.02, text, ha="center", va="bottom", color=colour, fontsize=10)

    def plus(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        width, height = self.figure.get_size_inches()
        (left, y), (right, _) = self.corner(*start), self.corner(*end)
        y += SIDE * width / height / 2
        self.figure.text((left + SIDE + right) / 2, y, "+", ha="center", va="center", color=RED, fontsize=22)

    def note(self, column: int, row: int, text: str) -> None:
        x, y = self.corner(column, row)
        self.figure.text(x + SIDE / 2, y - 0.01, text, ha="center", va="top", fontsize=10)


def background_of(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Fill the vessels of an angiogram, as training does without recorded backgrounds."""
    return suppress_vessels(frame.astype(np.float32) / 127.5 - 1, round(WIDTH * min(frame.shape)))


def show(axes: Axes, image: NDArray[np.generic], title: str = "") -> None:
    axes.imshow(image, cmap="gray")
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=11)


if __name__ == "__main__":
    main()
