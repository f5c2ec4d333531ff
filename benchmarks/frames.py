"""Sets of frames with expert masks, and the best settings of ridge filters for them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from baselines import BaselineSettings, coronary_field_of_view, fundus_field_of_view

from napari_darl.evaluation.metrics import Mask, above_half
from napari_darl.evaluation.pairing import pair_files
from napari_darl.frames.channels import to_grey
from napari_darl.frames.normalisation import Normalisation, intensity_range, normalise
from napari_darl.inference.cleaning import Cleaning
from napari_darl.inference.loading import Model, load_model
from napari_darl.io.images import read_image


@dataclass(frozen=True)
class FrameSet:
    """Paths of frames and masks below the data folder, and the scales of ridge filters in pixels."""

    folder: str
    masks: str
    sigmas: tuple[float, ...]
    fov: str | None = None


@dataclass(frozen=True)
class Sample:
    """A frame with its expert mask: `grey` as stored, `intensity` in [0, 1], and the pixels that are `counted`."""

    name: str
    grey: npt.NDArray[Any]
    intensity: npt.NDArray[np.floating[Any]]
    truth: Mask
    counted: Mask
    filtered: Mask  # where ridge filters may respond: inside, less the rim, which looks like a ridge


SETS = {
    "dca1_dev": FrameSet("dca1_dev", "masks", (1, 1.5, 2, 2.5, 3, 3.5)),
    "drive": FrameSet("drive/test", "masks_1st", (1, 1.5, 2, 2.5, 3), "fov"),
    "chase_db1": FrameSet("chase_db1", "masks_1st", (2, 3, 4, 5)),
}
"""DCA1 (Cervantes-Sanchez et al. 2019), DRIVE (Staal et al. 2004), CHASE_DB1 (Fraz et al. 2012)."""


def load(name: str, data: Path, limit: int | None = None) -> Iterator[Sample]:
    """Read the frames of a set; of colours, the green channel."""
    it = SETS[name]
    folder = data / it.folder
    pairs = pair_files(folder / "images", folder / it.masks, by_order=True)[:limit]
    views = dict(pair_files(folder / "images", folder / it.fov, by_order=True)) if it.fov else {}
    for path, expert in pairs:
        image = read_image(path)
        grey = to_grey(image.data) if image.rgb else image.data
        intensity = to_intensity(grey)
        truth = above_half(_flat(expert))
        counted = above_half(_flat(views[path])) if views else np.ones(truth.shape, np.bool_)
        filtered = fundus_field_of_view(counted) if views else coronary_field_of_view(intensity)
        yield Sample(path.stem, grey, intensity, truth, counted, filtered)


def to_intensity(grey: npt.NDArray[Any]) -> npt.NDArray[np.floating[Any]]:
    """Scale stored values to [0, 1] by their number of bits."""
    return (normalise(grey, intensity_range(grey, Normalisation(kind="bits"))) + 1) / 2


def named_model(name: str) -> tuple[Model, Cleaning]:
    """Load a model, and the cleaning that its file asks for; with ":plain" after its name, the threshold alone."""
    model = load_model(name.removesuffix(":plain"), "cpu")
    return model, Cleaning(threshold=model.threshold) if name.endswith(":plain") else model.cleaning


def settings(name: str) -> BaselineSettings:
    """Return the settings of the ridge filters for a set."""
    return BaselineSettings(sigmas=SETS[name].sigmas)


def _flat(path: Path) -> npt.NDArray[Any]:
    image = read_image(path)
    return image.data.max(axis=-1) if image.rgb else image.data
