"""The frames that `fluorescence` learns from, with vessels dark, and who labels the frames of each source.

Angiograms are labelled by `default`, photographs of the retina by `fundus` and OCT angiography by the former
`fluorescence`. For phantoms it is known what was drawn. In the liver, Sato's filter of the intensity and of its
logarithm, each cut by Otsu's method slice by slice, and the former `fluorescence` vote.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.filters import sato, threshold_otsu

from napari_darl.frames.normalisation import Normalisation, intensity_range, normalise
from napari_darl.inference.loading import Model
from napari_darl.io.images import read_image
from napari_darl.synthetic.fluorescence import phantom_fluorescence
from napari_darl.training.distillation import SOFT, DistillationConfig, mean_probability, soft_labels

Frame = NDArray[Any]
Probability = NDArray[np.float32]

OF_VOLUMES = DistillationConfig(sizes=(1.0,), mirrored=True, linking=0.3, shortest=30)
OF_RETINA = DistillationConfig(sizes=(1.0, 1.5), linking=0.3, shortest=30, finest=1000)
OF_ANGIOGRAMS = DistillationConfig(linking=0.1, shortest=60)  # `default` follows vessels down to .1, too.
SIGMAS = (1.0, 1.5, 2.0, 3.0, 4.0)  # of Sato's filter, px
LOG_OFFSET = 0.15  # As in the preset `fluorescence`.


class Sources:
    """Frames by source.

    Parameters
    ----------
    data : pathlib.Path
        The folder of the data sets; see `make_models.py`.
    angiograms, retina : sequence of numpy.ndarray
        Grey frames of ARCADE and IDRiD.
    phantoms : int
        Number of synthetic frames.
    """

    def __init__(self, data: Path, angiograms: Sequence[Frame], retina: Sequence[Frame], phantoms: int = 60) -> None:
        octa = read_image(data / "tubenet_sample" / "OCTA-Data.tif").data[:32]
        liver = read_image(data / "vesselexpress_liver" / "images" / "Raw_liver_1.tiff").data[:25]
        drawn = [_phantom(number) for number in range(phantoms)]
        self.truth = {_digest(frame): mask for frame, mask in drawn}
        self.by_name = {
            "angiograms": list(angiograms),
            "retina": list(retina),
            "octa": [octa.max() - frame for frame in octa],
            "liver": [liver.max() - frame for frame in liver],
            "phantoms": [frame for frame, _ in drawn],
        }

    @property
    def frames(self) -> list[Frame]:
        """All frames, those of the retina and of the volumes twice, so that about as many crops show each source."""
        return [frame for name in (*self.by_name, "retina", "octa", "liver") for frame in self.by_name[name]]

    def teacher(self, former: Model, default: Model, fundus: Model) -> Callable[[Frame], Probability]:
        """Return what labels a frame, by its source: a frame to the probability that the student learns."""
        label: dict[str, Callable[[Frame], Probability]] = {
            "angiograms": lambda frame: _probability(frame, default, OF_ANGIOGRAMS),
            "retina": lambda frame: _probability(frame, fundus, OF_RETINA),
            "octa": lambda frame: _probability(frame, former, OF_VOLUMES),
            "liver": lambda frame: _vote(frame, former),
            "phantoms": lambda frame: self.truth[_digest(frame)].astype(np.float32),
        }
        sources = {_digest(frame): name for name, frames in self.by_name.items() for frame in frames}
        known: dict[bytes, Probability] = {}

        def teach(frame: Frame) -> Probability:
            digest = _digest(frame)
            if digest not in known:
                known[digest] = label[sources[digest]](frame)
            return known[digest]

        return teach


def _probability(frame: Frame, model: Model, config: DistillationConfig) -> Probability:
    """Return the probability whose soft labels are those of a teacher, with gaps closed and without short pieces."""
    labels = soft_labels(mean_probability(frame, [model], config), config)
    return (labels.astype(np.float32) / SOFT + 1) / 2


def _vote(frame: Frame, model: Model) -> Probability:
    """Return the share of three votes, slice by slice, that a pixel is vessel."""
    limits = intensity_range(frame, Normalisation(kind="percentiles", low=0.5, high=99.5))
    brightness = (1 - normalise(frame, limits)) / 2
    votes = (_probability(frame, model, OF_VOLUMES) > 0.5).astype(np.float32)
    for image in (brightness, np.log(brightness + LOG_OFFSET)):
        response = sato(image, sigmas=SIGMAS, black_ridges=False, mode="reflect")
        votes += response > threshold_otsu(response)
    return votes / 3


def _phantom(number: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Draw a fluorescence phantom, inverted, and what was drawn."""
    rng = np.random.default_rng((7, number))
    side = int(rng.choice([128, 192, 256, 384, 512]))
    frame, truth = phantom_fluorescence((side, side), rng)
    return np.round((1 - frame) * 127.5).clip(0, 255).astype(np.uint8), truth.mask


def _digest(frame: Frame) -> bytes:
    return hashlib.sha256(np.ascontiguousarray(frame)).digest()
